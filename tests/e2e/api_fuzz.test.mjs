// Every operation of the API's own description against a whole installation: whatever is sent, the answer is no 5xx and
// no broken connection, and nothing has to be started again. A good share of the requests is accepted, so that what lies
// behind the first check is reached as well.
//
// ALLOD_FUZZ_SEED gives other requests, ALLOD_FUZZ_SECONDS another length.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Random, Values, hostileStrings } from './openapi_values.mjs';
import { Platform, eventually, project, version } from './platform.mjs';
import { exchange, requestBytes } from './raw_http.mjs';

const seed = Number(process.env.ALLOD_FUZZ_SEED ?? 20261127);
const seconds = Number(process.env.ALLOD_FUZZ_SECONDS ?? 60);
// That live at the same time, and altogether.
const instancesMax = 3;
const instancesCreatedMax = 40;

const platform = new Platform();
const keys = [];
let document;
let host;
let port;

before(async () => {
  platform.up('--region', 'ke-1=ke');
  platform.provision();
  platform.applyExample('pipeline.yaml');
  platform.applyExample('members.yaml');
  // Rate limits count per key.
  for (let i = 0; i < 24; ++i) keys.push(platform.createKey(`fuzz-${i}`));
  const base = new URL(platform.base);
  [host, port] = [base.hostname, Number(base.port)];
  document = await (await fetch(new URL('/openapi.json', base))).json();
});
after(() => platform.remove());

// Names of what is there, by parameter and property; grows with what requests create.
const known = {
  tenant: ['ke'], project: ['services'], instance: ['assistant'], model: ['starter'], version: ['v1'], variant: ['q4_k_m'], listing: ['starter-v1'], apiKey: [], identityProvider: ['github', 'staff'], workloadRule: ['deploy'], member: ['achieng', 'service-desk'], role: ['on-call'], operation: [], quote: [], invoice: ['current'],
};
const inBodies = {
  model: ['assistant'], listing: ['listings/starter-v1'], variant: [`${version}/variants/q4_k_m`], region: ['regions/ke-1'], max_tokens: [1, 4], max_completion_tokens: [1, 4], n: [1, 2],
  isolationClass: ['ISOLATION_CLASS_ISOLATED', 'ISOLATION_CLASS_POOLED'], replicas: [1], contextTokens: [0, 256], maxConcurrency: [0, 1, 2], sleepAfterSeconds: [0, 60], displayName: ['Fuzz', 'Fuzz é 🎉'],
  role: ['user', 'system', 'assistant'], grammar: ['root ::= "a" | "b"'], parameters: [{ type: 'object', properties: { a: { type: 'string' } } }], requestId: [''], tool_choice: ['none', 'auto'],
  logit_bias: [{}, { 5: 1 }], pageSize: [0, 1, 10], pageToken: [''], timeout: ['0.1s'], updateMask: [''],
};
// What only the server sets: a body that is meant to be accepted leaves it out.
const outputOnly = ['name', 'uid', 'generation', 'status', 'createTime', 'revokeTime', 'etag', 'scopes', 'requestId', 'tool_calls', 'tool_call_id', 'refusal', 'response_format', 'metadata'];

// Those that keys may call must be reached; the others are asked by keys all the same, which are refused.
const isForKeys = (operation) => operation.security.some((scheme) => 'apiKey' in scheme);
const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));

class Fuzzer {
  constructor() {
    this.values = new Values(document, undefined, inBodies);
    this.created = 0;
    this.mine = []; // instances that may be changed and deleted
    this.rules = []; // workload rules, likewise
    this.etags = new Map(); // as last seen: a change must name the one that it is made to
  }

  // A value for a parameter in the path that should be found.
  pathValue(operation, name, method = operation.method) {
    const { random } = this;
    if (operation.operationId === 'RetrieveModel') return 'assistant';
    if (name === 'instance' && method !== 'GET') return this.mine.length ? random.pick(this.mine) : 'none-of-mine';
    if (name === 'workloadRule' && method !== 'GET') return this.rules.length ? random.pick(this.rules) : 'none-of-mine';
    return known[name]?.length ? random.pick(known[name]) : random.word();
  }

