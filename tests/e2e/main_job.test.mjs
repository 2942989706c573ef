// The main job, end to end, through the doors that users have: command line, OpenAI client, plain HTTP.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Platform, build, eventually, instance, project, source, starter, version } from './platform.mjs';

const platform = new Platform();
before(() => {
  platform.up('--region', 'ke-1=ke');
  platform.provision();
});
after(() => platform.remove());

test('a second `allod up` on the same directory is a clear error', () => {
  assert.match(platform.allod(['up', '--detach'], { status: 1 }), /is already up \(process \d+\)/);
});

test('as root, every process but the agent has a user of its own and is confined', { skip: process.getuid() !== 0 && 'only root gives users away' }, () => {
  const processes = Object.fromEntries(platform.json(['status']).processes.map((p) => [p.name, p]));
  const kernel = (p) => Object.fromEntries(readFileSync(`/proc/${p.pid}/status`, 'utf8').split('\n').map((line) => line.split(/:\s+/)));
  for (const name of ['tenancy', 'catalog', 'billing', 'scheduling', 'gateway']) {
    const p = processes[name];
    const layers = ['own_uid', 'no_capabilities', 'no_new_privs', 'seccomp', 'not_dumpable', 'rlimits', 'landlock'];
    // Landlock is the kernel's to have.
    for (const layer of layers.slice(0, -1)) assert.ok(p.layers.includes(layer), `${name}: ${layer} is not in ${p.layers}`);
    assert.equal(kernel(p).CapBnd, '0000000000000000', name);
    assert.equal(kernel(p).Seccomp, '2', name);
  }
  for (const name of ['redis', 'postgres']) {
    assert.ok(['own_uid', 'no_capabilities', 'no_new_privs'].every((l) => processes[name].layers.includes(l)), `${name}: ${processes[name].layers}`);
  }
  // SETUID, SETGID, SETPCAP, SYS_ADMIN, SYS_CHROOT, KILL, DAC_READ_SEARCH, and none that the host does not give.
  assert.equal(BigInt(`0x${kernel(processes.node).CapPrm}`) & ~((1n << 7n) | (1n << 6n) | (1n << 8n) | (1n << 21n) | (1n << 18n) | (1n << 5n) | (1n << 2n) | (1n << 31n)), 0n);
});

// In a chroot, and in some containers, there are none even for root.
const hostGivesNamespaces = () => process.getuid() === 0 && spawnSync('unshare', ['--user', '--net', 'true']).status === 0;

test('jobs over foreign files ran wholly inside the sandbox', { skip: !hostGivesNamespaces() && 'this host or user gets no user namespaces' }, () => {
  const said = readFileSync(join(platform.state, 'logs/node.log'), 'utf8').split('\n').filter((line) => line.includes('job confined'));
  assert.ok(said.length >= 2, 'an inspection and a compression');
  for (const line of said) {
    for (const layer of ['own_uid', 'empty_root', 'network_namespace', 'pid_namespace', 'no_capabilities', 'no_new_privs', 'not_dumpable', 'rlimits', 'seccomp']) {
      assert.ok(line.includes(layer), `${layer} is missing: ${line}`);
    }
  }
});

test('every variant carries what was measured of it', () => {
  const variants = Object.fromEntries(platform.json(['get', 'variants', version]).items.map((v) => [v.compression, v]));
  assert.deepEqual(Object.keys(variants).sort(), ['Q4_K_M', 'Q8_0', 'SOURCE']);
  const { SOURCE, Q8_0, Q4_K_M } = variants;
  assert.ok(Number(Q4_K_M.artifactBytes) < Number(Q8_0.artifactBytes));
  assert.ok(Number(Q8_0.artifactBytes) < Number(SOURCE.artifactBytes));
  assert.ok(Q4_K_M.quality.bitsPerWeight < Q8_0.quality.bitsPerWeight);
  assert.ok(Q4_K_M.quality.meanKlDivergence > Q8_0.quality.meanKlDivergence);
  assert.ok(Q8_0.quality.meanKlDivergence > 0 && Q8_0.quality.meanKlDivergence < 0.05);
  assert.ok(Q8_0.quality.top1Agreement > 0.9 && Q8_0.quality.top1Agreement <= 1);
  for (const v of [SOURCE, Q8_0, Q4_K_M]) {
    assert.ok(v.quality.perplexity > 1 && v.quality.decodeTokensPerSecond > 0 && v.quality.evaluatedTokens >= 512);
  }
});

