// The shared pool, as tenants and operators see it: three classes at three prices, caches that never cross a tenant, sleep and
// wake, kill -9 of a worker, a zygote and the node agent in the middle of a stream, and a refusal for want of memory.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import OpenAI from 'openai';

import { Platform, eventually, sleep, starter } from './platform.mjs';
import { alive, descendants } from './processes.mjs';

const platform = new Platform();
const tenants = { ke: {}, tz: {} };
const prices = { pooled: ['6.25', '18.75'], isolated: ['12.50', '37.50'], dedicated: ['50.00', '150.00'] };
// Per tenant: id -> class and what else its spec says.
const instances = {
  ke: {
    alpha: 'isolationClass: isolated',
    beta: 'isolationClass: isolated',
    shared: 'isolationClass: pooled',
    own: 'isolationClass: dedicated',
    sleeper: 'isolationClass: isolated\n  sleepAfterSeconds: 2',
  },
  tz: { alpha: 'isolationClass: isolated', shared: 'isolationClass: pooled' },
};
// Ends the starter model's answers: forbidden, a text is as long as it may be.
const endToken = 4;

const projectOf = (tenant) => `tenants/${tenant}/projects/services`;
const nameOf = (tenant, id) => `${projectOf(tenant)}/instances/${id}`;
const document = (kind, name, spec) => `apiVersion: allod/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec:\n  ${spec}\n`;
const instanceDocument = (tenant, id, spec) =>
  document('Instance', nameOf(tenant, id), `listing: listings/starter-v1
  variant: models/starter/versions/v1/variants/source
  region: regions/ke-1
  contextTokens: 1024
  ${spec}`);

function manifest() {
  const documents = [
    document('Listing', 'listings/starter-v1', `version: models/starter/versions/v1
  displayName: Starter
  licenseTerms: Apache-2.0
  territory: [ke]
  prices:
${Object.entries(prices)
  .map(([name, [prompt, completion]]) => `    - {currencyCode: KES, promptPricePerMillion: "${prompt}", completionPricePerMillion: "${completion}", isolationClass: ${name}}`)
  .join('\n')}`),
  ];
  for (const tenant of Object.keys(tenants)) {
    documents.push(
      document('Tenant', `tenants/${tenant}`, `{displayName: ${tenant}, currencyCode: KES, residency: [ke]}`),
      document('Project', projectOf(tenant), '{displayName: Services}'),
      document('BillingAccount', `tenants/${tenant}/billingAccount`, '{currencyCode: KES, creditLimit: "100000"}'),
      ...Object.entries(instances[tenant]).map(([id, spec]) => instanceDocument(tenant, id, spec)),
    );
  }
  return documents.join('---\n');
}

before(() => {
  platform.up('--region', 'ke-1=ke', '--memory-mib', '1024');
  platform.allod(['import', starter, '--model', 'starter', '--license', 'Apache-2.0']);
  platform.allod(['apply', '-f', platform.writeFile('pool.yaml', manifest())]);
  for (const tenant of Object.keys(tenants)) {
    const file = `${platform.state}/keys/${tenant}.key`;
    platform.allod(['create-key', projectOf(tenant), '--file', file]);
    const key = readFileSync(file, 'utf8').trim();
    tenants[tenant] = { key, client: new OpenAI({ baseURL: platform.base, apiKey: key, timeout: 30_000 }) };
  }
});
after(() => platform.remove());

const workers = () => platform.json(['top']).workers;
const workerOf = (tenant, id) => workers().find((w) => w.instance === nameOf(tenant, id));
const usageOf = (tenant) => new Map(platform.json(['usage', `tenants/${tenant}`, '--limit', '1000']).items.map((r) => [r.name.split('/').pop(), r]));
const computedOf = (tenant, requestId) =>
  platform.json(['usage', `tenants/${tenant}`, '--computed', '--limit', '1000']).items.filter((e) => e.requestId === requestId);

// A text of exactly `maxTokens` tokens; never throws.
const tell = (tenant, model, maxTokens, more = {}) =>
  platform.stream(
    'completions',
    { model, prompt: 'Birth certificates', temperature: 1.6, max_tokens: maxTokens, logit_bias: { [endToken]: -100 } },
    { key: tenants[tenant].key, ...more },
  );

// What runs models below the agent.
const modelProcesses = () => descendants(platform.pid('node')).filter((p) => p.name === 'allod-worker');
// Nodes tell it every two seconds.
const pidOf = (tenant, id) =>
  eventually(`a process of ${tenant}/${id}`, () => {
    const pid = workerOf(tenant, id)?.pid;
    return modelProcesses().some((p) => p.pid === pid) && pid;
  });