  bodyOf(operation) {
    const schema = operation.requestBody?.content['application/json'].schema;
    if (!schema) return undefined;
    const body = this.values.value(schema, '');
    for (const name of outputOnly) delete body[name];
    if (operation.operationId.startsWith('Create') && body.messages) {
      body.messages = body.messages.map((m) => ({ role: m.role, content: m.content ?? 'Habari?' }));
    }
    if (operation.tags[0] === 'OpenAI') {
      // Parameters that belong together, as the descriptions say.
      if (!body.stream) delete body.stream_options;
      if (operation.operationId === 'CreateChatCompletion' && !body.logprobs) delete body.top_logprobs;
      if (body.tools || body.logprobs !== undefined) delete body.grammar;
      if (!body.tools) delete body.tool_choice, delete body.parallel_tool_calls;
      delete body.dimensions;
      if (operation.operationId !== 'CreateEmbedding') body.max_tokens = this.random.pick([1, 2, 4]);
    } else if (operation.operationId.endsWith('Instance') && operation.method !== 'GET') {
      body.spec = { ...this.values.value({ $ref: '#/components/schemas/allod.scheduling.v1.InstanceSpec' }, ''), listing: inBodies.listing[0], variant: inBodies.variant[0], region: inBodies.region[0] };
    }
    if (operation.operationId.endsWith('WorkloadRule') && operation.method !== 'GET') {
      Object.assign(body, { displayName: 'Fuzz', identityProvider: 'tenants/ke/identityProviders/github', claims: [{ claim: 'repository', equals: 'ke-gov/fuzz' }], scopes: ['SCOPE_PORTAL'], roles: ['ROLE_DEVELOPER'], tokenMinutes: this.random.pick([0, 1, 60]) });
    }
    return body;
  }