test('applying the same manifest again changes nothing', () => {
  const text = platform.allod(['apply', '-f', join(source, 'deploy/examples/kenya.yaml')]);
  assert.equal(text.match(/^as it is/gm)?.length, 5, text);
});

test('a tenant below it is planned as the example says', () => {
  const text = platform.allod(['apply', '-f', join(source, 'deploy/examples/ministry.yaml'), '--dry-run']);
  assert.equal(text.match(/^create/gm)?.length, 3, text);
});

test('the npm openai client works against it', () => {
  const run = spawnSync(process.execPath, ['--test', join(source, 'tests/e2e/openai/chat.test.mjs')], {
    encoding: 'utf8',
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ALLOD_BASE_URL: platform.base, ALLOD_API_KEY_FILE: platform.keyFile, ALLOD_MODEL: 'assistant' },
    timeout: 120_000,
  });
  assert.equal(run.status, 0, run.stdout + run.stderr);
});

test('a model that the project has never seen goes the same way', async () => {
  const file = join(platform.state, 'unseen.gguf');
  assert.equal(spawnSync(join(build, 'tests/make_tiny_gguf'), [file, '7']).status, 0);
  platform.allod(['import', file, '--model', 'unseen', '--license', 'LicenseRef-unknown', '--compress', 'q8_0,Q4_K_M']);
  const variants = platform.json(['get', 'variants', 'models/unseen/versions/v1']).items;
  // Its widths are no multiple of 256: the nearest types that fit were used, and the report says so.
  const q4 = variants.find((v) => v.compression === 'Q4_K_M');
  assert.ok(!('Q4_K' in q4.tensorTypes) && Object.keys(q4.tensorTypes).length > 0, JSON.stringify(q4.tensorTypes));
  const manifest = readFileSync(join(source, 'deploy/examples/kenya.yaml'), 'utf8');
  platform.allod(['apply', '-f', '-'], {
    input: manifest.replaceAll(version, 'models/unseen/versions/v1').replaceAll('listings/starter-v1', 'listings/unseen').replace('instances/assistant', 'instances/unseen'),
  });
  const answer = platform.json(['chat', `${project}/instances/unseen`, 'Hello?', '--temperature', '0', '--max-tokens', '32']);
  assert.ok(answer.prompt_tokens > 0 && answer.completion_tokens > 0 && answer.completion_tokens <= 32, JSON.stringify(answer));
  assert.match(platform.allod(['delete', 'instances', `${project}/instances/unseen`]), /unseen is deleted/);
  assert.equal(platform.json(['get', 'instances', project]).items.length, 1);
});

test('usage, invoice and ledger agree to the last token', async () => {
  const seen = await platform.chat('How do I get a birth certificate?');
  assert.ok(seen.done && seen.usage, JSON.stringify(seen));
  const record = await eventually('the usage record', () => platform.usage().get(seen.requestId));
  assert.equal(record.promptTokens, String(seen.usage.prompt_tokens));
  assert.equal(record.completionTokens, String(seen.usage.completion_tokens));
  // 12.50 and 37.50 KES per million, in units of 10^-12 KES.
  const pico = (r) => BigInt(r.promptTokens) * 12_500_000n + BigInt(r.completionTokens) * 37_500_000n;
  const decimal = (value) => {
    const digits = value.toString().padStart(13, '0');
    return `${digits.slice(0, -12)}.${digits.slice(-12)}`.replace(/\.?0+$/, '');
  };
  assert.equal(record.cost.amount, decimal(pico(record)));
  await eventually('an invoice that holds every record', () => {
    const billed = [...platform.usage().values()].filter((r) => r.cost.amount !== '0');
    const invoice = platform.json(['invoice', 'tenants/ke']);
    return invoice.total.amount === decimal(billed.reduce((sum, r) => sum + pico(r), 0n)) && invoice.state === 'STATE_DRAFT';
  });
  await platform.soundBooks();
});

test('a key\'s file is not overwritten unasked', () => {
  const file = `${platform.state}/keys/again.key`;
  const create = (...more) => platform.allod(['create-key', project, '--file', file, ...more], more.length ? {} : { status: 1 });
  platform.allod(['create-key', project, '--file', file]);
  const first = readFileSync(file, 'utf8');
  assert.match(create(), /FILE_EXISTS/);
  assert.equal(readFileSync(file, 'utf8'), first);
  create('--replace');
  assert.notEqual(readFileSync(file, 'utf8'), first);
});

