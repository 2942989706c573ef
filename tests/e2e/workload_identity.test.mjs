// A pipeline without a secret: the token that its own platform made for it, an OpenID provider of its own here, becomes one of ours.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Provider, jose } from './openid.mjs';
import { Platform, eventually, project } from './platform.mjs';

const audience = 'urn:allod:test';
const rule = `${project}/workloadRules/deploy`;
const ages = { issuer_keys_fresh_ms: 500, issuer_keys_age_ms_max: 4000, issuer_keys_interval_ms_min: 300 };

// The identity provider of the pipelines: oidc-provider on a loopback port, which it keeps over restarts.
class Issuer {
  async start(algorithm) {
    this.keys = await jose.generateKeyPair(algorithm, { extractable: true });
    this.algorithm = algorithm;
    this.kid = `${algorithm}-1`;
    const jwk = { ...(await jose.exportJWK(this.keys.privateKey)), kid: this.kid, alg: algorithm, use: 'sig' };
    this.server = createServer();
    await new Promise((ready) => this.server.listen(this.port ?? 0, '127.0.0.1', ready));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    const provider = new Provider(this.url, {
      jwks: { keys: [jwk] },
      clients: [{
        client_id: 'pipeline', client_secret: 'of its own platform', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
        token_endpoint_auth_method: 'client_secret_post', id_token_signed_response_alg: algorithm,
      }],
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_context, resource) => ({ scope: '', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: algorithm } } }),
        },
      },
      extraTokenClaims: () => ({ repository: 'ke/services', ref: 'refs/heads/main' }),
    });
    this.server.on('request', provider.callback());
  }
  async stop() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
  // As the provider makes it.
  async token(resource = audience) {
    const answer = await fetch(`${this.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'pipeline', client_secret: 'of its own platform', resource }),
    });
    assert.equal(answer.status, 200);
    return (await answer.json()).access_token;
  }
  // With its key, but as the test wants it.
  sign(claims, header = {}) {
    const now = Math.floor(Date.now() / 1000);
    return new jose.SignJWT({ iss: this.url, aud: audience, sub: 'pipeline', repository: 'ke/services', iat: now, exp: now + 300, ...claims })
      .setProtectedHeader({ alg: this.algorithm, kid: this.kid, ...header })
      .sign(this.keys.privateKey);
  }
}

const platform = new Platform();
const issuer = new Issuer();
const root = () => platform.base.replace(/\/v1$/, '');

async function exchange(token, target = project) {
  const began = Date.now();
  const answer = await fetch(`${root()}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      resource: target,
    }),
  });
  return { status: answer.status, ms: Date.now() - began, headers: answer.headers, ...(await answer.json()) };
}
const portal = (path, token) => fetch(`${root()}/portal/v1/${path}`, { headers: { authorization: `Bearer ${token}` } });

function apply(disabled = false) {
  platform.allod(['apply', '-f', platform.writeFile('pipeline.yaml', `apiVersion: allod/v1
kind: IdentityProvider
metadata: {name: tenants/ke/identityProviders/ci}
spec:
  displayName: CI
  issuer: "${issuer.url}"
  audiences: ["${audience}"]
---
apiVersion: allod/v1
kind: WorkloadRule
metadata: {name: ${rule}}
spec:
  displayName: Deployments
  identityProvider: tenants/ke/identityProviders/ci
  claims:
    - {claim: repository, equals: ke/services}
    - {claim: ref, prefix: refs/heads/}
  scopes: [inference, portal]
  roles: [developer]
  tokenMinutes: 5
  disabled: ${disabled}
`)]);
}

before(async () => {
  mkdirSync(join(platform.state, 'config'), { recursive: true });
  writeFileSync(join(platform.state, 'config/gateway.json'), JSON.stringify({ issuer_networks_allowed: ['127.0.0.0/8'], ...ages }));
  await issuer.start('ES256');
  platform.up('--region', 'ke-1=ke');
  platform.provision();
  apply();
});
after(async () => {
  await issuer.stop().catch(() => {});
  platform.remove();
});

let ours;

