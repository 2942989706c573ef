// A whole installation in a directory of its own, driven through the `allod` command line like a user would.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { descendants } from './processes.mjs';

export const source = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.ALLOD_BUILD_DIR ?? join(source, 'build');
const bin = join(build, 'bin');

export const project = 'tenants/ke/projects/services';
export const instance = `${project}/instances/assistant`;
export const version = 'models/starter/versions/v1';
export const starter = join(source, 'inference/starter/starter-f16.gguf');

// Runs until `check` gives something other than undefined or false.
export async function eventually(what, check, { timeoutMs = 10_000, everyMs = 50 } = {}) {
  const deadline = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms${last ? `; last: ${last.message}` : ''}`);
    await sleep(everyMs);
  }
}

export class Platform {
  constructor() {
    this.state = mkdtempSync(join(tmpdir(), 'allod-e2e-'));
  }

  // Runs `allod ARGS`; throws with its message unless it exits with `status`.
  allod(args, { status = 0, input } = {}) {
    const run = spawnSync(join(bin, 'allod'), ['--state', this.state, ...args], { encoding: 'utf8', input, timeout: 300_000 });
    if (run.status !== status) {
      throw new Error(`allod ${args.join(' ')}: exit ${run.status}, expected ${status}\n${run.stdout}${run.stderr}`);
    }
    return run.stdout + run.stderr;
  }
  json(args) {
    const run = spawnSync(join(bin, 'allod'), ['--state', this.state, '-o', 'json', ...args], {
      encoding: 'utf8', timeout: 300_000, maxBuffer: 256 << 20,
    });
    if (run.status !== 0) throw new Error(`allod ${args.join(' ')}: exit ${run.status}\n${run.stderr}`);
    return JSON.parse(run.stdout);
  }

  up(...args) {
    this.allod(['up', '--detach', ...args]);
    const status = this.json(['status']);
    this.base = status.base_url;
    this.metrics = status.metrics_url;
  }
  down() {
    this.allod(['down']);
  }
  remove() {
    try {
      this.down();
    } finally {
      if (!process.env.ALLOD_KEEP_STATE) rmSync(this.state, { recursive: true, force: true });
    }
  }

  // An example of deploy/examples.
  applyExample(name) {
    this.allod(['apply', '-f', join(source, 'deploy/examples', name)]);
  }

  // Imports the starter model, compresses it, and gives Kenya an instance and a key.
  provision() {
    this.allod(['import', starter, '--model', 'starter', '--license', 'Apache-2.0', '--compress', 'Q8_0,Q4_K_M']);
    this.applyExample('kenya.yaml');
    this.allod(['create-key', project]);
    this.keyFile = join(this.state, 'keys/ke-services.key');
    this.key = readFileSync(this.keyFile, 'utf8').trim();
  }

  // Another key of the project: rate limits count per key.
  createKey(name) {
    const file = join(this.state, `keys/${name}.key`);
    this.allod(['create-key', project, '--file', file]);
    return readFileSync(file, 'utf8').trim();
  }

  pid(name) {
    const status = JSON.parse(readFileSync(join(this.state, 'run/status.json'), 'utf8'));
    const pid = status.processes.find((process) => process.name === name)?.pid;
    // Of one that is being started again there is none; -1 would be everybody.
    return pid > 1 ? pid : undefined;
  }
  // Agent, launcher, zygote, worker: each the child of the one before. Of those that run a worker.
  #modelProcesses() {
    const node = this.pid('node');
    const below = new Map(descendants(node).map((process) => [process.pid, process]));
    return [...below.values()].filter((p) => below.get(below.get(p.parent)?.parent)?.parent === node);
  }
  workerPids() {
    return this.#modelProcesses().map((p) => p.pid);
  }
  zygotePids() {
    return [...new Set(this.#modelProcesses().map((p) => p.parent))];
  }

  writeFile(name, content) {
    const path = join(this.state, name);
    writeFileSync(path, content);
    return path;
  }

  // One streamed chat as a bare HTTP client sees it. Never throws: tells how far it came.
  chat(content, { maxTokens = 64, ...rest } = {}) {
    return this.stream('chat/completions', { messages: [{ role: 'user', content }], temperature: 0, max_tokens: maxTokens }, rest);
  }
  // The same for raw text; hot and unguided, it runs for hundreds of tokens.
  ramble(prompt, { maxTokens = 600, ...rest } = {}) {
    return this.stream('completions', { prompt, temperature: 1.6, max_tokens: maxTokens }, rest);
  }
  async stream(path, body, { signal, onText, key = this.key } = {}) {
    const seen = { status: 0, requestId: undefined, text: '', deltas: 0, usage: undefined, done: false, error: undefined };
    try {
      // Some versions of fetch() never settle when the signal comes while the connection is being closed.
      const left = new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('left')), { once: true }));
      left.catch(() => {});
      await Promise.race([this.#read(path, body, seen, { signal, onText, key }), left]);
    } catch (error) {
      seen.error ??= { message: error.message, code: 'connection' };
    }
    return seen;
  }
  async #read(path, body, seen, { signal, onText, key }) {
    const response = await fetch(`${this.base}/${path}`, {
      method: 'POST',
      signal,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'assistant', stream: true, stream_options: { include_usage: true }, ...body }),
    });
    seen.status = response.status;
    seen.requestId = response.headers.get('x-request-id');
    if (!response.ok) {
      seen.error = (await response.json()).error;
      return;
    }
    let rest = '';
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      rest += decoder.decode(bytes, { stream: true });
      const events = rest.split('\n\n');
      rest = events.pop();
      for (const event of events) {
        if (!event.startsWith('data: ')) continue;
        if (event === 'data: [DONE]') {
          seen.done = true;
          continue;
        }
        const chunk = JSON.parse(event.slice(6));
        if (chunk.error) seen.error = chunk.error;
        if (chunk.usage) seen.usage = chunk.usage;
        const text = chunk.choices?.[0]?.delta?.content ?? chunk.choices?.[0]?.text;
        if (text) {
          seen.text += text;
          seen.deltas += 1;
          onText?.();
        }
      }
    }
  }

  // The ledger, as soon as nodes have told of all that was billed; throws unless its books are sound and every bill fits what was
  // computed.
  async soundBooks() {
    const ledger = await eventually('nodes have told what they computed', () => {
      const found = this.json(['ledger']);
      return found.unreportedUsageRecordCount === '0' && found;
    }, { timeoutMs: 20_000, everyMs: 250 });
    const wrong = ['overbilledCount', 'unbilledCount', 'uncomputedCount', 'unsettledCount'].filter((kind) => ledger.usage[kind] !== '0');
    const sums = ledger.sums.map((sum) => sum.amount);
    if (wrong.length || ledger.mismatchedAccounts.length || sums.some((amount) => amount !== '0')) {
      throw new Error(`the books are not sound: ${JSON.stringify(ledger)}`);
    }
    return ledger;
  }

  usage(limit = 100_000) {
    return new Map(this.json(['usage', 'tenants/ke', '--limit', String(limit)]).items.map((r) => [r.name.split('/').pop(), r]));
  }
}

export { build, sleep };
