// kill -9 of any one process while requests run: it comes back, the instance answers within 10 s, the ledger sums to zero,
// and no request that got tokens is missing from usage.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Platform, eventually, sleep } from './platform.mjs';

const platform = new Platform();
let keys;
before(() => {
  platform.up('--region', 'ke-1=ke');
  platform.provision();
  keys = Array.from({ length: 8 }, (_, i) => platform.createKey(`client-${i}`));
});
after(() => platform.remove());

const questions = ['How do I get a birth certificate?', 'Ninapataje pasipoti?', 'Where do I pay my taxes?', 'Namba ya dharura ni ipi?'];

// Asks without pause, one client per key, until stopped; every other client asks for long texts. Keeps what every client saw.
function load() {
  const seen = [];
  let running = true;
  const clients = keys.map(async (key, client) => {
    for (let i = 0; running && i < 2_000; ++i) {
      const answer = await (client % 2 ? platform.ramble('Birth certificates', { key }) : platform.chat(questions[(client + i) % questions.length], { key }));
      // A person reads the answer; and a key has its rate.
      if (client % 2 === 0) await sleep(150);
      seen.push(answer);
      if (!answer.done) await sleep(50);
    }
  });
  return {
    seen,
    async stop() {
      running = false;
      await Promise.all(clients);
    },
  };
}

function victim(name) {
  if (name === 'worker') return platform.workerPids()[0];
  if (name === 'zygote') return platform.zygotePids()[0];
  return platform.pid(name);
}

// Their death cuts the streams that run through them.
const onThePath = new Set(['worker', 'zygote', 'node', 'gateway']);

for (const name of ['worker', 'zygote', 'node', 'scheduling', 'billing', 'catalog', 'tenancy', 'redis', 'postgres', 'gateway']) {
  test(`kill -9 of ${name} under load`, { timeout: 120_000 }, async () => {
    const clients = load();
    await eventually('answers before', () => clients.seen.filter((s) => s.done).length >= 8, { timeoutMs: 60_000 });
    const pid = victim(name);
    assert.ok(pid > 1, `${name} has no process`);
    process.kill(pid, 'SIGKILL');
    const killed = Date.now();
    await eventually(`${name} is back`, () => {
      const now = victim(name);
      return now > 1 && now !== pid;
    });
    await eventually('an answer after', async () => (await platform.chat('Hello?', { maxTokens: 8 })).done, { timeoutMs: 10_000 - (Date.now() - killed) });
    await clients.stop();

    // A stream that failed says so: it never ends as if it were whole.
    for (const answer of clients.seen) {
      if (answer.status === 200 && !answer.done) assert.ok(answer.error, 'a cut stream ended cleanly');
    }
    if (onThePath.has(name)) assert.ok(clients.seen.some((s) => s.status === 200 && !s.done && s.deltas > 0), 'no stream was cut');
    const withTokens = clients.seen.filter((s) => s.deltas > 0);
    assert.ok(withTokens.length >= 4);
    const usage = await eventually(
      'usage of every request that got tokens',
      () => {
        const usage = platform.usage();
        const missing = withTokens.filter((s) => !usage.has(s.requestId));
        if (missing.length) throw new Error(`${missing.length} of ${withTokens.length} are missing`);
        return usage;
      },
      { timeoutMs: 20_000, everyMs: 250 },
    );
    for (const answer of withTokens) {
      const record = usage.get(answer.requestId);
      if (answer.usage) assert.equal(Number(record.completionTokens), answer.usage.completion_tokens);
      if (record.outcome === 'OUTCOME_FAULT') assert.equal(record.cost.amount, '0');
    }
    const ledger = await platform.soundBooks();
    assert.equal(Number(ledger.usageRecordCount), usage.size);
  });
}

test('kill -9 of the supervisor leaves no process behind, and the next `allod up` works', { timeout: 60_000 }, async () => {
  const { readFileSync, readdirSync } = await import('node:fs');
  const supervisor = Number(readFileSync(`${platform.state}/allod.lock`, 'utf8'));
  process.kill(supervisor, 'SIGKILL');
  // Whatever belongs to this installation names its state directory on its command line.
  const left = () =>
    readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return argv.includes(platform.state) && !argv.includes('--test');
      } catch {
        return false;
      }
    });
  await eventually('everything is gone', () => left().length === 0, { timeoutMs: 20_000 });
  platform.up();
  await eventually('an answer', async () => (await platform.chat('Hello?', { maxTokens: 8 })).done);
});
