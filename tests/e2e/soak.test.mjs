// Thousands of requests to instances of all classes, while clients leave at any moment and workers, zygotes and the node agent
// are killed. Afterwards no usage record is lost or doubled, nothing computes for nobody, and no process is left.
//
//   ALLOD_SOAK_REQUESTS=10000 node --test tests/e2e/soak.test.mjs      (300 without)

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Platform, eventually, project, sleep, starter } from './platform.mjs';
import { alive, descendants } from './processes.mjs';

const requestCount = Number(process.env.ALLOD_SOAK_REQUESTS ?? 300);
const clientCount = 12;
const killEvery = 60; // requests
const platform = new Platform();
const instances = ['alpha', 'beta', 'sleeper', 'pooled-one', 'pooled-two', 'dedicated'];
let keys;

// A seed of its own for each run, printed, so that a run can be told again.
const seed = Number(process.env.ALLOD_SOAK_SEED ?? Date.now() % 1_000_000);
let state = seed + 1;
function random(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

const manifest = () => `apiVersion: allod/v1
kind: Tenant
metadata: {name: tenants/ke}
spec: {displayName: Kenya, currencyCode: KES, residency: [ke]}
---
apiVersion: allod/v1
kind: Project
metadata: {name: ${project}}
spec: {displayName: Public services}
---
apiVersion: allod/v1
kind: BillingAccount
metadata: {name: tenants/ke/billingAccount}
spec: {currencyCode: KES, creditLimit: "100000000"}
---
apiVersion: allod/v1
kind: Listing
metadata: {name: listings/starter-v1}
spec:
  version: models/starter/versions/v1
  displayName: Starter
  licenseTerms: Apache-2.0
  territory: [ke]
  prices:
    - {currencyCode: KES, promptPricePerMillion: "12.50", completionPricePerMillion: "37.50"}
${instances
  .map(
    (id) => `---
apiVersion: allod/v1
kind: Instance
metadata: {name: ${project}/instances/${id}}
spec:
  listing: listings/starter-v1
  variant: models/starter/versions/v1/variants/source
  region: regions/ke-1
  isolationClass: ${id.startsWith('pooled') ? 'pooled' : id === 'dedicated' ? 'dedicated' : 'isolated'}
  contextTokens: 512
  maxConcurrency: 4${id === 'sleeper' ? '\n  sleepAfterSeconds: 1' : ''}
`,
  )
  .join('')}`;

before(() => {
  platform.up('--region', 'ke-1=ke');
  platform.allod(['import', starter, '--model', 'starter', '--license', 'Apache-2.0']);
  platform.allod(['apply', '-f', platform.writeFile('soak.yaml', manifest())]);
  platform.allod(['create-key', project]);
  // A key has its rate; thousands of requests need several.
  keys = Array.from({ length: clientCount * 2 }, (_, i) => platform.createKey(`soak-${i}`));
});
after(() => platform.remove());

function complete(prompt, { model, key, signal, onText, maxTokens, temperature = 0 }) {
  return platform.stream('completions', { model, prompt, temperature, max_tokens: maxTokens }, { key, signal, onText });
}

// One request of some kind, and whether its client left on purpose.
async function ask(number) {
  const key = keys[number % keys.length];
  const model = instances[random(instances.length)];
  const controller = new AbortController();
  const options = { key, signal: controller.signal, model };
  const kind = random(10);
  let answer;
  if (kind < 5) {
    answer = complete('Where do I pay my taxes?', { ...options, maxTokens: 8 + random(24) });
  } else if (kind < 8) {
    // Leaves in the middle.
    let left = 1 + random(20);
    options.onText = () => --left === 0 && controller.abort();
    answer = complete('Birth certificates', { ...options, maxTokens: 300, temperature: 1.6 });
  } else {
    // Leaves at any moment: before the head, during the prefill, or after the end.
    const timer = setTimeout(() => controller.abort(), random(60));
    answer = complete('The register of births. '.repeat(1 + random(12)), { ...options, maxTokens: 64 });
    answer.finally(() => clearTimeout(timer));
  }
  const seen = await answer;
  return { ...seen, model, left: controller.signal.aborted };
}

// Processes that hold or run models: those with children are zygotes.
const modelProcesses = () => descendants(platform.pid('node')).filter((p) => p.name !== 'allod-compress');

function killSomething(everSeen) {
  const running = modelProcesses();
  everSeen.push(...running);
  const dice = random(10);
  const node = platform.pid('node');
  const workers = running.filter((p) => !p.children);
  const zygotes = running.filter((p) => p.children);
  let victim = { pid: node, what: 'node' };
  if (dice < 5 && workers.length) victim = { pid: workers[random(workers.length)].pid, what: 'worker' };
  else if (dice < 9 && zygotes.length) victim = { pid: zygotes[random(zygotes.length)].pid, what: 'zygote' };
  if (!(victim.pid > 1)) return undefined; // the agent is just being started again
  try {
    process.kill(victim.pid, 'SIGKILL');
  } catch {
    return undefined; // gone meanwhile
  }
  return victim.what;
}

test(`${requestCount} requests, with cancels, disconnects and kills`, { timeout: 3_600_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const seen = [];
  const kills = { worker: 0, zygote: 0, node: 0 };
  const everSeen = [];
  let sent = 0;
  const clients = Array.from({ length: clientCount }, async () => {
    while (sent < requestCount) {
      const number = sent++;
      if (number % killEvery === killEvery - 1) {
        const what = killSomething(everSeen);
        if (what) ++kills[what];
      }
      const answer = await ask(number);
      seen.push(answer);
      // Nobody asks at full speed what has just refused.
      if (answer.status !== 200 && !answer.left) await sleep(100);
    }
  });
  await Promise.all(clients);
  const withTokens = seen.filter((s) => s.deltas > 0);
  const count = (check) => seen.filter(check).length;
  t.diagnostic(
    `${seen.length} requests: ${count((s) => s.done)} whole, ${count((s) => s.left)} left by their clients, ` +
      `${count((s) => s.status === 200 && !s.done && !s.left)} cut by a fault, ${count((s) => s.status !== 200 && !s.left)} refused; killed ${JSON.stringify(kills)}`,
  );
  assert.ok(kills.worker + kills.zygote + kills.node >= Math.floor(requestCount / killEvery / 2), 'nothing was killed');
  assert.ok(count((s) => s.done) >= requestCount / 10, 'hardly any request was answered');

  // A stream that failed says so.
  for (const s of seen) {
    if (s.status === 200 && !s.done && !s.left) assert.ok(s.error, `${s.requestId}: a cut stream ended cleanly`);
  }

  // Nothing computes any more, for nobody.
  await eventually(
    'all workers are idle',
    () => platform.json(['top']).workers.every((w) => !Number(w.figures?.activeRequests ?? 0) && !Number(w.figures?.queuedRequests ?? 0)),
    { timeoutMs: 30_000, everyMs: 500 },
  );
  await eventually('every instance answers again', async () => {
    for (const model of instances) if (!(await complete('Hello', { model, key: keys[0], maxTokens: 4 })).done) return false;
    return true;
  }, { timeoutMs: 30_000, everyMs: 250 });

  // What clients got, what was billed, and what nodes computed are held against each other.
  // Nothing says of a request that was admitted from a lease that it is still to be settled.
  const { records, computed } = await eventually('every request is settled, and nodes have told what they computed', () => {
    const events = platform.json(['usage', 'tenants/ke', '--computed', '--limit', '100000']).items;
    const usage = platform.usage();
    const missing = withTokens.filter((s) => !usage.has(s.requestId));
    if (missing.length) throw new Error(`${missing.length} of ${withTokens.length} have no usage record`);
    const unsettled = events.filter((e) => !usage.has(e.requestId));
    if (unsettled.length) throw new Error(`${unsettled.length} were computed and are not settled`);
    const known = new Set(events.map((e) => e.requestId));
    const untold = [...usage.values()].filter((r) => Number(r.completionTokens ?? 0) > 0 && !known.has(r.name.split('/').pop()));
    if (untold.length) throw new Error(`${untold.length} billed requests were computed nowhere`);
    return { records: usage, computed: events };
  }, { timeoutMs: 60_000, everyMs: 1000 });

  assert.equal(new Set(computed.map((e) => e.eventId)).size, computed.length, 'an event was recorded twice');
  const byRequest = new Map();
  for (const e of computed) byRequest.set(e.requestId, [...(byRequest.get(e.requestId) ?? []), e]);
  for (const [id, events] of byRequest) {
    assert.ok(records.has(id), `${id} was computed and never settled`);
    const completed = events.filter((e) => e.outcome === 'COMPUTED_OUTCOME_COMPLETED');
    assert.ok(completed.length <= 1, `${id} was completed ${completed.length} times`);
    const sampled = events.reduce((sum, e) => sum + Number(e.sampledTokens ?? 0), 0);
    assert.ok(Number(records.get(id).completionTokens ?? 0) <= sampled, `${id}: more was billed than sampled`);
  }
  for (const s of withTokens) {
    const tokens = Number(records.get(s.requestId).completionTokens ?? 0);
    assert.ok(tokens >= s.deltas, `${s.requestId}: ${s.deltas} pieces came, ${tokens} tokens are recorded`);
    if (s.usage) assert.equal(tokens, s.usage.completion_tokens, s.requestId);
    if (s.done) {
      const completed = byRequest.get(s.requestId).filter((e) => e.outcome === 'COMPUTED_OUTCOME_COMPLETED');
      assert.equal(completed.length, 1, `${s.requestId}: a whole answer was completed ${completed.length} times`);
    }
  }
  const ledger = await platform.soundBooks();
  assert.equal(Number(ledger.usageRecordCount), records.size);
  t.diagnostic(`${records.size} usage records, ${computed.length} computed events of ${byRequest.size} requests`);

  everSeen.push(...descendants(Number(readFileSync(`${platform.state}/allod.lock`, 'utf8'))));
  platform.down();
  await eventually('no process is left', () => {
    const left = everSeen.filter(alive);
    if (left.length) throw new Error(`left: ${left.map((p) => `${p.name} (${p.pid})`).join(', ')}`);
    return true;
  });
});
