// People who sign in: with a browser and from a command line, at an OpenID provider of the test's own (oidc-provider), and what becomes
// of their sessions.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Browser } from './browser.mjs';
import { Provider, jose } from './openid.mjs';
import { Platform, build, project, version } from './platform.mjs';

// By the name that they type at the provider.
const people = {
  achieng: { name: 'Achieng Otieno', email: 'achieng@ke.example', email_verified: true, groups: ['heads'] },
  baraka: { name: 'Baraka', email: 'baraka@ke.example', email_verified: true, groups: ['desk', 'others'] },
  chege: { name: 'Chege', email: 'achieng@ke.example', email_verified: false, groups: [] },
};

class Issuer {
  async start(gateway) {
    this.keys = await jose.generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await jose.exportJWK(this.keys.privateKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
    const provider = new Provider(this.url, {
      jwks: { keys: [jwk] },
      clients: [
        {
          client_id: 'allod', token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256',
          redirect_uris: [`${gateway}/auth/callback`], application_type: 'native',
          grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'], response_types: ['code'],
        },
      ],
      claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
      conformIdTokenClaims: false,
      features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true }, rpInitiatedLogout: { enabled: false } },
      pkce: { required: () => true },
      findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    });
    this.server.on('request', provider.callback());
  }
  async listen() {
    this.server = createServer();
    await new Promise((ready) => this.server.listen(0, '127.0.0.1', ready));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }
  async stop() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
  sign(claims) {
    const now = Math.floor(Date.now() / 1000);
    return new jose.SignJWT({ iss: this.url, aud: 'allod', sub: 'achieng', ...people.achieng, iat: now, exp: now + 300, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(this.keys.privateKey);
  }
}

const platform = new Platform();
const issuer = new Issuer();
const root = () => platform.base.replace(/\/v1$/, '');
const staff = 'tenants/ke/identityProviders/staff';

function applyMembers({ deskRoles = '[viewer]', deskDisabled = false } = {}) {
  platform.allod(['apply', '-f', platform.writeFile('members.yaml', `apiVersion: allod/v1
kind: IdentityProvider
metadata: {name: ${staff}}
spec:
  displayName: Staff
  issuer: "${issuer.url}"
  signIn:
    clientId: allod
    scopes: [profile, email, groups]
---
apiVersion: allod/v1
kind: Member
metadata: {name: tenants/ke/members/achieng}
spec:
  displayName: Achieng
  identityProvider: ${staff}
  claims: [{claim: email, equals: achieng@ke.example}]
  grants: [{resource: tenants/ke, roles: [owner]}]
---
apiVersion: allod/v1
kind: Member
metadata: {name: tenants/ke/members/desk}
spec:
  displayName: The desk
  identityProvider: ${staff}
  claims: [{claim: groups, contains: desk}]
  grants: [{resource: ${project}, roles: ${deskRoles}}]
  disabled: ${deskDisabled}
`)]);
}

// At the provider, as this person, from wherever it asks.
async function agree(browser, page, person) {
  let at = await browser.submit(page, { login: person, password: 'x' });
  if (at.url.startsWith(issuer.url) && at.html.includes('value="consent"')) at = await browser.submit(at);
  return at;
}
async function signIn(person, returnTo = '/auth/whoami') {
  const browser = new Browser();
  const page = await browser.go(`${root()}/auth/sign-in?tenant=ke&return_to=${encodeURIComponent(returnTo)}`);
  assert.ok(page.url.startsWith(issuer.url), `${page.url}: ${page.html}`);
  return { browser, page: await agree(browser, page, person) };
}
const portal = (browser, path, options) => browser.fetch(`${root()}/portal/v1/${path}`, options);
const status = async (browser, path, options) => (await portal(browser, path, options)).status;

before(async () => {
  await issuer.listen();
  mkdirSync(join(platform.state, 'config'), { recursive: true });
  writeFileSync(join(platform.state, 'config/gateway.json'), JSON.stringify({ issuer_networks_allowed: ['127.0.0.0/8'] }));
  platform.up('--region', 'ke-1=ke');
  await issuer.start(root());
  platform.provision();
  applyMembers();
});
after(async () => {
  await issuer.stop().catch(() => {});
  platform.remove();
});

test('an owner signs in with a browser, and acts as one', async () => {
  const { browser, page } = await signIn('achieng');
  assert.equal(page.status, 200, page.html);
  assert.equal(page.url, `${root()}/auth/whoami`);
  const who = JSON.parse(page.html);
  assert.equal(who.kind, 'person');
  assert.equal(who.displayName, 'Achieng Otieno');
  assert.deepEqual(who.roles, ['owner']);
  assert.equal(await status(browser, `${project}/instances`), 200);
  assert.equal(await status(browser, 'tenants/ke/members'), 200);
  assert.equal(await status(browser, 'tenants/ke/billingAccount'), 200);
  assert.equal(await status(browser, 'tenants/tz'), 404);
  // Changes need a page of this origin.
  const key = { method: 'POST', body: JSON.stringify({ displayName: 'by a person' }), headers: { 'content-type': 'application/json' } };
  assert.equal(await status(browser, `${project}/apiKeys`, key), 403);
  const made = await portal(browser, `${project}/apiKeys`, { ...key, headers: { ...key.headers, origin: root() } });
  assert.equal(made.status, 200, await made.clone().text());
  assert.deepEqual((await made.json()).apiKey.roles, ['ROLE_ADMIN']);
});

test('a group has its roles at its project, and nowhere else', async () => {
  const { browser, page } = await signIn('baraka');
  const who = JSON.parse(page.html);
  assert.deepEqual(who.roles, []);
  assert.deepEqual(who.projectRoles, [{ project, roles: ['viewer'] }]);
  assert.equal(await status(browser, `${project}/instances`), 200);
  assert.equal(await status(browser, 'tenants/ke/projects/other/instances'), 404);
  assert.equal(await status(browser, 'tenants/ke/members'), 403);
  const create = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json', origin: root() } };
  assert.equal(await status(browser, `${project}/apiKeys`, create), 403);
  // A role that is given or taken counts at once, without signing in again.
  applyMembers({ deskRoles: '[developer]' });
  assert.equal(await status(browser, `${project}/apiKeys`, create), 200);
  // What a developer could not make, a developer does not get by rotating it either.
  const keys = (await (await portal(browser, `${project}/apiKeys`)).json()).apiKeys;
  const admins = keys.find((key) => key.roles.includes('ROLE_ADMIN')).name;
  const rotated = await portal(browser, `${admins}:rotate`, create);
  assert.equal(rotated.status, 403);
  assert.equal((await rotated.json()).reason, 'ROLE_NOT_HELD');
  applyMembers({ deskRoles: '[viewer]' });
  assert.equal(await status(browser, `${project}/apiKeys`, create), 403);
  applyMembers({ deskDisabled: true });
  assert.equal(await status(browser, `${project}/instances`), 401);
  applyMembers();
  assert.equal(await status(browser, `${project}/instances`), 200);
});

test('who is no member is told so, and gets nothing', async () => {
  const { browser, page } = await signIn('chege');
  assert.equal(page.status, 403);
  assert.match(page.html, /e-mail address was verified/);
  assert.equal(browser.cookies(root()).size, 0, 'neither a session nor an attempt is left');
});

test('an answer that belongs to another browser begins nothing', async () => {
  const victim = new Browser();
  const attacker = new Browser();
  attacker.stopAt = (url) => url.startsWith(`${root()}/auth/callback`);
  const { url } = await agree(attacker, await attacker.go(`${root()}/auth/sign-in?tenant=ke`), 'achieng');
  assert.match(url, /code=/);
  assert.equal((await victim.go(url)).status, 401, 'a link to the answer, sent to somebody');
  assert.equal((await new Browser().go(url)).status, 401);
  assert.equal(victim.cookies(root()).size, 0);
  attacker.stopAt = () => false;
  assert.equal((await attacker.go(url)).url, `${root()}/auth/whoami`, 'whose answer it is may still use it');
  assert.equal((await attacker.go(url)).status, 401, 'once');
});

test('signing out ends the session, or all of them', async () => {
  const first = (await signIn('achieng')).browser;
  const second = (await signIn('achieng')).browser;
  const stolen = new Map(first.cookies(root()));
  const post = { method: 'POST', headers: { origin: root() } };
  assert.equal((await first.fetch(`${root()}/auth/sign-out`, { method: 'POST' })).status, 403, 'no page of another origin does that');
  assert.equal((await first.fetch(`${root()}/auth/sign-out`, post)).status, 204);
  assert.equal(first.cookies(root()).size, 0);
  const token = [...stolen.values()][0];
  assert.equal((await fetch(`${root()}/auth/whoami`, { headers: { authorization: `Bearer ${token}` } })).status, 401);
  assert.equal(await status(second, `${project}/instances`), 200);
  const third = (await signIn('achieng')).browser;
  assert.equal((await third.fetch(`${root()}/auth/sign-out?everywhere=true`, post)).status, 204);
  assert.equal(await status(second, `${project}/instances`), 401);
});

test('of a suspended tenant one signs out all the same, and for good', async () => {
  const leaver = (await signIn('achieng')).browser;
  const stayer = (await signIn('achieng')).browser;
  const token = [...leaver.cookies(root()).values()][0];
  const post = { method: 'POST', headers: { origin: root() } };
  platform.allod(['tenants', 'suspend', 'ke']);
  assert.equal(await status(stayer, `${project}/instances`), 401);
  assert.equal((await stayer.fetch(`${root()}/auth/sign-out?everywhere=true`, post)).status, 400);
  assert.equal((await leaver.fetch(`${root()}/auth/sign-out`, post)).status, 204);
  assert.equal(leaver.cookies(root()).size, 0);
  platform.allod(['tenants', 'resume', 'ke']);
  assert.equal((await fetch(`${root()}/auth/whoami`, { headers: { authorization: `Bearer ${token}` } })).status, 401);
  assert.equal(await status(stayer, `${project}/instances`), 200);
});

test('an ID token begins one session', async () => {
  const ask = async (token) => {
    const answer = await fetch(`${root()}/auth/session`, { method: 'POST', body: new URLSearchParams({ identity_provider: staff, id_token: token }) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const token = await issuer.sign({ jti: '1' });
  assert.equal((await ask(token)).status, 200);
  assert.equal((await ask(token)).reason, 'TOKEN_REPLAYED');
  assert.equal((await ask(await issuer.sign({ aud: ['allod', 'other'] }))).reason, 'TOKEN_AUDIENCE');
  assert.equal((await ask(await issuer.sign({ aud: 'other' }))).reason, 'TOKEN_AUDIENCE');
  assert.equal((await ask(await issuer.sign({ exp: 1 }))).reason, 'TOKEN_EXPIRED');
  assert.equal((await ask(await issuer.sign({ email_verified: false }))).reason, 'EMAIL_NOT_VERIFIED');
  assert.equal((await ask(await issuer.sign({ email: 'nobody@ke.example', groups: [] }))).reason, 'NOT_A_MEMBER');
  assert.equal((await ask(await issuer.sign({ nonce: 'of an attempt in a browser' }))).reason, 'TOKEN_NONCE');
});

// `allod` as somebody runs it who has no installation: only what `allod login` left in a file of her own.
class Clerk {
  constructor(name) {
    const home = join(platform.state, 'clerks', name);
    mkdirSync(home, { recursive: true });
    const { ALLOD_STATE, ALLOD_GATEWAY, ...rest } = process.env;
    this.env = { ...rest, HOME: home, XDG_STATE_HOME: join(home, 'state'), ALLOD_SESSION: join(home, 'session.json') };
    this.home = home;
  }
  start(args) {
    return spawn(join(build, 'bin/allod'), args, { env: this.env });
  }
  async run(args) {
    return finish(this.start(args));
  }
  async json(args) {
    const { code, out, text } = await this.run([...args, '-o', 'json']);
    assert.equal(code, 0, `${args.join(' ')}: ${text}`);
    return JSON.parse(out);
  }
  // With a browser on whatever device.
  async login(person, ...args) {
    const login = this.start(['login', 'ke', '--gateway', root(), ...args]);
    const finished = finish(login);
    const url = await new Promise((found, lost) => {
      let text = '';
      login.stderr.on('data', (data) => {
        text += data;
        const match = text.match(/or open (\S+)/);
        if (match) found(match[1]);
      });
      login.on('close', () => lost(new Error(text)));
    });
    const browser = new Browser();
    let page = await browser.go(url);
    page = await browser.submit(page);  // confirms the code
    if (!page.html.includes('name="login"')) page = await browser.submit(page);
    await agree(browser, page, person);
    const { code, text } = await finished;
    assert.equal(code, 0, text);
    return text;
  }
}
const finish = (child) => new Promise((done) => {
  let out = '';
  let text = '';
  child.stdout.on('data', (data) => { out += data; text += data; });
  child.stderr.on('data', (data) => { text += data; });
  child.on('close', (code) => done({ code, out, text }));
});

test('allod login, whoami and logout', async () => {
  const clerk = new Clerk('baraka');
  const text = await clerk.login('baraka');
  assert.match(text, /Baraka/);
  assert.match(text, /roles at tenants\/ke\/projects\/services: viewer/);
  assert.equal(statSync(clerk.env.ALLOD_SESSION).mode & 0o777, 0o600);
  assert.equal((await clerk.json(['whoami'])).displayName, 'Baraka');
  const token = JSON.parse(readFileSync(clerk.env.ALLOD_SESSION)).token;
  const listed = () => fetch(`${root()}/portal/v1/${project}/instances`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await listed()).status, 200);
  assert.equal((await clerk.run(['logout'])).code, 0);
  assert.equal((await listed()).status, 401);
  assert.notEqual((await clerk.run(['whoami'])).code, 0);
  const key = await clerk.json(['whoami', '--gateway', root(), '--key-file', platform.keyFile]);
  assert.equal(key.kind, 'api_key');
});

test('a person uses the same allod that the operator uses', async () => {
  const clerk = new Clerk('achieng');
  assert.match((await clerk.run(['get', 'instances', project])).text, /NOT_UP/);
  await clerk.login('achieng');
  const names = async (...args) => (await clerk.json(['get', ...args])).items.map((item) => item.name);
  assert.deepEqual(await names('projects', 'tenants/ke'), [project]);
  assert.ok((await names('members', 'tenants/ke')).includes('tenants/ke/members/desk'));
  assert.deepEqual(await names('regions'), ['regions/ke-1']);
  const assistant = ['describe', 'instances', `${project}/instances/assistant`];
  const { uid, spec } = platform.json(assistant);
  const seen = await clerk.json(assistant);
  assert.deepEqual({ uid: seen.uid, spec: seen.spec }, { uid, spec });
  // What she applies is planned and judged as an operator's manifest is, by her roles.
  const manifest = platform.writeFile('clerk.yaml', `apiVersion: allod/v1
kind: Project
metadata: {name: tenants/ke/projects/archive}
spec: {displayName: Archive, quota: {instances: 2}}
`);
  const plan = await clerk.run(['apply', '-f', manifest, '--dry-run']);
  assert.match(plan.text, /create +Project +tenants\/ke\/projects\/archive/);
  assert.equal((await clerk.run(['apply', '-f', manifest])).code, 0);
  assert.match((await clerk.run(['apply', '-f', manifest])).text, /as it is/);
  const renamed = platform.writeFile('clerk2.yaml', `apiVersion: allod/v1
kind: Project
metadata: {name: tenants/ke/projects/archive}
spec: {displayName: The archive}
`);
  assert.equal((await clerk.run(['apply', '-f', renamed])).code, 0);
  assert.equal((await clerk.json(['describe', 'projects', 'tenants/ke/projects/archive'])).quota.instances, '2', 'what it does not name stays');
  // Keys are kept beside her session.
  assert.match((await clerk.run(['get', 'members', 'tenants/ke'])).text, /email = achieng@ke.example +owner +staff +no/);
  const made = await clerk.json(['create-key', project, '--display-name', 'of a clerk']);
  assert.ok(made.file.startsWith(clerk.home), made.file);
  assert.equal(statSync(made.file).mode & 0o777, 0o600);
  const rotated = await clerk.json(['rotate-key', made.name, '--overlap', '0', '--replace']);
  assert.notEqual(rotated.name, made.name);
  assert.equal((await clerk.run(['delete', 'apiKeys', rotated.name])).code, 0);
  // An instance that takes its time is waited for.
  const instance = platform.writeFile('clerk3.yaml', `apiVersion: allod/v1
kind: Instance
metadata: {name: ${project}/instances/clerks}
spec: {listing: listings/starter-v1, variant: ${version}/variants/q4_k_m, region: regions/ke-1, isolationClass: isolated}
`);
  const created = await clerk.run(['apply', '-f', instance]);
  assert.equal(created.code, 0, created.text);
  assert.equal((await clerk.json(['describe', 'instances', `${project}/instances/clerks`])).status.state, 'STATE_READY');
  assert.equal((await clerk.run(['delete', 'instances', `${project}/instances/clerks`])).code, 0);
  await clerk.json(['usage', 'tenants/ke']);
  assert.equal((await clerk.json(['invoice', 'tenants/ke'])).total.currencyCode, 'KES');
  assert.ok((await clerk.json(['quota', 'tenants/ke'])).items.some((use) => use.resource === 'projects' && use.used === '2'));
  const audit = await clerk.json(['audit', 'list', 'tenants/ke', '--action', 'tenancy.projects.']);
  assert.ok(audit.items.some(({ entry }) => entry.action === 'tenancy.projects.create' && entry.actor.kind === 'person'));
  assert.match((await clerk.run(['audit', 'verify', 'tenants/ke'])).text, /whole/);
  // An owner takes along all that there is.
  const exported = await clerk.json(['tenants', 'export', 'ke', '--to', join(clerk.home, 'export')]);
  const files = exported.items.map((file) => file.name.replace(/\..*/, ''));
  for (const kind of ['ledger_accounts', 'usage_records', 'computed_usage', 'invoices', 'audit_billing']) {
    assert.ok(files.includes(kind), `${kind} is none of ${files}`);
  }
});

test('what a person may not do says so with the reason of the service', async () => {
  const clerk = new Clerk('desk');
  await clerk.login('baraka');
  const why = async (...args) => {
    const { code, text } = await clerk.run(args);
    assert.notEqual(code, 0, text);
    return { code, reason: text.match(/reason: (\w+)/)?.[1] };
  };
  assert.equal((await clerk.json(['get', 'instances', project])).items.length, 1);
  assert.deepEqual(await why('get', 'members', 'tenants/ke'), { code: 1, reason: 'PERMISSION_MISSING' });
  assert.deepEqual(await why('create-key', project), { code: 1, reason: 'PERMISSION_MISSING' });
  assert.deepEqual(await why('describe', 'instances', 'tenants/tz/projects/x/instances/y'), { code: 3, reason: 'NOT_FOUND' });
  assert.deepEqual(await why('describe', 'instances', 'nonsense'), { code: 2, reason: 'INVALID_NAME' });
  for (const operators of [['get', 'nodes'], ['get', 'workers'], ['ledger', '--as-person'], ['top', '--as-person']]) {
    assert.equal((await why(...operators)).reason, 'OPERATORS_ONLY', operators.join(' '));
  }
  assert.equal((await why('get', 'instances', project, '--gateway', 'https://other.example')).reason, 'OTHER_GATEWAY');
  // On the machine of the installation the operator is who runs it, unless a person is asked for.
  const asOperator = { ...clerk.env, ALLOD_STATE: platform.state };
  const there = (args) => finish(spawn(join(build, 'bin/allod'), args, { env: asOperator }));
  assert.equal((await there(['get', 'members', 'tenants/ke'])).code, 0);
  assert.match((await there(['get', 'members', 'tenants/ke', '--as-person'])).text, /PERMISSION_MISSING/);
  await clerk.run(['logout']);
  assert.equal((await why('get', 'instances', project, '--as-person')).reason, 'NOT_SIGNED_IN');
});

test('people of a tenant act at those below it, and nobody the other way', async () => {
  const asks = (browser) => (path, body, method = 'POST') =>
    portal(browser, path, { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json', origin: root() } });
  const read = async (response) => {
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  };
  const byKey = async (key, path) => (await fetch(`${root()}/portal/v1/${path}`, { headers: { authorization: `Bearer ${key}` } })).status;
  const namesOf = async (browser) => (await read(await portal(browser, 'tenants'))).tenants.map((tenant) => tenant.name);
  const above = (await signIn('achieng')).browser;
  const ask = asks(above);
  const child = { displayName: 'Health', currencyCode: 'KES', residency: ['ke'] };
  assert.equal((await read(await ask('tenants/ke/tenants?tenantId=ke-health', child))).parent, 'tenants/ke');
  await read(await ask('tenants/ke/tenants?tenantId=ke-water', child));
  assert.equal((await ask('tenants/ke/tenants?tenantId=ke-far', { ...child, residency: ['ke', 'tz'] })).status, 400);
  assert.deepEqual(await namesOf(above), ['tenants/ke', 'tenants/ke-health', 'tenants/ke-water']);
  assert.match(platform.allod(['tenants']), /\n {2}tenants\/ke-health/);

  // As an owner of the child: its projects and keys, and who of its own people comes in.
  const desk = 'tenants/ke-health/projects/desk';
  await read(await ask('tenants/ke-health/projects?projectId=desk', { displayName: 'Desk' }));
  const key = (await read(await ask(`${desk}/apiKeys`, { displayName: 'by one from above' }))).secret;
  assert.equal(await byKey(key, desk), 200);
  assert.equal(await byKey(key, 'tenants/ke'), 404);
  assert.equal(await byKey(platform.key, 'tenants/ke-health'), 404, 'no key reaches below');
  await read(await ask('tenants/ke-health/identityProviders?identityProviderId=staff', {
    displayName: 'Staff', issuer: issuer.url, signIn: { clientId: 'allod', scopes: ['profile', 'email', 'groups'] },
  }));
  await read(await ask('tenants/ke-health/members?memberId=baraka', {
    displayName: 'Baraka', identityProvider: 'tenants/ke-health/identityProviders/staff',
    claims: [{ claim: 'sub', equals: 'baraka' }], grants: [{ resource: 'tenants/ke-health', roles: ['ROLE_OWNER'] }],
  }));

  const below = new Browser();
  await agree(below, await below.go(`${root()}/auth/sign-in?tenant=ke-health&return_to=/auth/whoami`), 'baraka');
  assert.equal(await status(below, desk), 200);
  assert.deepEqual(await namesOf(below), ['tenants/ke-health']);
  for (const name of ['tenants/ke', 'tenants/ke/projects', `${project}/instances`, 'tenants/ke-water', 'tenants/none', 'tenants/none/projects']) {
    assert.equal(await status(below, name), 404, name);
  }
  assert.equal((await asks(below)('tenants/ke:suspend', {})).status, 404);
  assert.equal((await asks(below)('tenants/ke-health:suspend', {})).status, 403, 'nor itself');

  // Suspended from above, and with what is above.
  await read(await ask('tenants/ke-health:suspend', { reason: 'a look' }));
  assert.equal(await status(below, desk), 401);
  assert.equal(await byKey(key, desk), 403);
  assert.equal(await status(above, desk), 200, 'who is above still sees it');
  await read(await ask('tenants/ke-health:resume', {}));
  assert.equal(await byKey(key, desk), 200);

  // Deleted from above, and brought back; what the operator deleted is his.
  const health = () => platform.json(['get', 'tenants', 'tenants/ke-health']).items[0];
  assert.equal((await asks(below)('tenants/ke-health:undelete', {})).status, 403, 'nobody ends or brings back his own');
  const deleted = await read(await portal(above, `tenants/ke-health?etag=${encodeURIComponent(health().etag)}&reason=merged&grace=172800s`, { method: 'DELETE', headers: { origin: root() } }));
  assert.equal(deleted.state, 'STATE_DELETING');
  assert.equal(await byKey(key, desk), 403);
  assert.equal(await status(below, desk), 401);
  const back = await read(await ask('tenants/ke-health:undelete', {}));
  assert.equal(back.state, 'STATE_ACTIVE');
  assert.equal(await byKey(key, desk), 200);
  platform.allod(['tenants', 'delete', 'ke-health', '--yes', '--grace', '2d']);
  const kept = await ask('tenants/ke-health:undelete', {});
  assert.equal(kept.status, 400);
  assert.equal((await kept.json()).reason, 'DELETED_BY_OPERATOR');
  platform.allod(['tenants', 'undelete', 'ke-health']);
  assert.equal(await byKey(key, desk), 200);
  platform.allod(['tenants', 'suspend', 'ke']);
  assert.equal(await byKey(key, desk), 403);
  assert.equal(await status(below, desk), 401);
  assert.equal(platform.json(['get', 'tenants', 'tenants/ke-health']).items[0].suspendedBy, 'tenants/ke');
  platform.allod(['tenants', 'resume', 'ke']);
  assert.equal(await byKey(key, desk), 200);

  // What he is at the parent he is here, at once.
  const setRoles = (member, claim, roles) => platform.allod(['apply', '-f', platform.writeFile('roles.yaml', `apiVersion: allod/v1
kind: Member
metadata: {name: tenants/ke/members/${member}}
spec:
  displayName: ${member}
  identityProvider: ${staff}
  claims: [${claim}]
  grants: [{resource: tenants/ke, roles: [${roles}]}]
`)]);
  const setAchieng = (roles) => setRoles('achieng', '{claim: email, equals: achieng@ke.example}', roles);
  setRoles('chege', '{claim: sub, equals: chege}', 'owner');  // one has to remain, and be there before
  setAchieng('viewer');
  assert.equal(await status(above, desk), 200);
  assert.equal((await ask(`${desk}/apiKeys`, {})).status, 403);
  setAchieng('owner');
  assert.equal((await ask(`${desk}/apiKeys`, {})).status, 200);

  const entries = platform.json(['audit', 'list', 'tenants/ke-health', '--limit', '1000']).items.map((item) => item.entry);
  const made = entries.find((entry) => entry.action === 'tenancy.apiKeys.create');
  assert.match(made.actor.id, /^tenants\/ke\/sessions\//, 'the log of the child says who came from above');
});

test('what people did is in the audit log, by their session', async () => {
  const entries = platform.json(['audit', 'list', 'tenants/ke', '--limit', '1000']).items.map((item) => item.entry);
  const actions = entries.map((entry) => entry.action);
  for (const action of ['tenancy.sessions.begin', 'tenancy.sessions.end', 'tenancy.members.create']) assert.ok(actions.includes(action), action);
  const made = entries.find((entry) => entry.action === 'tenancy.apiKeys.create' && entry.actor?.kind === 'person');
  assert.ok(made, JSON.stringify(entries.slice(0, 3)));
  assert.match(made.actor.id, /^tenants\/ke\/sessions\//);
  // Who was refused, too: of whom, by a detail that can be erased.
  const refused = entries.find((entry) => entry.action === 'tenancy.sessions.begin' && entry.reason === 'TOKEN_EXPIRED');
  assert.ok(refused, 'a token that has expired');
  const stranger = entries.find((entry) => entry.action === 'tenancy.sessions.begin' && entry.reason === 'EMAIL_NOT_VERIFIED');
  assert.equal(stranger.outcome, 'OUTCOME_REFUSED');
  assert.equal(stranger.actor.kind, 'person');
  const subject = stranger.details.find((detail) => detail.name === 'subject');
  assert.ok(subject.commitment, JSON.stringify(stranger));
});