test('the prefix cache is a tenant\'s own, in the process that tenants share as in those they do not', async () => {
  assert.equal(await pidOf('ke', 'shared'), await pidOf('tz', 'shared'), 'the pooled instances run in two processes');
  const own = await Promise.all(['shared', 'alpha', 'beta', 'own'].map((id) => pidOf('ke', id)));
  assert.equal(new Set(own).size, 4, `${own}`);
  const messages = [{ role: 'user', content: 'Where do I register the birth of my child, and which papers shall I bring? '.repeat(6) }];
  for (const model of ['shared', 'alpha']) {
    const cached = async (tenant) => {
      const answer = await tenants[tenant].client.chat.completions.create({ model, messages, max_tokens: 8, temperature: 0 });
      return [answer.usage.prompt_tokens_details.cached_tokens, answer.usage.prompt_tokens];
    };
    const [first, promptTokens] = await cached('ke');
    assert.equal(first, 0);
    const [second] = await cached('ke');
    assert.ok(second > promptTokens / 2 && second <= promptTokens, `${second} of ${promptTokens} were found`);
    assert.equal((await cached('tz'))[0], 0, `${model}: another tenant's prompt was found`);
    assert.ok((await cached('tz'))[0] > 0);
  }
});

test('every class has its price, to the last token of the invoice', async () => {
  await tenants.ke.client.chat.completions.create({ model: 'own', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8 });
  await eventually('an invoice with every class', () => {
    for (const tenant of Object.keys(tenants)) {
      const { lines } = platform.json(['invoice', `tenants/${tenant}`]);
      const classes = new Set();
      for (const line of lines) {
        const id = line.instance.split('/').pop();
        const isolation = /isolationClass: (\w+)/.exec(instances[tenant][id])[1];
        assert.equal(line.isolationClass, isolation, JSON.stringify(line));
        const [prompt, completion] = prices[isolation].map(Number);
        assert.equal(Number(line.promptPricePerMillion.amount), prompt);
        assert.equal(Number(line.completionPricePerMillion.amount), completion);
        // In units of 10^-12: prices have two decimals here.
        const pico = BigInt(line.promptTokens) * BigInt(prompt * 1e6) + BigInt(line.completionTokens) * BigInt(completion * 1e6);
        assert.equal(Number(line.amount.amount), Number(pico) / 1e12);
        if (Number(line.completionTokens) > 0) classes.add(isolation);
      }
      for (const isolation of tenant === 'ke' ? Object.keys(prices) : ['isolated', 'pooled']) {
        if (!classes.has(isolation)) return false;
      }
    }
    return true;
  });
});

test('`allod describe` tells the class and the layers of the sandbox', () => {
  const text = platform.allod(['describe', 'instances', nameOf('ke', 'shared')]);
  assert.match(text, /isolation_class: ISOLATION_CLASS_POOLED/);
  const { status } = platform.json(['describe', 'instances', nameOf('ke', 'own')]);
  assert.equal(status.isolationClass, 'ISOLATION_CLASS_DEDICATED');
  for (const layer of ['seccomp', 'no_new_privs', 'rlimits']) {
    assert.ok(status.replicas[0].sandboxLayers.includes(layer), `no ${layer} in ${status.replicas[0].sandboxLayers}`);
    assert.ok(text.includes(layer), text);
  }
});

test('a sleeping instance has no process, and a streamed request wakes it within two seconds', async () => {
  assert.equal((await tell('ke', 'sleeper', 4)).done, true);
  const { pid } = workerOf('ke', 'sleeper');
  await eventually('it is asleep', () => workerOf('ke', 'sleeper').state === 'STATE_ASLEEP', { timeoutMs: 15_000, everyMs: 200 });
  assert.match(platform.allod(['top']), /ke\/services\/sleeper +ISOLATED +ASLEEP/);
  if (pid) assert.ok(!descendants(platform.pid('node')).some((p) => p.pid === pid), 'its worker still runs');
  const started = performance.now();
  const seen = await tell('ke', 'sleeper', 8);
  const elapsed = performance.now() - started;
  assert.ok(seen.done && seen.deltas > 0, JSON.stringify(seen));
  assert.ok(elapsed < 2000, `${elapsed} ms`);
  await eventually('the wake is counted', () => Number(workerOf('ke', 'sleeper').figures.wakeCount) >= 1);
});

test('the figures of nodes and workers are on the gateway\'s metrics page', async () => {
  let page;
  const series = (name, labels) => page.split('\n').filter((line) => line.startsWith(name + '{') && labels.every((l) => line.includes(l)));
  await eventually('the tokens are counted', async () => {
    page = await (await fetch(platform.metrics)).text();
    const tokens = series('allod_worker_tokens_total', [`instance="${nameOf('ke', 'alpha')}"`, 'node="local"', 'class="isolated"']);
    return tokens.length === 1 && Number(tokens[0].split(' ').pop()) > 0;
  });
  assert.equal(series('allod_worker_wakes_total', ['ke/projects/services/instances/sleeper']).length, 1);
  assert.ok(series('allod_node_gate_turns_total', ['node="local"']).length === 1);
  assert.ok(series('allod_node_resident_model_private_bytes', ['dedicated="true"']).length === 1);
});