test("a pipeline's token becomes one of ours, which lists instances and asks", async () => {
  const answer = await exchange(await issuer.token());
  assert.equal(answer.status, 200, JSON.stringify(answer));
  assert.equal(answer.token_type, 'Bearer');
  assert.equal(answer.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token');
  assert.equal(answer.expires_in, 300);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  ours = answer.access_token;
  const listed = await portal(`${project}/instances`, ours);
  assert.equal(listed.status, 200);
  assert.deepEqual((await listed.json()).instances.map((i) => i.name), [`${project}/instances/assistant`]);
  const seen = await platform.chat('Where do I get a passport?', { key: ours });
  assert.equal(seen.status, 200, JSON.stringify(seen.error));
  assert.ok(seen.done && seen.text.length > 0);
});

test('what it used is accounted to its rule', async () => {
  await eventually('the usage record', async () => {
    const records = (await (await portal('tenants/ke/usageRecords', ours)).json()).usageRecords ?? [];
    return records.some((record) => record.apiKey === rule);
  });
});

test('it acts in its project, by its roles', async () => {
  assert.equal((await portal('tenants/ke/projects/other/instances', ours)).status, 404);
  assert.equal((await portal('tenants/ke/invoices/current', ours)).status, 403);
  assert.equal((await portal('tenants/ke/identityProviders', ours)).status, 200);
});

test('tokens that are not for this, or not genuine, are refused', async () => {
  const refused = async (token, target) => {
    const answer = await exchange(await token, target);
    assert.equal(answer.status, 400, JSON.stringify(answer));
    assert.equal(answer.access_token, undefined);
    return answer;
  };
  assert.match((await refused(issuer.token('urn:somebody:else'))).error_description, /aud/);
  assert.equal((await refused(issuer.token(), 'tenants/tz/projects/services')).error, 'invalid_request');
  assert.equal((await refused(issuer.token(), 'tenants/ke/projects/other')).error, 'invalid_target');
  assert.match((await refused(issuer.sign({ ref: 'refs/heads/x', exp: Math.floor(Date.now() / 1000) - 120 }))).error_description, /expired/);
  assert.equal((await refused(issuer.sign({ ref: 'refs/tags/v1' }))).error, 'invalid_target');
  await refused(issuer.sign({ ref: 'refs/heads/x' }, { typ: 'logout+jwt' }));
  const stranger = await jose.generateKeyPair('ES256');
  const forged = new jose.SignJWT(jose.decodeJwt(await issuer.token())).setProtectedHeader({ alg: 'ES256', kid: issuer.kid }).sign(stranger.privateKey);
  await refused(forged);
  const confused = new jose.SignJWT(jose.decodeJwt(await issuer.token())).setProtectedHeader({ alg: 'HS256', kid: issuer.kid })
    .sign(new TextEncoder().encode(await jose.exportSPKI(issuer.keys.publicKey)));
  await refused(confused);
  await refused(new jose.UnsecuredJWT(jose.decodeJwt(await issuer.token())).encode());
  assert.equal((await exchange(await issuer.sign({ ref: 'refs/heads/x' }))).status, 200, 'and one that is right is taken');
});

test('an issuer changes its key, and its algorithm', async () => {
  for (const algorithm of ['EdDSA', 'RS256']) {
    const old = await issuer.token();
    await issuer.stop();
    await issuer.start(algorithm);
    const fresh = await eventually('the new key', async () => {
      const answer = await exchange(await issuer.token());
      return answer.status === 200 && answer;
    });
    assert.ok(fresh.access_token);
    assert.equal((await exchange(old)).status, 400, 'what the old key signed is void');
  }
});

test('while the issuer is away, who has a token goes on, and new ones are refused soon', async () => {
  const token = await issuer.token();
  const answer = await exchange(token);
  assert.equal(answer.status, 200);
  await issuer.stop();
  assert.equal((await exchange(token)).status, 200, 'its keys serve on for a while');
  await sleep(ages.issuer_keys_age_ms_max);
  const refused = await exchange(token);
  assert.equal(refused.status, 503, JSON.stringify(refused));
  assert.equal(refused.error, 'temporarily_unavailable');
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.ok(refused.ms < 10_000, `${refused.ms} ms`);
  assert.equal((await portal(`${project}/instances`, answer.access_token)).status, 200);
});

test('a rule that is disabled takes its tokens with it, at once', async () => {
  assert.equal((await portal(`${project}/instances`, ours)).status, 200);
  apply(true);
  const answer = await portal(`${project}/instances`, ours);
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).reason, 'TOKEN_REVOKED');
  apply(false);
  assert.equal((await portal(`${project}/instances`, ours)).status, 200);
});

test('a pipeline acts by a role of the tenant, and loses what is taken out of it at once', async () => {
  const role = (permissions) => platform.allod(['apply', '-f', platform.writeFile('role.yaml', `apiVersion: allod/v1
kind: Role
metadata: {name: tenants/ke/roles/looks}
spec:
  displayName: Looks
  summary: sees what runs
  permissions: [${permissions}]
---
apiVersion: allod/v1
kind: WorkloadRule
metadata: {name: ${project}/workloadRules/looks}
spec:
  displayName: Looks
  identityProvider: tenants/ke/identityProviders/ci
  claims: [{claim: repository, equals: ke/looks}]
  scopes: [portal]
  customRoles: [tenants/ke/roles/looks]
`)]);
  role('scheduling.instances.list');
  await issuer.start('ES256');
  const answer = await eventually('a token', async () => {
    const given = await exchange(await issuer.sign({ repository: 'ke/looks' }), `${project}/workloadRules/looks`);
    return given.status === 200 && given;
  });
  const token = answer.access_token;
  assert.equal((await portal(`${project}/instances`, token)).status, 200);
  const refused = await portal(`${project}/instances/assistant`, token);
  assert.equal(refused.status, 403);
  const problem = await refused.json();
  assert.equal(problem.reason, 'PERMISSION_MISSING');
  assert.match(problem.detail, /roles\/looks/);
  role('catalog.listings.list');
  const changed = Date.now();
  assert.equal((await portal(`${project}/instances`, token)).status, 403, 'what was taken out of the role is gone');
  assert.ok(Date.now() - changed < 1000);
  assert.equal((await portal('listings', token)).status, 200, 'and what was put in is there');
  assert.match(platform.allod(['delete', 'roles', 'tenants/ke/roles/looks'], { status: 1 }), /workloadRules\/looks/);
  const shown = platform.allod(['roles', 'ke']);
  assert.match(shown, /tenants\/ke\/roles\/looks\s+sees what runs\s+catalog\.listings\.list/);
  assert.match(shown, /reviewer/);
});

test('a suspension takes tokens with it when it has returned, and its end brings them back', async () => {
  for (let round = 0; round < 5; ++round) {
    platform.allod(['tenants', 'suspend', 'tenants/ke', '--reason', 'a test']);
    assert.notEqual((await portal(`${project}/instances`, ours)).status, 200, `round ${round}: a token acts after the suspension`);
    platform.allod(['tenants', 'resume', 'tenants/ke']);
    assert.equal((await portal(`${project}/instances`, ours)).status, 200, `round ${round}`);
  }
});