test('a key is rotated: both hold for a while, then the successor alone', async () => {
  const [first, second, third] = ['first', 'second', 'third'].map((name) => `${platform.state}/keys/${name}.key`);
  const made = platform.json(['create-key', project, '--file', first, '--expires', '90d', '--ip', '127.0.0.0/8', '--instance', 'assistant']);
  const status = async (file) =>
    (await fetch(`${platform.base}/models`, { headers: { authorization: `Bearer ${readFileSync(file, 'utf8').trim()}` } })).status;
  assert.equal(await status(first), 200);
  assert.match(platform.allod(['rotate-key', made.name, '--file', first], { status: 1 }), /FILE_EXISTS/);
  const rotated = platform.json(['rotate-key', made.name, '--file', second, '--overlap', '1h']);
  assert.notEqual(rotated.name, made.name);
  assert.equal(await status(first), 200);
  assert.equal(await status(second), 200);
  const listed = new Map(platform.json(['get', 'apiKeys', project]).items.map((key) => [key.name, key]));
  const [old, successor] = [listed.get(made.name), listed.get(rotated.name)];
  assert.ok(new Date(old.expireTime) - Date.now() <= 3_600_000);
  assert.ok(new Date(successor.expireTime) - Date.now() > 89 * 86_400_000);
  assert.deepEqual(successor.allowedIpRanges, ['127.0.0.0/8']);
  assert.deepEqual(successor.allowedInstances, [`${project}/instances/assistant`]);
  platform.allod(['rotate-key', rotated.name, '--file', third, '--overlap', '0']);
  assert.equal(await status(second), 401);
  assert.equal(await status(third), 200);
});

test('a client that goes away is billed for what it got, and no more', async () => {
  // It rambles, and now and then its answer is over before its first piece was read.
  let seen = { done: true };
  for (let tries = 0; seen.done && tries < 5; ++tries) {
    const abort = new AbortController();
    seen = await platform.ramble('Birth certificates', { signal: abort.signal, onText: () => abort.abort() });
  }
  assert.ok(!seen.done && seen.deltas > 0, JSON.stringify(seen));
  const record = await eventually('the usage record', () => platform.usage().get(seen.requestId));
  assert.equal(record.outcome, 'OUTCOME_CLIENT_CANCELLED');
  assert.ok(Number(record.completionTokens) >= seen.deltas, `${record.completionTokens} recorded, ${seen.deltas} seen`);
  assert.ok(Number(record.completionTokens) < 600, 'billed to the end although the client had gone');
  assert.notEqual(record.cost.amount, '0');
});

test('the portal API answers from the annotations', async () => {
  const portal = platform.base.replace(/\/v1$/, '/portal/v1');
  const headers = { authorization: `Bearer ${platform.key}` };
  const found = await (await fetch(`${portal}/${instance}`, { headers })).json();
  assert.equal(found.name, instance);
  assert.equal(found.status.state, 'STATE_READY');
  const other = await fetch(`${portal}/tenants/ug/projects/x/instances/y`, { headers });
  assert.equal(other.status, 404);
  assert.equal(other.headers.get('content-type'), 'application/problem+json');
});

test('idle services use less than 400 MB together', () => {
  const status = platform.json(['status']);
  assert.ok(status.memory_bytes > 10e6 && status.memory_bytes < 400e6, `${status.memory_bytes} bytes`);
});

const refused = (what, args, pattern, options = {}) =>
  test(`refused with a reason: ${what}`, () => {
    const before = ['models', 'listings', 'tenants'].map((kind) => platform.json(['get', kind]).items.length);
    const artifacts = readdirSync(join(platform.state, 'artifacts')).sort();
    const text = platform.allod(typeof args === 'function' ? args() : args, { status: options.status ?? 1, input: options.input });
    assert.match(text, pattern);
    assert.deepEqual(['models', 'listings', 'tenants'].map((kind) => platform.json(['get', kind]).items.length), before);
    assert.deepEqual(readdirSync(join(platform.state, 'artifacts')).sort(), artifacts);
  });

