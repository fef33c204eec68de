// From Cohere's JSON to the canonical request. What this plugin cannot do is refused by name;
// nothing a client sends is dropped in silence.

import { failure, invalid, unsupported } from "./errors.js";

const ROLES = { system: "system", user: "user", assistant: "assistant" };
const KNOWN = new Set([
  "model", "messages", "stream", "max_tokens", "temperature", "p", "k", "seed", "stop_sequences",
  "frequency_penalty", "presence_penalty", "response_format",
]);

export function decode(body) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw invalid("body", "The body is not a JSON object.");
  }
  for (const name of Object.keys(body)) {
    if (!KNOWN.has(name)) throw unsupported(name, `'${name}' is not supported here.`);
  }
  return {
    model: text(body, "model"),
    prompt: { tag: "conversation", val: messages(body.messages) },
    tools: [],
    toolChoice: { tag: "auto" },
    format: format(body.response_format),
    reasoning: { mode: "unset", visibility: "full" },
    sampling: {
      temperature: number(body, "temperature", 0, 1),
      topK: integer(body, "k", 0, 500),
      topP: number(body, "p", 0.01, 0.99),
      frequencyPenalty: number(body, "frequency_penalty", 0, 1),
      presencePenalty: number(body, "presence_penalty", 0, 1),
      logitBias: [],
      seed: seed(body.seed),
      ignoreEos: false,
    },
    maxOutputTokens: integer(body, "max_tokens", 1, 2 ** 31),
    choices: 1,
    stop: stops(body.stop_sequences),
    overflow: "refuse",
    state: { store: false, background: false, transientMessages: 0 },
    cache: {},
    streaming: { enabled: body.stream === true, includeUsage: true },
    metadata: [],
  };
}

function messages(list) {
  if (list === undefined) throw failure("missing-argument", "messages", "'messages' is required.");
  if (!Array.isArray(list) || list.length === 0) throw invalid("messages", "'messages' must be a list that is not empty.");
  return list.map((message, i) => {
    const at = `messages[${i}]`;
    const role = ROLES[message?.role];
    if (role === undefined) throw invalid(`${at}.role`, `Role ${JSON.stringify(message?.role)} is not one of system, user, assistant.`);
    return { role, parts: parts(message.content, `${at}.content`) };
  });
}

function parts(content, at) {
  if (typeof content === "string") return [part(content)];
  if (!Array.isArray(content)) throw invalid(at, "Content must be text or a list of parts.");
  return content.map((item, i) => {
    if (item?.type !== "text") throw unsupported(`${at}[${i}].type`, "Only parts of type text are supported here.");
    if (typeof item.text !== "string") throw invalid(`${at}[${i}].text`, "The text of a part must be a string.");
    return part(item.text);
  });
}

const part = (text) => ({ content: { tag: "text", val: text } });

function format(value) {
  if (value === undefined || value?.type === "text") return { tag: "text" };
  if (value?.type !== "json_object") throw invalid("response_format.type", "The type must be text or json_object.");
  const schema = value.json_schema ?? value.schema;
  if (schema === undefined) return { tag: "json-object" };
  return { tag: "json-schema", val: { schema: JSON.stringify(schema) } };
}

function text(body, name) {
  if (body[name] === undefined) throw failure("missing-argument", name, `'${name}' is required.`);
  if (typeof body[name] !== "string") throw invalid(name, `'${name}' must be a string.`);
  return body[name];
}

function number(body, name, low, high) {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    throw invalid(name, `'${name}' must be a number from ${low} to ${high}.`);
  }
  return value;
}

function integer(body, name, low, high) {
  const value = number(body, name, low, high);
  if (value !== undefined && !Number.isInteger(value)) throw invalid(name, `'${name}' must be a whole number.`);
  return value;
}

function seed(value) {
  if (value === undefined || value === null) return undefined;
  if (!Number.isSafeInteger(value) || value < 0) throw invalid("seed", "'seed' must be a whole number.");
  return BigInt(value);
}

function stops(value) {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > 5 || !value.every((stop) => typeof stop === "string")) {
    throw invalid("stop_sequences", "'stop_sequences' must be a list of at most 5 strings.");
  }
  return value;
}
