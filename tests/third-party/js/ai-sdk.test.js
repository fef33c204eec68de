// The Vercel AI SDK through five providers, each with nothing changed but its base URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { createOllama } from "ollama-ai-provider-v2";
import { z } from "zod";

const { ATOLL_URL: url, ATOLL_MODEL: name } = process.env;
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
const compatible = createOpenAICompatible({ name: "atoll", baseURL: `${url}/v1`, supportsStructuredOutputs: true });
const ollama = createOllama({ baseURL: `${url}/api` });
const models = {
  "openai chat": openai.chat(name),
  "openai responses": openai.responses(name),
  "openai-compatible": compatible(name),
  anthropic: createAnthropic({ baseURL: `${url}/v1`, apiKey: "unused" })(name),
  ollama: ollama(name),
};
// The Ollama provider passes the temperature on only in its own options.
const short = { temperature: 0, maxOutputTokens: 96, maxRetries: 0, providerOptions: { ollama: { options: { temperature: 0 } } } };

const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}, 21 degrees`,
});

for (const [provider, model] of Object.entries(models)) {
  test(`${provider}: text`, async () => {
    const reply = await generateText({ model, prompt: "Hello", ...short });
    assert.ok(reply.text.trim());
    assert.ok(["stop", "length"].includes(reply.finishReason));
    assert.ok(reply.usage.inputTokens > 0 && reply.usage.outputTokens > 0);
  });

  test(`${provider}: the stream is the whole answer`, async () => {
    const whole = await generateText({ model, prompt: "Hello", ...short });
    const stream = streamText({ model, prompt: "Hello", ...short, onError: ({ error }) => { throw error; } });
    let text = "";
    for await (const delta of stream.textStream) text += delta;
    assert.equal(text, whole.text);
    assert.equal(await stream.finishReason, whole.finishReason);
  });

  test(`${provider}: a tool is called and its result used`, async () => {
    const reply = await generateText({ model, prompt: "What is the weather in Tunis?", tools: { weather }, stopWhen: stepCountIs(3), ...short });
    const calls = reply.steps.flatMap((step) => step.toolCalls);
    assert.equal(calls[0].toolName, "weather");
    assert.equal(typeof calls[0].input.city, "string");
    assert.ok(reply.steps.length > 1 && reply.text.trim());
  });

  test(`${provider}: a tool in a stream`, async () => {
    const stream = streamText({ model, prompt: "What is the weather in Tunis?", tools: { weather }, stopWhen: stepCountIs(3), ...short });
    const seen = [];
    for await (const part of stream.fullStream) seen.push(part.type);
    assert.ok(!seen.includes("error"), seen.join(" "));
    for (const type of ["tool-call", "tool-result", "finish"]) assert.ok(seen.includes(type), `${type} in ${seen.join(" ")}`);
  });

  test(`${provider}: an object`, async () => {
    const schema = jsonSchema({
      type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
    });
    const prompt = 'Extract the city from: "It rains in Tunis." Return JSON.';
    const reply = await generateText({ model, prompt, output: Output.object({ schema }), ...short });
    assert.deepEqual(Object.keys(reply.output), ["city"]);
  });
}

const embedders = {
  "openai": openai.embeddingModel(name),
  "openai-compatible": compatible.embeddingModel(name),
  "ollama": ollama.embeddingModel(name),
};
for (const [provider, model] of Object.entries(embedders)) {
  test(`${provider}: embeddings`, async () => {
    const { embeddings, usage } = await embedMany({ model, values: ["a", "b"], maxRetries: 0 });
    assert.equal(embeddings.length, 2);
    assert.ok(embeddings[0].length > 8 && usage.tokens >= 0);
  });
}
