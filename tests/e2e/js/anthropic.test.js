// The official `@anthropic-ai/sdk` package against the running host at ATOLL_URL.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

const model = process.env.ATOLL_MODEL;
const client = new Anthropic({ baseURL: process.env.ATOLL_URL, apiKey: 'unused', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello' }];
const ask = (change) => ({ model, max_tokens: 40, messages, temperature: 0, ...change });
const text = (message) => message.content.filter((b) => b.type === 'text').map((b) => b.text).join('');

test('a streamed message says what the whole one says', async () => {
  const whole = await client.messages.create(ask());
  assert.ok(text(whole).trim());
  let streamed = '';
  const stream = client.messages.stream(ask()).on('text', (piece) => (streamed += piece));
  const final = await stream.finalMessage();
  assert.equal(streamed, text(whole));
  assert.equal(text(final), text(whole));
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
});

test('counting says what generation reports', async () => {
  const { input_tokens: counted } = await client.messages.countTokens({ model, messages });
  const { usage } = await client.messages.create(ask({ max_tokens: 1 }));
  assert.equal(counted, usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens);
});

test('models', async () => {
  const ids = [];
  for await (const entry of client.models.list({ limit: 1 })) ids.push(entry.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).id, model);
});

test('errors have their own classes', async () => {
  await assert.rejects(client.messages.create(ask({ model: 'none' })), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create(ask({ messages: [] })), Anthropic.BadRequestError);
  const long = [{ role: 'user', content: 'word '.repeat(20000) }];
  await assert.rejects(client.messages.create(ask({ messages: long })), /prompt is too long: \d+ tokens > \d+ maximum/);
});

test('a stream can be left', async () => {
  const stream = await client.messages.create(ask({ stream: true }));
  for await (const event of stream) if (event.type === 'content_block_delta') break;
  assert.ok(text(await client.messages.create(ask({ max_tokens: 2 }))).length > 0);
});

test('a tool is called, whole and streamed, and its result is used', async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
  const tools = [{ name: 'get_weather', description: 'The weather in a city.', input_schema: schema }];
  const question = [{ role: 'user', content: 'What is the weather in Tunis?' }];
  const demand = ask({ messages: question, tools, tool_choice: { type: 'any', disable_parallel_tool_use: true }, max_tokens: 120 });
  const reply = await client.messages.create(demand);
  const call = reply.content.find((block) => block.type === 'tool_use');
  assert.equal(reply.stop_reason, 'tool_use');
  assert.deepEqual(Object.keys(call.input), ['city']);
  const streamed = (await client.messages.stream(demand).finalMessage()).content.find((block) => block.type === 'tool_use');
  assert.deepEqual(streamed.input, call.input);
  const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'sunny, 21 degrees' }] };
  const messages = [...question, { role: 'assistant', content: reply.content }, result];
  assert.ok(text(await client.messages.create(ask({ messages, tools, tool_choice: { type: 'none' } }))).trim());
});

test('a schema is followed', async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
  const extract = [{ role: 'user', content: 'Extract the city from: "It rains in Tunis." Return JSON.' }];
  const reply = await client.messages.create(ask({ messages: extract, max_tokens: 100, output_config: { format: { type: 'json_schema', schema } } }));
  assert.deepEqual(Object.keys(JSON.parse(text(reply))), ['city']);
});