test('what does not fit into the memory of any node is refused with the reason', async () => {
  const before = workers().length;
  platform.allod(['apply', '--no-wait', '-f', '-'], { input: instanceDocument('ke', 'huge', 'isolationClass: dedicated\n  replicas: 16\n  maxConcurrency: 64') });
  const { status } = await eventually('it says why', () => {
    const found = platform.json(['describe', 'instances', nameOf('ke', 'huge')]);
    return found.status.state === 'STATE_FAILING' && found;
  });
  assert.match(status.message, /needs \d.*[MG]iB, .* free/);
  assert.equal((await tell('ke', 'alpha', 4)).done, true);
  platform.allod(['delete', 'instances', nameOf('ke', 'huge')]);
  await eventually('nothing of it is left', () => workers().length === before);
});

const parentOf = (pid) => modelProcesses().find((p) => p.pid === pid).parent;

const victims = {
  worker: () => pidOf('ke', 'alpha'),
  zygote: async () => parentOf(await pidOf('ke', 'alpha')),
  node: () => platform.pid('node'),
};
// Whose streams go on: the other instances of the same zygote, those of another zygote.
const survivors = { worker: ['beta', 'own'], zygote: ['own'], node: [] };

for (const [what, find] of Object.entries(victims)) {
  test(`kill -9 of the ${what} during streams`, { timeout: 40_000 }, async () => {
    const pid = await find();
    assert.ok(pid > 1, `no ${what}`);
    const processes = modelProcesses();
    const doomed = what === 'node' ? processes : [...descendants(pid), ...processes.filter((p) => p.pid === pid)];
    assert.ok(doomed.length > 0);
    assert.equal(parentOf(await pidOf('ke', 'beta')), parentOf(await pidOf('ke', 'alpha')), 'alpha and beta have different zygotes');

    // The bystanders speak first, and longer.
    const long = 900;
    const pieces = { beta: 0, own: 0 };
    const bystanders = {};
    const begun = Object.keys(pieces).map((id) => new Promise((resolve) => {
      bystanders[id] = tell('ke', id, long, { onText: () => ++pieces[id] === 1 && resolve() });
    }));
    await Promise.all(begun);
    let told = 0;
    let at;
    const killed = {};
    const cut = await tell('ke', 'alpha', long, {
      onText: () => {
        if (++told !== 5) return;
        Object.assign(killed, pieces);
        process.kill(pid, 'SIGKILL');
        at = performance.now();
      },
    });
    assert.ok(cut.status === 200 && cut.deltas >= 5, JSON.stringify(cut));
    assert.ok(!cut.done && cut.error, 'the cut stream ended as if it were whole');
    for (const [id, stream] of Object.entries(bystanders)) {
      const seen = await stream;
      if (survivors[what].includes(id)) {
        assert.ok(seen.done && !seen.error && seen.usage.completion_tokens === long, `${id}: ${JSON.stringify(seen.error)}, ${seen.deltas} deltas`);
        assert.ok(seen.deltas > killed[id], `${id} had ended before the kill`);
      } else {
        assert.ok(!seen.done && seen.error, `${id}: ended as if it were whole`);
      }
    }

    for (const tenant of Object.keys(instances)) {
      for (const id of Object.keys(instances[tenant])) {
        await eventually(`${tenant}/${id} answers`, async () => (await tell(tenant, id, 4)).done, { timeoutMs: Math.max(1, 10_000 - (performance.now() - at)) });
      }
    }
    assert.ok(performance.now() - at < 10_000, 'it took longer than 10 s');
    const left = doomed.filter(alive);
    assert.deepEqual(left, [], 'processes are left over');
    // As many as before; the sleeper may be awake or asleep.
    const wanted = processes.length;
    await eventually('as many processes as before', () => Math.abs(modelProcesses().length - wanted) <= 1 || undefined);

    const record = await eventually('the cut request is settled', () => usageOf('ke').get(cut.requestId));
    assert.ok(Number(record.completionTokens) >= cut.deltas, `${record.completionTokens} recorded, ${cut.deltas} pieces came`);
    assert.equal(record.outcome, 'OUTCOME_FAULT');
    assert.equal(record.cost.amount, '0');
    const events = await eventually('the node tells what was computed', () => {
      const found = computedOf('ke', cut.requestId);
      return found.length > 0 && found;
    });
    await sleep(300);
    assert.equal(computedOf('ke', cut.requestId).length, 1, 'told twice');
    assert.equal(events[0].outcome, 'COMPUTED_OUTCOME_LOST');
    assert.ok(Number(events[0].sampledTokens) >= Number(record.completionTokens), JSON.stringify([events[0], record]));
    await platform.soundBooks();
  });
}

test('`allod down` leaves no process', async () => {
  const everything = descendants(Number(readFileSync(`${platform.state}/allod.lock`, 'utf8')));
  assert.ok(everything.length > 10);
  platform.down();
  await eventually('all are gone', () => everything.filter(alive).length === 0);
});
