// docs/roles.md, from an image of the protos as JSON: `proto/check --write` writes it, `proto/check` says when it is stale.
import {readFileSync} from 'node:fs';

const {file: files} = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const roles = [];
const operationMethods = {get: 'GetOperation', list: 'ListOperations', wait: 'WaitOperation'};
const permissions = new Map();  // permission -> {who, methods}

const add = (area, name, rule) => {
  const entry = permissions.get(rule.permission) ?? {who: new Set(), methods: new Set()};
  entry.who.add(rule.who);
  entry.methods.add(`${area}.${name}`);
  permissions.set(rule.permission, entry);
};
for (const {name: path, package: area, service: services = [], enumType: enums = []} of files) {
  if (!path.startsWith('allod/')) continue;
  const short = area.split('.')[1];
  for (const {name, value} of enums) {
    if (name !== 'Role') continue;
    for (const {name: role, options} of value) {
      const rule = options?.['[allod.access.v1.role]'];
      if (rule) roles.push({word: role.slice('ROLE_'.length).toLowerCase(), ...rule});
    }
  }
  for (const service of services) {
    for (const method of service.method) add(short, method.name, method.options['[allod.access.v1.access]']);
    const operations = service.options?.['[allod.access.v1.operations]'] ?? {};
    for (const [verb, rule] of Object.entries(operations)) add(short, operationMethods[verb], rule);
  }
}

const within = (permission, pattern) => {
  const parts = permission.split('.');
  return pattern.split('.').every((part, i) => part === '*' || part === parts[i]);
};
const has = (role, permission) => role.permissions.some((pattern) => within(permission, pattern));
// Whom a method admits beside those with a role: services and nodes, by what they are.
const forTenants = new Set(['WHO_TENANT', 'WHO_MEMBER', 'WHO_ABOVE', 'WHO_PLATFORM_OR_TENANT', 'WHO_ANYONE']);
const forOperators = new Set(['WHO_OPERATOR', 'WHO_PLATFORM', 'WHO_OPERATOR_OR_NODE', 'WHO_PLATFORM_OR_NODE', ...forTenants]);
const ofOperators = new Set(['operator', 'support', 'operator_auditor']);
const admits = (role, who) => [...who].some((one) => (ofOperators.has(role.word) ? forOperators : forTenants).has(one));

const lines = [
  '# Roles',
  '',
  'Made by `proto/check --write` from `proto/allod/access/v1/role.proto` and from what the methods declare; `proto/check` refuses a stale one.',
  'A role holds at a tenant or a project and at what is below: of a tenant its projects, and the tenants below it. An API key has roles for what it does through the portal (`allod create-key --role`),',
  'in its own project; what belongs to the tenant as a whole is refused to every key (`PROJECT_KEY`). Operators reach the installation by its sockets.',
  'A tenant makes roles of its own from these permissions (`kind: Role` in a manifest; `allod roles`), for members and workload rules: exact ones or with `*`,',
  'never more than who makes or grants it holds, and never what is an operator\'s only.',
  'Without a role that has the permission a call is refused with `PERMISSION_MISSING`, which names it.',
  '',
  '| role | what for |',
  '| --- | --- |',
  ...roles.map(({word, summary}) => `| ${word} | ${summary} |`),
  '',
  '## Who may what',
  '',
  `| permission | ${roles.map(({word}) => word).join(' | ')} | methods |`,
  `| --- |${' --- |'.repeat(roles.length)} --- |`,
];
const machines = [];
for (const [permission, {who, methods}] of [...permissions].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const marks = roles.map((role) => (admits(role, who) && has(role, permission) ? 'x' : ''));
  if (marks.every((mark) => mark === '')) machines.push([permission, methods]);
  else lines.push(`| \`${permission}\` | ${marks.join(' | ')} | ${[...methods].join(', ')} |`);
}
lines.push('', '## Between the platform\'s own processes', '', 'No role leads here: services and nodes are admitted by what they are.', '',
  '| permission | methods |', '| --- | --- |', ...machines.map(([permission, methods]) => `| \`${permission}\` | ${[...methods].join(', ')} |`));
console.log(lines.join('\n'));
