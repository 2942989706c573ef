// proto/check: of an image as JSON, the methods of ours that do not say who may call them, and requests that belong to two
// methods. Whether a rule makes sense, services/common/rpc/method.cc decides and proto_access_test shows.
import {readFileSync} from 'node:fs';

const {file: files} = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const methodsOf = new Map();
const wrong = [];
for (const {name, package: area, service: services = []} of files) {
  if (!name.startsWith('allod/')) continue;
  for (const service of services) {
    for (const method of service.method) {
      const full = `${area}.${service.name}.${method.name}`;
      const rule = method.options?.['[allod.access.v1.access]'];
      if (!rule?.who || !rule.permission) wrong.push(`${name}: ${full} has no option (allod.access.v1.access) with who and permission`);
      const other = methodsOf.get(method.inputType);
      if (other) wrong.push(`${name}: ${full} has the request of ${other}`);
      methodsOf.set(method.inputType, full);
    }
    const makesOperations = service.method.some((method) => method.outputType === '.google.longrunning.Operation');
    if (makesOperations && !service.options?.['[allod.access.v1.operations]']) {
      wrong.push(`${name}: ${area}.${service.name} returns operations and has no option (allod.access.v1.operations)`);
    }
  }
}
for (const line of wrong) console.error(line);
if (wrong.length > 0) process.exit(1);