  // {target, headers, body, method}: meant to be accepted.
  good(operation) {
    const { random } = this;
    const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(this.pathValue(operation, name)));
    const query = [];
    for (const parameter of operation.parameters ?? []) {
      if (parameter.in !== 'query') continue;
      if (parameter.name.endsWith('Id') && parameter.name !== 'requestId') query.push([parameter.name, `f${this.created}-${random.below(1e6)}`]);
      else if (random.chance(0.3) && !outputOnly.includes(parameter.name)) query.push([parameter.name, this.values.value(parameter.schema, parameter.name)]);
    }
    const body = this.bodyOf(operation);
    const etag = this.etags.get(path.split('/').pop());
    if (operation.operationId.includes('_Update') && etag) body.etag = etag;
    return { operation, method: operation.method, path, query, headers: [], body: body && JSON.stringify(body), object: body, good: true };
  }

  // The same with one thing wrong, or everything.
  bad(operation) {
    const { random } = this;
    const request = { ...this.good(operation), good: false };
    const ways = ['path', 'query', 'header', 'bytes', 'method'];
    if (request.object) ways.push('body', 'body', 'body', 'body', 'cut', 'noise');
    if (operation.path.includes('{')) ways.push('segment', 'segment');
    switch (random.pick(ways)) {
      case 'segment': {
        const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
        const spoilt = random.pick(names);
        request.path = operation.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(name === spoilt ? random.pick(hostileStrings).slice(0, 4000) : this.pathValue(operation, name)));
        break;
      }
      case 'path':
        request.path += random.pick(['/', '//', '/..', '%', '%zz', '%ff', '%c3%28', '%ed%a0%80', '%00', ':x', ':', '/%2F', '\xff', ';a=b', '#a', '/' + 'a/'.repeat(500)]);
        break;
      case 'query': {
        const names = (operation.parameters ?? []).filter((p) => p.in === 'query').map((p) => p.name);
        const name = names.length && random.chance(0.8) ? random.pick(names) : random.pick(hostileStrings).slice(0, 300);
        request.query.push([name, random.pick(hostileStrings).slice(0, 4000)]);
        if (random.chance(0.2)) request.rawQuery = random.pick(['%', '%ff', 'pageToken=%c3', '\xff=1', '&&&', 'a&'.repeat(100), 'pageSize', 'pageSize=1&pageSize=2', '=', '?', 'a[b]=c', 'parent=x', 'name=x', 'instance.spec.replicas=9']);
        break;
      }
      case 'header':
        request.headers.push([random.pick(['idempotency-key', 'content-type', 'accept', 'x-request-id', 'origin', 'content-encoding', 'cookie', 'range', 'if-match', 'x-http-method-override', 'accept-encoding', 'te']),
          random.pick(hostileStrings).replace(/[\r\n\0]/g, '').slice(0, 4000)]);
        break;
      case 'bytes':
        request.body = Buffer.concat([Buffer.from(request.body ?? '{}'), random.bytes(random.below(30))]);
        break;
      case 'method':
        request.method = random.pick(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'BREW', 'get', 'PROPFIND']);
        request.path = operation.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(this.pathValue(operation, name, request.method)));
        break;
      case 'cut':
        request.body = request.body.slice(0, random.below(request.body.length));
        break;
      case 'noise':
        request.body = random.pick([random.bytes(random.below(200)), Buffer.from(random.pick(hostileStrings)), Buffer.from('[]'), Buffer.from('null'), Buffer.from('\xff', 'latin1')]);
        break;
      default:
        request.body = this.values.spoil(request.object);
    }
    return request;
  }

  // The request of that number: the same for the same seed, but for the names that were learnt until then.
  request(operation, number) {
    this.random = this.values.random = new Random(seed + Math.imul(number, 0x9e3779b1));
    const creates = operation.operationId === 'InstanceService_CreateInstance';
    const full = creates && (this.mine.length >= instancesMax || this.created >= instancesCreatedMax);
    const request = this.random.chance(0.5) && !full ? this.good(operation) : this.bad(operation);
    if (creates && request.good) ++this.created;
    return request;
  }

  // Learns names from what was answered.
  learn({ operation, path, query }, answer) {
    const last = (name) => name?.split('/').pop();
    if (answer.status === 404) this.mine = this.mine.filter((name) => !path.includes(`/instances/${name}`));
    if (query.some(([name, value]) => name === 'validateOnly' && String(value) === 'true')) return; // nothing was made
    if (answer.status !== 200 || !answer.body.startsWith('{')) return;
    const body = JSON.parse(answer.body);
    if (operation.operationId === 'InstanceService_ListInstances') {
      for (const instance of body.instances ?? []) this.etags.set(last(instance.name), instance.etag);
    }
    if (operation.operationId === 'QuoteService_ListQuotes') known.quote = (body.quotes ?? []).map((quote) => last(quote.name));
    if (/\/workloadRules\//.test(body.name ?? '')) {
      const rule = last(body.name);
      this.etags.set(rule, body.etag);
      if (rule !== 'deploy' && !this.rules.includes(rule)) this.rules.push(rule);
    }
    if (operation.operationId === 'WorkloadRuleService_DeleteWorkloadRule') this.rules = this.rules.filter((rule) => !path.endsWith(rule));
    const operationName = /^tenants\/ke\/operations\//.test(body.name ?? '') ? last(body.name) : undefined;
    if (operationName && !known.operation.includes(operationName)) known.operation.push(operationName);
    if (operation.operationId === 'ApiKeyService_CreateApiKey' && body.apiKey?.name) known.apiKey.push(last(body.apiKey.name));
    const instance = last(body.metadata?.instance);
    if (operation.operationId === 'InstanceService_CreateInstance' && instance && instance !== 'assistant' && !this.mine.includes(instance)) this.mine.push(instance);
    if (operation.operationId === 'InstanceService_DeleteInstance') this.mine = this.mine.filter((name) => name !== instance);
  }
}