const importBroken = (name, breakIt) => () => {
  const path = join(platform.state, `${name}.gguf`);
  copyFileSync(starter, path);
  breakIt(path);
  return ['import', path, '--model', name, '--license', 'Apache-2.0'];
};
const flip = (offset) => (path) => {
  const bytes = readFileSync(path);
  bytes[offset] ^= 0x80;
  writeFileSync(path, bytes);
};
refused('a truncated model', importBroken('cut', (path) => truncateSync(path, 100_000)), /GGUF_[A-Z_]+/, { status: 2 });
refused('a model with a flipped bit in its counts', importBroken('flipped', flip(15)), /GGUF_[A-Z_]+/, { status: 2 });
refused('a file that is no model', importBroken('text', (path) => writeFileSync(path, 'not a model')), /GGUF_[A-Z_]+/, { status: 2 });

const document = (kind, name, spec) => `apiVersion: allod/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${JSON.stringify(spec)}\n`;
const offer = { version, displayName: 'Offer', licenseTerms: 'Apache-2.0', prices: [{ currencyCode: 'KES', promptPricePerMillion: '1', completionPricePerMillion: '1' }] };
const wish = { listing: 'listings/starter-v1', variant: `${version}/variants/q4_k_m`, region: 'regions/ke-1' };
const apply = ['apply', '-f', '-'];
refused('a command that there is not', ['appy'], /'appy' is no command of `allod`; did you mean apply\?/, { status: 2 });
refused('a command of a group that there is not', ['audit', 'lst', 'tenants/ke'], /'lst' is no command of `allod audit`; did you mean list\?/, { status: 2 });
refused('a tenant to be deleted as others are', ['delete', 'tenants', 'tenants/ke'], /`allod tenants delete tenants\/ke`/, { status: 2 });
for (const args of [['audit', 'verify'], ['audit', 'list'], ['audit', 'heads'], ['usage'], ['usage', '--computed'], ['invoice', 'list'], ['invoice'], ['quota'], ['describe', 'tenants']]) {
  refused(`${args.join(' ')} of a tenant that is none`, [...args, 'tenants/nope'], /tenants\/nope/, { status: 3 });
}
test('a tenant is named by its id as well, and help is a command', () => {
  for (const args of [['audit', 'verify'], ['audit', 'list'], ['usage'], ['invoice', 'list'], ['invoice'], ['quota'], ['get', 'projects'], ['describe', 'tenants']]) {
    assert.equal(platform.allod([...args, 'ke']).length > 0, true, args.join(' '));
  }
  assert.match(platform.allod(['help']), /apply.*Exit status/s);
  assert.match(platform.allod(['help', 'tenants', 'delete']), /allod tenants delete.*--grace/s);
});
refused('an unknown field', apply, /standard input:4: spec\.regoin: unknown field; known are/, {
  status: 2, input: document('Instance', `${project}/instances/x`, { ...wish, regoin: 'regions/ke-1' }),
});
refused('a price with 13 decimals', apply, /has 13 decimals/, {
  status: 2,
  input: document('Listing', 'listings/dear', { ...offer, prices: [{ currencyCode: 'KES', promptPricePerMillion: '0.0000000000001', completionPricePerMillion: '1' }] }),
});
refused('an unknown region', apply, /UNKNOWN_REGION/, {
  input: document('Instance', `${project}/instances/x`, { ...wish, region: 'regions/mars-1' }),
});
test('what the plan shows is what happens: a field that is left out gets its default', () => {
  const name = `${project}/instances/planned`;
  const manifest = (spec) => document('Instance', name, { ...wish, ...spec });
  const spec = () => platform.json(['get', 'instances', project]).items.find((i) => i.name === name).spec;
  platform.allod(apply, { input: manifest({ isolationClass: 'pooled', sleepAfterSeconds: 100, maxConcurrency: 8 }) });
  const dry = platform.allod([...apply, '--dry-run'], { input: manifest({ maxConcurrency: 9 }) });
  assert.match(dry, /change +Instance .*isolationClass: POOLED -> ISOLATED.*maxConcurrency: 8 -> 9.*sleepAfterSeconds: 100 -> default/);
  assert.equal(spec().maxConcurrency, 8, 'a dry run changes nothing');
  platform.allod(apply, { input: manifest({ maxConcurrency: 9 }) });
  assert.deepEqual([spec().isolationClass, spec().maxConcurrency, spec().sleepAfterSeconds], ['ISOLATION_CLASS_ISOLATED', 9, 0]);
  assert.match(platform.allod(apply, { input: manifest({ maxConcurrency: 0 }) }), /maxConcurrency: 9 -> 4/);
  for (const same of [{ maxConcurrency: 0 }, { maxConcurrency: 4, sleepAfterSeconds: 0 }, {}]) {
    assert.match(platform.allod(apply, { input: manifest(same) }), /^as it is/m, JSON.stringify(same));
  }
  platform.allod(['delete', 'instances', name]);
});
refused('text that is no UTF-8', apply, /standard input:4: byte 24 of the line is not valid UTF-8/, {
  status: 2, input: Buffer.from('apiVersion: allod/v1\nkind: Tenant\nmetadata: {name: tenants/tz}\nspec: {displayName: caf\xe9}\n', 'latin1'),
});
test('texts are compared as texts: a display name of other digits is another one', () => {
  const named = (displayName) => ({ input: document('Project', project, { displayName }) });
  assert.match(platform.allod(apply, named('7')), /displayName: Public services -> 7\b/);
  assert.match(platform.allod([...apply, '--dry-run'], named('007.0')), /displayName: 7 -> 007\.0/);
  assert.match(platform.allod(apply, named('7')), /^as it is/m);
  platform.allod(apply, named('Public services'));
});
refused('a state that only the platform sets', apply, /spec\.state: not for a manifest to set/, {
  status: 2, input: document('Listing', 'listings/starter-v1', { state: 'withdrawn' }),
});
const untouched = (...options) => ['import', starter, '--model', 'untouched', ...options];
refused('a licence that SPDX does not know', untouched('--license', 'nonsense licence'), /no SPDX expression.*character 1/s, { status: 2 });
refused('a type that there is not, before the first byte is sent', untouched('--license', 'MIT', '--compress', 'q8_0,Q9_X'), /'Q9_X' is none of Q8_0/, { status: 2 });
const uganda = { displayName: 'Uganda', currencyCode: 'KES', residency: ['ug'] };
refused('a tenant whose data may not be stored here', apply, /jurisdiction ke, outside the tenant's residency \(ug\), which holds for LOGS.*reason: RESIDENCY/s, {
  input: document('Tenant', 'tenants/ug', uganda),
});
test('refused with a reason: a region outside the residency', () => {
  const stored = ['USAGE', 'INVOICES', 'LOGS', 'BACKUPS'].map((dataClass) => ({ dataClass, jurisdictions: ['ke'] }));
  platform.allod(apply, {
    input: [
      document('Tenant', 'tenants/ug', { ...uganda, residencyRules: stored }),
      document('Project', 'tenants/ug/projects/p', { displayName: 'P' }),
      document('BillingAccount', 'tenants/ug/billingAccount', { currencyCode: 'KES', creditLimit: '1' }),
      document('Listing', 'listings/everywhere', offer),
    ].join('---\n'),
  });
  const text = platform.allod(apply, {
    status: 1,
    input: document('Instance', 'tenants/ug/projects/p/instances/x', { ...wish, listing: 'listings/everywhere' }),
  });
  assert.match(text, /REGION_OUTSIDE_RESIDENCY/);
  assert.equal(platform.json(['get', 'instances', 'tenants/ug/projects/p']).items.length, 0);
  assert.match(platform.allod(['get', 'instances', 'tenants/nobody/projects/p'], { status: 3 }), /tenants\/nobody/);
});
test('refused with a reason: an unknown key, a prompt longer than the context', async () => {
  const unknown = await platform.chat('Hello', { key: platform.key.slice(0, -1) + (platform.key.endsWith('0') ? '1' : '0') });
  assert.deepEqual([unknown.status, unknown.error.code], [401, 'invalid_api_key']);
  const billed = () => platform.json(['invoice', 'tenants/ke']).lines.map((line) => [line.instance, line.requestCount]);
  const before = billed();
  const recorded = platform.usage().size;
  const long = await platform.chat('maji '.repeat(20_000));
  assert.deepEqual([long.status, long.error.code], [400, 'context_length_exceeded']);
  // Nothing stays held for a request that was refused, and it is recorded and not billed.
  await eventually('no open reservation', () => platform.json(['ledger']).openReservationCount === '0');
  await eventually('its usage record', () => platform.usage().size === recorded + 1);
  assert.deepEqual(billed(), before);
});

test('after `allod down` and `allod up` the instance answers again, with no command', async () => {
  const before = platform.usage().size;
  platform.down();
  platform.up();
  const seen = await eventually('an answer', async () => {
    const answer = await platform.chat('Where do I get a passport?');
    return answer.done && answer;
  });
  assert.ok(seen.text.length > 0);
  await eventually('its usage record', () => platform.usage().size === before + 1);
});
