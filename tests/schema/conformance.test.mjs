// "JSON schema: always followed": texts of the grammar that is made of a random schema satisfy the schema, as a validator
// written by others sees it, and documents that it refuses are no texts of the grammar.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import { kFormats, mutated, randomSchema, seeded } from './random_schema.mjs';

const kSchemas = 500;
const kSamples = 8;
const kSeed = 20261127;
// Schemas that are refused are no failure of the grammar, but most are to be taken.
const kRefusedShareMax = 0.35;

const kDay = /^(\d{4})-(\d\d)-(\d\d)$/;
const isDay = (text) => {
  const m = kDay.exec(text);
  if (!m) return false;
  const day = new Date(0);
  day.setUTCFullYear(+m[1], +m[2] - 1, +m[3]);
  return day.getUTCFullYear() === +m[1] && day.getUTCMonth() === +m[2] - 1 && day.getUTCDate() === +m[3];
};
const isTime = (text) => {
  const m = /^(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-](\d\d):(\d\d))$/.exec(text);
  return m !== null && +m[1] < 24 && +m[2] < 60 && +m[3] < 60 && (m[5] === 'Z' || (+m[6] < 24 && +m[7] < 60));
};
const isHost = (text) => text.length <= 253 && text.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
const kChecks = {
  date: isDay,
  time: isTime,
  'date-time': (text) => isDay(text.slice(0, 10)) && text[10] === 'T' && isTime(text.slice(11)),
  uuid: (text) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  email: (text) => /^[^@\s"]{1,64}@[^@]+$/.test(text) && !/^\.|\.\.|\.@/.test(text) && isHost(text.split('@')[1]),
  hostname: isHost,
  ipv4: (text) => /^(\d+\.){3}\d+$/.test(text) && text.split('.').every((n) => +n < 256 && String(+n) === n),
  uri: (text) => URL.canParse(text),
};

function validatorOf(schema) {
  const ajv = new Ajv2020({ strict: false, validateFormats: true, ownProperties: true, logger: false });
  for (const name of kFormats) ajv.addFormat(name, kChecks[name]);
  return ajv.compile(schema);
}

let probe;
let lines;
before(() => {
  probe = spawn(`${process.env.ALLOD_BUILD_DIR}/tests/schema_probe`, { stdio: ['pipe', 'pipe', 'inherit'] });
  lines = createInterface({ input: probe.stdout })[Symbol.asyncIterator]();
});
after(() => probe.stdin.end());

async function ask(question) {
  probe.stdin.write(JSON.stringify({ seed: 1, samples: 0, documents: [], ...question }) + '\n');
  const { value, done } = await lines.next();
  assert.ok(!done, 'the probe ended');
  return JSON.parse(value);
}

test(`answers to ${kSchemas} random schemas satisfy them, and nothing that does not is one`, async () => {
  const random = seeded(kSeed);
  let taken = 0;
  let refused = 0;
  let samples = 0;
  let foreign = 0;
  while (taken < kSchemas) {
    const schema = randomSchema(random);
    const answer = await ask({ schema, seed: random.below(1e9), samples: kSamples });
    if (answer.error) {
      assert.match(answer.error, /^at ".*": |grammar would have more than|combine in more than/, JSON.stringify(schema));
      ++refused;
      continue;
    }
    ++taken;
    const validate = validatorOf(schema);
    const documents = [];
    for (const text of answer.samples) {
      let value;
      assert.doesNotThrow(() => (value = JSON.parse(text)), `${text}\n${JSON.stringify(schema)}`);
      assert.ok(validate(value), `${text}\n${JSON.stringify(schema)}\n${JSON.stringify(validate.errors)}`);
      ++samples;
      for (let i = 0; i < 6; ++i) {
        const other = mutated(random, value);
        if (!validate(other)) documents.push(JSON.stringify(other));
      }
    }
    const { accepts } = await ask({ schema, documents });
    accepts.forEach((accepted, i) => assert.ok(!accepted, `accepts ${documents[i]}\n${JSON.stringify(schema)}`));
    foreign += documents.length;
  }
  assert.ok(refused <= (taken + refused) * kRefusedShareMax, `${refused} of ${taken + refused} were refused`);
  assert.ok(samples === kSchemas * kSamples && foreign > kSchemas, `${samples} answers, ${foreign} other documents`);
});

test('documents that satisfy a schema, members in its order, are answers', async () => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'integer', minimum: -5, maximum: 1200 },
      share: { type: 'number', minimum: 0, exclusiveMaximum: 1 },
      code: { type: 'string', pattern: '[A-Z]{2}', maxLength: 4 },
      day: { type: 'string', format: 'date' },
      tags: { type: 'array', items: { enum: ['x', 'y"z'] }, minItems: 1, maxItems: 3 },
    },
    required: ['id'],
    additionalProperties: { type: 'null' },
  };
  const documents = [
    '{"id":-5}', '{"id":1200,"share":0}', '{"id":0,"share":0.999}', '{"id":7,"code":"xABy"}', '{"id":7,"code":"AB"}',
    '{"id":7,"day":"2024-02-29"}', '{"id":7,"day":"2000-02-29"}', '{"id":7,"tags":["x","y\\"z"]}', '{"id":7,"other":null,"b":null}',
    '{ "id": 7, "tags": [ "x" ] }', '{\n  "id": 7,\n  "code": "ABCD"\n}',
  ];
  const validate = validatorOf(schema);
  for (const text of documents) assert.ok(validate(JSON.parse(text)), text);
  const { accepts } = await ask({ schema, documents });
  assert.deepEqual(documents.filter((_, i) => !accepts[i]), []);
});
