// Operators of one role: who is in the group of a role's socket does what the role permits, and nothing else.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Platform, eventually, source } from './platform.mjs';

const notRoot = process.getuid() !== 0 && 'sockets are given to groups by root only';
const platform = new Platform();
const nobody = 65534;
// Whichever two groups there are beside root's.
const groups = readFileSync('/etc/group', 'utf8').split('\n').map((line) => line.split(':'))
  .filter(([, , gid]) => Number(gid) > 0 && Number(gid) < nobody).slice(0, 2).map(([name, , gid]) => ({ name, gid: Number(gid) }));
let bin;

// As a user of the machine who is in `gid` only. The program may lie where such a user cannot go.
function as(gid, args) {
  const run = spawnSync(join(bin, 'allod'), ['--state', platform.state, ...args], { encoding: 'utf8', uid: nobody, gid, timeout: 60_000 });
  assert.equal(run.error, undefined);
  return { status: run.status, text: run.stdout + run.stderr };
}

before(() => {
  if (notRoot) return;
  bin = mkdtempSync(join(tmpdir(), 'allod-e2e-bin-'));
  copyFileSync(join(process.env.ALLOD_BUILD_DIR ?? join(source, 'build'), 'bin/allod'), join(bin, 'allod'));
  chmodSync(bin, 0o755);
  chmodSync(join(bin, 'allod'), 0o755);
  assert.match(platform.allod(['up', '--detach', '--support-group', 'no-group-has-this-name'], { status: 2 }), /no group of that name: make it \(groupadd/);
  platform.up('--support-group', groups[0].name);
  platform.allod(['apply', '-f', platform.writeFile('ke.yaml', `apiVersion: allod/v1
kind: Tenant
metadata: {name: tenants/ke}
spec: {displayName: Kenya, currencyCode: KES, residency: [ke]}
---
apiVersion: allod/v1
kind: Project
metadata: {name: tenants/ke/projects/services}
spec: {displayName: Services}
`)]);
});
after(() => {
  if (notRoot) return;
  rmSync(bin, { recursive: true, force: true });
  platform.remove();
});

test('who is in the group of support sees, and changes nothing', { skip: notRoot }, () => {
  const seen = as(groups[0].gid, ['--as', 'support', 'get', 'projects', 'tenants/ke']);
  assert.equal(seen.status, 0, seen.text);
  assert.match(seen.text, /tenants\/ke\/projects\/services/);
  for (const args of [['tenants', 'suspend', 'ke'], ['create-key', 'tenants/ke/projects/services', '--file', join(bin, 'x')]]) {
    const refused = as(groups[0].gid, ['--as', 'support', ...args]);
    assert.equal(refused.status, 1, refused.text);
    assert.match(refused.text, /which your roles \(support\) do not have/);
    assert.match(refused.text, /PERMISSION_MISSING/);
  }
  assert.equal(platform.json(['get', 'tenants', 'tenants/ke']).items[0].state, 'STATE_ACTIVE');
});

test('nobody else comes in', { skip: notRoot }, () => {
  assert.match(as(groups[1].gid, ['--as', 'support', 'get', 'tenants']).text, /NOT_IN_GROUP/);
  assert.match(as(groups[0].gid, ['--as', 'auditor', 'get', 'tenants']).text, /NO_ROLE_SOCKET/);
  assert.match(as(groups[0].gid, ['get', 'tenants']).text, /NOT_OPERATOR/);
});

test("what support saw stands in the tenant's log, with the role", { skip: notRoot }, async () => {
  await eventually('the entry', () => /operator support\s.*tenancy\.projects\.list/.test(platform.allod(['audit', 'list', 'tenants/ke'])));
});

test('a group that is taken away is out with the next start', { skip: notRoot }, () => {
  platform.down();
  platform.up('--support-group', 'none', '--auditor-group', groups[1].name);
  assert.match(as(groups[0].gid, ['--as', 'support', 'get', 'tenants']).text, /NO_ROLE_SOCKET/);
  const seen = as(groups[1].gid, ['--as', 'auditor', 'audit', 'list', 'tenants/ke']);
  assert.equal(seen.status, 0, seen.text);
  assert.match(seen.text, /operator support/);
});
