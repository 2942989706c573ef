// The arrows of docs/architecture.md and of the rooms in cli/README.md, gateway/README.md, inference/README.md, inference/node/README.md and
// services/billing/README.md, held against the includes: none points up, and what is known in one place only is included there only.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';

import {filesBelow, root} from './files.mjs';

const sources = [...filesBelow('.')].filter((name) => /\.(cc|h)$/.test(name));
// Fakes and fixtures that tests share are in testing/.
const isTest = (file) => /(_test|_fixture|fake_\w+|on_fakes)\.(cc|h)$/.test(file) || /^tests\/|(^|\/)testing\//.test(file);
const includes = new Map(sources.map((file) => {
  const text = readFileSync(path.join(root, file), 'utf8');
  return [file, [...text.matchAll(/^#include [<"]([^>"]+)[>"]/gm)].map((match) => match[1])];
}));

// The folders that a README lists as `name/`, in order, each at the start of a paragraph or of a table's row.
function roomsOf(folder) {
  const text = readFileSync(path.join(root, folder, 'README.md'), 'utf8');
  return [...text.matchAll(/^(?:\*\*|\| )`([\w/]+)\/`/gm)].map((match) => path.posix.join(folder, match[1]));
}

function roomOf(file, rooms) {
  const inside = rooms.filter((room) => file.startsWith(room + '/'));
  return inside.sort((a, b) => b.length - a.length)[0];
}

for (const folder of ['cli', 'gateway', 'inference', 'inference/node']) {
  test(`${folder}: each room uses only those above it in the README`, () => {
    const rooms = roomsOf(folder);
    assert.ok(rooms.length >= 4, `too few rooms found: ${rooms}`);
    const wrong = [];
    for (const [file, used] of includes) {
      const from = roomOf(file, rooms);
      if (!file.startsWith(folder + '/') || isTest(file)) continue;
      for (const target of used.filter((name) => name.startsWith(folder + '/'))) {
        const to = roomOf(target, rooms);
        // What lies in no room joins the rooms.
        const isUp = from !== undefined && (to === undefined || rooms.indexOf(to) > rooms.indexOf(from));
        if (isUp) wrong.push(`${file} -> ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });
}

// Here the files in no room are a centre on which the rooms stand, as it does on some of them.
test('services/billing: each room uses the centre and those above it in the README, the centre only some', () => {
  const folder = 'services/billing';
  const rooms = roomsOf(folder);
  assert.ok(rooms.length >= 10, `too few rooms found: ${rooms}`);
  for (const file of sources.filter((name) => name.startsWith(folder + '/'))) {
    const [, inner] = file.match(/^services\/billing\/(\w+)\//) ?? [];
    assert.ok(!inner || inner === 'testing' || rooms.includes(path.posix.join(folder, inner)), `${file}: its room is not in the README`);
  }
  const ofCentre = ['typesetting', 'documents', 'terms'].map((room) => path.posix.join(folder, room));
  const wrong = [];
  for (const [file, used] of includes) {
    if (!file.startsWith(folder + '/') || isTest(file) || /\/billing\/(main|rooms)\.cc$/.test(file)) continue;
    const from = roomOf(file, rooms);
    for (const target of used) {
      const to = roomOf(target, rooms);
      if (to === undefined || to === from) continue;
      const isRight = from === undefined ? ofCentre.includes(to) : rooms.indexOf(to) < rooms.indexOf(from);
      if (!isRight) wrong.push(`${file} -> ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no service includes another, and programs include no test', () => {
  const wrong = [];
  for (const [file, used] of includes) {
    if (isTest(file)) continue;
    const [, service] = file.match(/^services\/(\w+)\//) ?? [];
    for (const target of used) {
      const [, other] = target.match(/^services\/(\w+)\//) ?? [];
      if (service && other && other !== service && other !== 'common') wrong.push(`${file} -> ${target}`);
      // What protos say of who may call, and of audit logs, is no service's own.
      if (service === 'common' && /^(gateway|inference|scheduler|cli|allod(?!\/(access|audit|residency)))\//.test(target)) wrong.push(`${file} -> ${target}`);
      if (/^(gateway|inference|scheduler|cli)\//.test(file) && other && other !== 'common') wrong.push(`${file} -> ${target}`);
      if (target.startsWith('tests/') || isTest(target)) wrong.push(`${file} -> ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('programs and their libraries link nothing that is for tests', () => {
  const wrong = [];
  for (const file of [...filesBelow('.')].filter((name) => name.endsWith('CMakeLists.txt'))) {
    const text = readFileSync(path.join(root, file), 'utf8').replace(/#.*$/gm, '');
    for (const [, name, rest] of text.matchAll(/allod_(?:library|executable)\(\s*(\w[\w-]*)([^)]*)\)/g)) {
      if (/_testing$|^allod_test_/.test(name)) continue;
      for (const used of rest.split(/\s+/)) {
        const isForTests = /^allod_\w+_testing$|^allod_test_support$|(^|\/)testing\//.test(used);
        if (isForTests) wrong.push(`${file}: ${name} -> ${used}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test('the scheduler is pure: values in, values out', () => {
  const impure = /^(mutex|shared_mutex|condition_variable|thread|fstream|filesystem|grpcpp\/.*|pqxx\/.*|.*\.pb\.h|services\/(?!common\/).*|services\/common\/(pg|rpc)\/.*)$/;
  const wrong = [];
  for (const [file, used] of includes) {
    if (!file.startsWith('scheduler/') || isTest(file)) continue;
    for (const target of used) if (impure.test(target)) wrong.push(`${file} -> ${target}`);
  }
  assert.deepEqual(wrong, []);
});

test('libraries stay where the architecture says', () => {
  const homes = [
    [/^pqxx\//, /^services\/common\/pg\/|\/pg_\w+\./],
    [/^hiredis\//, /^services\/common\/redis\./],
    [/^(llama|ggml|gguf|chat|common)\.h$|^ggml-/, /\/llama_\w+\./],
    [/^boost\/beast/, /^gateway\/http\//],
  ];
  const wrong = [];
  for (const [file, used] of includes) {
    if (isTest(file)) continue;
    for (const target of used) {
      for (const [library, home] of homes) {
        if (library.test(target) && !home.test(file)) wrong.push(`${file} -> ${target}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

// Who connects with another proof, or with none, would do it here.
test('channels and servers are made in one place each, with Credentials', () => {
  const homes = [
    [/\bCreate(Custom)?Channel\b/, 'services/common/rpc/client.cc'],
    [/\bServerBuilder\b/, 'services/common/rpc/server.cc'],
    [/InsecureChannel|Insecure\w*Credentials|Ssl\w*Credentials|Tls\w*Credentials/, 'services/common/rpc/credentials.cc'],
  ];
  const wrong = [];
  for (const file of sources) {
    const text = readFileSync(path.join(root, file), 'utf8').replace(/\/\/.*$/gm, '');
    for (const [word, home] of homes) if (word.test(text) !== (file === home)) wrong.push(`${file}: ${word}`);
  }
  assert.deepEqual(wrong, []);
});
