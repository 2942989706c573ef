// The OpenAI-compatible API as the `openai` client sees it, against a running installation:
//
//   ALLOD_BASE_URL=http://127.0.0.1:8080/v1 ALLOD_API_KEY_FILE=... ALLOD_MODEL=ke-assistant node --test chat.test.mjs

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import OpenAI from 'openai';

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}; see the head of this file`);
  return value;
}

const given = setting('ALLOD_BASE_URL').replace(/\/+$/, '');
const baseURL = given.endsWith('/v1') ? given : `${given}/v1`;
const apiKey = readFileSync(setting('ALLOD_API_KEY_FILE'), 'utf8').trim();
const model = setting('ALLOD_MODEL');
const client = new OpenAI({ baseURL, apiKey, timeout: 60_000 });
const once = new OpenAI({ baseURL, apiKey, timeout: 60_000, maxRetries: 0 });
const messages = [{ role: 'user', content: 'Where do I get a birth certificate?' }];

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
const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('');

test('models are listed and retrieved', async () => {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  assert.ok(ids.includes(model), `${model} is not among ${ids}`);
  const entry = await client.models.retrieve(model);
  assert.equal(entry.id, model);
  assert.equal(entry.object, 'model');
  assert.ok(entry.created > 1_600_000_000);
});

test('a chat is answered whole, with usage and a request id', async () => {
  const { data, response } = await client.chat.completions
    .create({ model, messages, temperature: 0, max_tokens: 48 })
    .withResponse();
  assert.equal(data.object, 'chat.completion');
  assert.equal(data.model, model);
  assert.match(data.id, /^chatcmpl-[0-9a-f]{32}$/);
  assert.equal(data.choices.length, 1);
  assert.equal(data.choices[0].message.role, 'assistant');
  assert.ok(data.choices[0].message.content.length > 0);
  assert.ok(['stop', 'length'].includes(data.choices[0].finish_reason));
  assert.ok(data.usage.prompt_tokens > 0);
  assert.ok(data.usage.completion_tokens > 0 && data.usage.completion_tokens <= 48);
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.match(response.headers.get('x-request-id'), /^[0-9a-f-]{36}$/);
  for (const kind of ['requests', 'tokens']) {
    for (const what of ['limit', 'remaining', 'reset']) assert.ok(response.headers.get(`x-ratelimit-${what}-${kind}`));
  }
});

test('a stream is the whole answer in pieces', async () => {
  const request = { model, messages, temperature: 0, max_tokens: 32 };
  const whole = await client.chat.completions.create(request);
  const stream = await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
  const chunks = await collect(stream);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(textOf(chunks), whole.choices[0].message.content);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(new Set(chunks.map((chunk) => chunk.created)).size, 1);
  const finishes = chunks.filter((chunk) => chunk.choices[0]?.finish_reason);
  assert.equal(finishes.length, 1);
  assert.equal(finishes[0].choices[0].finish_reason, whole.choices[0].finish_reason);
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.deepEqual(last.usage, whole.usage);
});

test('usage is not sent to who did not ask for it', async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 4, stream: true });
  for (const chunk of await collect(stream)) {
    assert.equal(chunk.usage, undefined);
    assert.equal(chunk.choices.length, 1);
  }
});

test('max_tokens ends an answer with length', async () => {
  const answer = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 2 });
  assert.equal(answer.usage.completion_tokens, 2);
  assert.equal(answer.choices[0].finish_reason, 'length');
});

test('a stop string ends an answer and is not part of it', async () => {
  const request = { model, messages, temperature: 0, max_tokens: 48 };
  const full = (await client.chat.completions.create(request)).choices[0].message.content;
  const word = full.split(/\s+/).find((part, index) => index > 1 && part.length > 2);
  assert.ok(word, `no word to stop at in: ${full}`);
  const cut = await client.chat.completions.create({ ...request, stop: [word] });
  assert.equal(cut.choices[0].finish_reason, 'stop');
  assert.equal(cut.choices[0].message.content, full.slice(0, full.indexOf(word)));
});

test('the same seed gives the same answer', async () => {
  const request = { model, messages, temperature: 1.2, seed: 7, max_tokens: 16 };
  const first = await client.chat.completions.create(request);
  const second = await client.chat.completions.create(request);
  assert.equal(first.choices[0].message.content, second.choices[0].message.content);
});

test('plain completions continue a text', async () => {
  const answer = await client.completions.create({ model, prompt: 'To register a birth', max_tokens: 8, temperature: 0 });
  assert.equal(answer.object, 'text_completion');
  assert.ok(answer.usage.completion_tokens <= 8);
  const stream = await client.completions.create({
    model, prompt: 'To register a birth', max_tokens: 8, temperature: 0, stream: true,
  });
  const text = (await collect(stream)).map((chunk) => chunk.choices[0]?.text ?? '').join('');
  assert.equal(text, answer.choices[0].text);
});

test('an unknown key is 401 invalid_api_key', async () => {
  for (const wrong of ['sk-not-ours', `${apiKey.slice(0, -1)}${apiKey.endsWith('0') ? '1' : '0'}`]) {
    const stranger = new OpenAI({ baseURL, apiKey: wrong, maxRetries: 0 });
    const error = await refusal(() => stranger.chat.completions.create({ model, messages }));
    assert.equal(error.status, 401);
    assert.equal(error.code, 'invalid_api_key');
  }
});

test('an unknown model is 404 model_not_found', async () => {
  const error = await refusal(() => once.chat.completions.create({ model: 'nobody-has-this', messages }));
  assert.equal(error.status, 404);
  assert.equal(error.code, 'model_not_found');
  assert.equal(error.param, 'model');
});

test('a prompt longer than the context is 400 context_length_exceeded, streamed or not', async () => {
  const long = [{ role: 'user', content: 'Where do I get a birth certificate? '.repeat(4000) }];
  for (const stream of [false, true]) {
    const error = await refusal(() => once.chat.completions.create({ model, messages: long, stream }));
    assert.equal(error.status, 400);
    assert.equal(error.code, 'context_length_exceeded');
  }
});

test('what is wrong or not offered is refused by name', async () => {
  const cases = [
    [{ temperature: 3 }, 'temperature', 'out_of_range'],
    [{ max_tokens: 0 }, 'max_tokens', 'out_of_range'],
    [{ n: 9 }, 'n', 'out_of_range'],
    [{ tools: [{ type: 'code' }] }, 'tools[0].type', 'unsupported_parameter'],
    [{ temprature: 1 }, 'temprature', 'unknown_parameter'],
  ];
  for (const [more, param, code] of cases) {
    const error = await refusal(() => once.chat.completions.create({ model, messages, ...more }));
    assert.equal(error.status, 400);
    assert.equal(error.param, param);
    assert.equal(error.code, code);
    assert.ok(error.message.includes(param), error.message);
  }
});

test('an abort in the middle of a stream leaves the instance answering', async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 64, temperature: 1.5, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break; // leaving the loop aborts the request
  }
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 4 });
  assert.ok(answer.usage.completion_tokens > 0);
});

test('unknown paths are error objects, never HTML', async () => {
  const response = await fetch(`${baseURL}/nothing-here`, { headers: { authorization: `Bearer ${apiKey}` } });
  assert.equal(response.status, 404);
  assert.deepEqual(Object.keys((await response.json()).error).sort(), ['code', 'message', 'param', 'type']);
});