// The reason in an error, or nothing.
const reasonOf = (answer) => /"(?:reason|code)": *"([A-Za-z_]+)"[^"]*$/.exec(answer.body ?? '')?.[1] ?? '';

const encode = (request) => {
  const query = request.query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  if (request.rawQuery) query.push(request.rawQuery);
  return Buffer.from(request.path + (query.length ? `?${query.join('&')}` : ''), 'latin1');
};

test(`no request makes a 5xx or breaks a connection (seed ${seed}, ${seconds} s)`, { timeout: (seconds + 240) * 1000 }, async () => {
  const all = operations();
  assert.ok(all.length >= 40, `only ${all.length} operations are described`);
  assert.ok(all.some((operation) => !isForKeys(operation)), 'what people only may call is described too');
  const fuzzer = new Fuzzer();
  const failures = [];
  const sent = Object.fromEntries(all.map((operation) => [operation.operationId, { good: 0, bad: 0, accepted: 0, refused: {} }]));
  const deadline = Date.now() + seconds * 1000;
  let count = 0;
  const statuses = {};
  const worker = async () => {
    while (Date.now() < deadline && failures.length < 20) {
      const number = count++;
      const operation = all[number % all.length];
      const request = fuzzer.request(operation, number);
      const headers = [['authorization', `Bearer ${keys[number % keys.length]}`], ['content-type', 'application/json'], ...request.headers];
      const answer = await exchange(host, port, requestBytes(request.method, encode(request), headers, request.body));
      const tally = sent[operation.operationId];
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      if (answer.status === 429) {
        // The key's minute is used up, or every place is taken: that request reached nothing, and counts for nothing.
        await sleep(200);
        continue;
      }
      tally[request.good ? 'good' : 'bad'] += 1;
      if (request.good && answer.status < 300) tally.accepted += 1;
      else if (request.good) tally.refused[`${answer.status} ${reasonOf(answer)}`] = answer.body?.slice(0, 300);
      if (answer.dropped || answer.status >= 500) {
        failures.push({ number, operation: operation.operationId, method: request.method, target: encode(request).toString('latin1').slice(0, 400), headers: request.headers, body: String(request.body).slice(0, 600), answer: { ...answer, body: answer.body?.slice(0, 600) } });
      }
      fuzzer.learn(request, answer);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));

  assert.deepEqual(failures, [], JSON.stringify(failures, null, 1));
  const reachable = Object.entries(sent).filter(([id]) => all.some((operation) => operation.operationId === id && isForKeys(operation)));
  const sum = (what) => reachable.reduce((total, [, tally]) => total + tally[what], 0);
  const [good, accepted] = [sum('good'), sum('accepted')];
  console.log(`${count} requests to ${all.length} operations, ${accepted} of ${good} good ones accepted, statuses ${JSON.stringify(statuses)}`);
  assert.ok(count >= all.length * 20, `only ${count} requests were sent`);
  assert.ok(accepted / good > 0.3, `only ${accepted} of ${good} good requests were accepted`);
  // The starter model makes no embeddings; that it says so is all it can do.
  const unreached = reachable.filter(([id, tally]) => tally.accepted === 0 && id !== 'CreateEmbedding');
  assert.deepEqual(unreached, [], `nothing that these were sent was accepted: ${JSON.stringify(unreached, null, 1)}`);
});

test('nothing had to be started again, and the platform serves as before', async () => {
  const status = platform.json(['status']);
  for (const process of status.processes) {
    assert.equal(process.start_count, 1, `${process.name} was started ${process.start_count} times: ${process.last_end}`);
  }
  const seen = await eventually('an answer', async () => {
    const answer = await platform.chat('Habari?', { key: keys[0] });
    return answer.done && answer;
  }, { timeoutMs: 70_000, everyMs: 1000 });
  assert.ok(seen.text.length > 0);
  await eventually('no open reservation', () => platform.json(['ledger']).openReservationCount === '0', { timeoutMs: 30_000 });
  const ledger = platform.json(['ledger']);
  assert.deepEqual(ledger.mismatchedAccounts, []);
  assert.equal(platform.json(['get', 'instances', project]).items.some((i) => i.name.endsWith('/assistant')), true);
});
