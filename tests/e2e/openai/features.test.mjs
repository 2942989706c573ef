// What an answer may be asked to be, as the `openai` client sees it, against a whole installation of its own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import Ajv2020 from 'ajv/dist/2020.js';
import OpenAI from 'openai';

import { Platform } from '../platform.mjs';

const model = 'assistant';
const messages = [{ role: 'user', content: 'Where do I get a birth certificate?' }];
const platform = new Platform();
let client;
let once;

before(() => {
  platform.up();
  platform.provision();
  client = new OpenAI({ baseURL: platform.base, apiKey: platform.key, timeout: 120_000 });
  once = new OpenAI({ baseURL: platform.base, apiKey: platform.key, timeout: 120_000, maxRetries: 0 });
});
after(() => platform.remove());

// The error that `call` is refused with.
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  assert.fail('the call was not refused');
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const ask = (more) => client.chat.completions.create({ model, messages, max_tokens: 24, ...more });
const place = {
  type: 'object',
  properties: {
    city: { type: 'string', maxLength: 20 },
    open: { type: 'boolean' },
    kind: { enum: ['office', 'clinic', 'school'] },
  },
  required: ['city', 'open', 'kind'],
  additionalProperties: false,
};

// Whether `answer` is what the schema `place` allows.
function checkPlace(answer) {
  assert.deepEqual(Object.keys(answer).sort(), ['city', 'kind', 'open']);
  assert.equal(typeof answer.city, 'string');
  assert.equal(typeof answer.open, 'boolean');
  assert.ok(place.properties.kind.enum.includes(answer.kind));
}

test('n answers come in one response, each with its index', async () => {
  const answer = await ask({ n: 3, temperature: 1.6, seed: 11 });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  for (const choice of answer.choices) assert.ok(['stop', 'length'].includes(choice.finish_reason));
  assert.ok(answer.usage.completion_tokens <= 3 * 24);
  assert.ok(new Set(answer.choices.map((choice) => choice.message.content)).size > 1, 'all three are the same');
});

test('n answers come in one stream', async () => {
  const chunks = await collect(await ask({ n: 2, stream: true, stream_options: { include_usage: true } }));
  for (const index of [0, 1]) {
    const own = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
    assert.equal(own[0].delta.role, 'assistant');
    assert.equal(own.filter((choice) => choice.finish_reason).length, 1);
    assert.ok(own.at(-1).finish_reason);
  }
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
});

test('the same seed gives the same answers, another seed others', async () => {
  const texts = async (seed) => (await ask({ seed, temperature: 1.3, n: 2 })).choices.map((choice) => choice.message.content);
  const first = await texts(5);
  assert.deepEqual(await texts(5), first);
  assert.notDeepEqual(await texts(6), first);
});

test('logprobs tell what each token was and what it might have been', async () => {
  const answer = await ask({ temperature: 0, logprobs: true, top_logprobs: 3 });
  const { content } = answer.choices[0].logprobs;
  assert.equal(content.length, answer.usage.completion_tokens);
  for (const entry of content) {
    assert.ok(entry.logprob <= 0);
    assert.equal(entry.top_logprobs.length, 3);
    assert.ok(entry.top_logprobs[0].logprob >= entry.top_logprobs[2].logprob);
  }
  const bytes = Buffer.from(content.flatMap((entry) => entry.bytes));
  assert.equal(bytes.toString('utf8'), answer.choices[0].message.content);
  const streamed = await collect(await ask({ temperature: 0, logprobs: true, top_logprobs: 1, stream: true }));
  const tokens = streamed.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
  assert.deepEqual(tokens.map((entry) => entry.token), content.map((entry) => entry.token));
});

test('legacy completions have logprobs in columns', async () => {
  const answer = await client.completions.create({ model, prompt: 'To register a birth', max_tokens: 6, temperature: 0, logprobs: 2 });
  const { tokens, token_logprobs, top_logprobs, text_offset } = answer.choices[0].logprobs;
  assert.equal(tokens.join(''), answer.choices[0].text);
  assert.equal(token_logprobs.length, tokens.length);
  assert.equal(text_offset[0], 0);
  assert.ok(Object.keys(top_logprobs[0]).length >= 1);
});

test('logit_bias forbids and forces tokens', async () => {
  const plain = await client.completions.create({ model, prompt: 'To register a birth', max_tokens: 4, temperature: 0 });
  const forced = await client.completions.create({
    model, prompt: 'To register a birth', max_tokens: 4, temperature: 0, logit_bias: { 65: 100 },
  });
  assert.notEqual(forced.choices[0].text, plain.choices[0].text);
  const error = await refusal(() => once.chat.completions.create({ model, messages, logit_bias: { birth: 5 } }));
  assert.equal(error.status, 400);
  assert.equal(error.param, 'logit_bias.birth');
});

test('an answer follows its JSON schema', async () => {
  const response_format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: place } };
  for (const temperature of [0, 1]) {
    const answer = await ask({ response_format, temperature, max_tokens: 200, seed: 3 });
    assert.equal(answer.choices[0].finish_reason, 'stop');
    checkPlace(JSON.parse(answer.choices[0].message.content));
  }
  const streamed = await collect(await ask({ response_format, max_tokens: 200, stream: true }));
  checkPlace(JSON.parse(streamed.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('')));
});

