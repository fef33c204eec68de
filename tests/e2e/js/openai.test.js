// The official `openai` package against the running host at ATOLL_URL.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

const model = process.env.ATOLL_MODEL;
const client = new OpenAI({ baseURL: `${process.env.ATOLL_URL}/v1`, apiKey: 'unused', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello' }];
const ask = (change) => ({ model, max_tokens: 40, messages, temperature: 0, ...change });

test('a streamed chat says what the whole one says', async () => {
  const whole = await client.chat.completions.create(ask());
  assert.ok(whole.choices[0].message.content.trim());
  let streamed = '';
  for await (const chunk of await client.chat.completions.create(ask({ stream: true }))) {
    streamed += chunk.choices[0]?.delta?.content ?? '';
  }
  assert.equal(streamed, whole.choices[0].message.content);
  const final = await client.chat.completions.stream(ask()).finalChatCompletion();
  assert.equal(final.choices[0].message.content, streamed);
  assert.equal(final.choices[0].finish_reason, whole.choices[0].finish_reason);
});

test('usage comes when asked for', async () => {
  const stream = await client.chat.completions.create(ask({ stream: true, stream_options: { include_usage: true } }));
  let usage;
  for await (const chunk of stream) usage = chunk.usage ?? usage;
  const whole = await client.chat.completions.create(ask());
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test('models', async () => {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).id, model);
});

test('errors have their own classes', async () => {
  await assert.rejects(client.chat.completions.create(ask({ model: 'none' })), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create(ask({ temperature: -1 })), OpenAI.BadRequestError);
});

test('a stream can be left', async () => {
  const stream = await client.chat.completions.create(ask({ stream: true }));
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  assert.ok((await client.chat.completions.create(ask({ max_tokens: 2 }))).choices[0].message);
});
