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

const weather = {
  type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false,
};
const question = [{ role: 'user', content: 'What is the weather in Tunis?' }];

test('a tool is called, whole and streamed, and its result is used', async () => {
  const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather in a city.', parameters: weather } }];
  const demand = ask({ messages: question, tools, tool_choice: 'required', parallel_tool_calls: false, max_tokens: 120 });
  const [choice] = (await client.chat.completions.create(demand)).choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  const [call] = choice.message.tool_calls;
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ['city']);
  const final = await client.chat.completions.stream(demand).finalChatCompletion();
  assert.equal(final.choices[0].message.tool_calls[0].function.arguments, call.function.arguments);
  const result = { role: 'tool', tool_call_id: call.id, content: 'sunny, 21 degrees' };
  const after = await client.chat.completions.create(ask({ messages: [...question, choice.message, result], tools, tool_choice: 'none' }));
  assert.ok(after.choices[0].message.content.trim());
});

test('a schema is followed', async () => {
  const format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: weather } };
  const reply = await client.chat.completions.create(ask({ messages: question, response_format: format, max_tokens: 100 }));
  assert.deepEqual(Object.keys(JSON.parse(reply.choices[0].message.content)), ['city']);
});

test('a response streams what it is, is stored, gone on from and deleted', async () => {
  const body = { model, input: 'Hello', max_output_tokens: 40, temperature: 0 };
  const whole = await client.responses.create(body);
  assert.ok(whole.output_text.trim());
  let streamed = '';
  let last;
  for await (const event of await client.responses.create({ ...body, stream: true })) {
    if (event.type === 'response.output_text.delta') streamed += event.delta;
    last = event;
  }
  assert.equal(streamed, whole.output_text);
  assert.ok(['response.completed', 'response.incomplete'].includes(last.type));
  const final = await client.responses.stream(body).finalResponse();
  assert.equal(final.output_text, whole.output_text);
  const next = await client.responses.create({ ...body, input: 'And?', previous_response_id: whole.id });
  assert.ok(next.usage.input_tokens > whole.usage.input_tokens);
  assert.equal((await client.responses.retrieve(whole.id)).output_text, whole.output_text);
  await client.responses.delete(whole.id);
  await assert.rejects(client.responses.retrieve(whole.id), OpenAI.NotFoundError);
});

test('completions and embeddings', async () => {
  const body = { model, prompt: 'The capital of France is', max_tokens: 8, temperature: 0 };
  let streamed = '';
  for await (const chunk of await client.completions.create({ ...body, stream: true })) streamed += chunk.choices[0]?.text ?? '';
  assert.equal(streamed, (await client.completions.create(body)).choices[0].text);
  const { data } = await client.embeddings.create({ model, input: ['a', 'b'] });
  assert.equal(data.length, 2);
  assert.ok(Math.abs(Math.hypot(...data[0].embedding) - 1) < 1e-4);
});