test('answers that end satisfy their schema, as another validator sees it; what is not enforced is refused by name', async () => {
  const ajv = new Ajv2020({ strict: false });
  for (const schema of [
    { type: 'string', pattern: '^\\d{3}-[A-Z]{2}$' },
    { type: 'number', minimum: 0, maximum: 1 },
    { type: 'object', properties: { '': { type: 'null' }, n: { type: 'integer', multipleOf: 5 } }, required: ['', 'n'] },
    { type: 'array', items: { enum: ['yes', 'no'] }, minItems: 1, maxItems: 3 },
    { $ref: '#/$defs/t', maxLength: 3, $defs: { t: { type: 'string', minLength: 2 } } },
  ]) {
    const response_format = { type: 'json_schema', json_schema: { name: 'any', schema } };
    const answer = await ask({ response_format, max_tokens: 120, temperature: 1, n: 4, seed: 1 });
    for (const { message, finish_reason } of answer.choices) {
      if (finish_reason !== 'stop') continue;
      assert.ok(ajv.validate(schema, JSON.parse(message.content)), `${message.content} ${JSON.stringify(schema)}`);
    }
  }
  const schema = { type: 'object', properties: { a: { not: {} } } };
  const response_format = { type: 'json_schema', json_schema: { name: 'none', schema } };
  const error = await refusal(() => once.chat.completions.create({ model, messages, response_format }));
  assert.equal(error.status, 400);
  assert.equal(error.param, 'response_format.json_schema.schema');
  assert.match(error.message, /\/properties\/a\/not.*"not" is not enforced/);
});

test('an answer follows a grammar', async () => {
  const answer = await ask({ grammar: 'root ::= ("yes" | "no") "!"', temperature: 1 });
  assert.match(answer.choices[0].message.content, /^(yes|no)!$/);
  const error = await refusal(() => once.chat.completions.create({ model, messages, grammar: 'root ::= (' }));
  assert.equal(error.status, 400);
});

test('a required tool is called with arguments that follow its schema', async () => {
  const tools = [{ type: 'function', function: { name: 'find_office', description: 'Finds an office', parameters: place } }];
  const required = { tools, tool_choice: 'required', max_tokens: 300, temperature: 0 };
  const answer = await ask(required);
  const [choice] = answer.choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.equal(choice.message.tool_calls[0].type, 'function');
  assert.equal(choice.message.tool_calls[0].function.name, 'find_office');
  checkPlace(JSON.parse(choice.message.tool_calls[0].function.arguments));

  const final = await client.chat.completions.stream({ model, messages, ...required }).finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, 'tool_calls');
  checkPlace(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments));

  const call = choice.message.tool_calls[0];
  const next = await client.chat.completions.create({
    model, max_tokens: 8, tools,
    messages: [...messages, choice.message, { role: 'tool', tool_call_id: call.id, content: 'Huduma Centre, Nairobi' }],
  });
  assert.ok(next.usage.prompt_tokens > answer.usage.prompt_tokens);
});

test('stop strings end an answer', async () => {
  const full = (await ask({ temperature: 0, max_tokens: 48 })).choices[0].message.content;
  const word = full.split(/\s+/).find((part, index) => index > 1 && part.length > 2);
  const cut = await ask({ temperature: 0, max_tokens: 48, stop: [word, 'never said'] });
  assert.equal(cut.choices[0].message.content, full.slice(0, full.indexOf(word)));
});

test('a prompt that was read before is cached, and usage says so', async () => {
  const long = [{ role: 'system', content: 'You help citizens with births, land and taxes. '.repeat(6) }, ...messages];
  const usage = async () =>
    (await collect(await client.chat.completions.create({
      model, messages: long, max_tokens: 4, temperature: 0, stream: true, stream_options: { include_usage: true },
    }))).at(-1).usage;
  const first = await usage();
  const second = await usage();
  assert.equal(second.prompt_tokens, first.prompt_tokens);
  assert.ok(second.prompt_tokens_details.cached_tokens > 0);
  assert.ok(second.prompt_tokens_details.cached_tokens < second.prompt_tokens);
});

test('a generative model refuses embeddings, in both formats', async () => {
  for (const encoding_format of ['float', undefined]) {
    const error = await refusal(() => once.embeddings.create({ model, input: 'habari', encoding_format }));
    assert.equal(error.status, 400);
    assert.equal(error.code, 'model_not_embedding');
    assert.equal(error.param, 'model');
  }
});

test('what cannot be done is refused by name', async () => {
  const tool = { type: 'function', function: { name: 'f' } };
  const cases = [
    [{ n: 9 }, 'n', 'out_of_range'],
    [{ top_logprobs: 2 }, 'top_logprobs', 'invalid_parameter'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'out_of_range'],
    [{ tool_choice: 'required' }, 'tool_choice', 'invalid_parameter'],
    [{ tools: [tool, tool] }, 'tools[1].function.name', 'invalid_value'],
    [{ tools: [tool], grammar: 'root ::= "x"' }, 'grammar', 'invalid_parameter'],
    [{ response_format: { type: 'yaml' } }, 'response_format.type', 'invalid_value'],
    [{ messages: [{ role: 'user', content: 'Where do I get a birth certificate? '.repeat(4000) }] }, 'messages', 'context_length_exceeded'],
  ];
  for (const [more, param, code] of cases) {
    const error = await refusal(() => once.chat.completions.create({ model, messages, ...more }));
    assert.equal(error.status, 400);
    assert.equal(error.code, code);
    assert.equal(error.param, param);
  }
});
