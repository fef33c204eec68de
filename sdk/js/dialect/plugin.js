// The dialect {{name}}: `POST /{{name}}/{model}` takes a prompt as text and streams text back.
//
// The host makes a fresh instance for each request, so state is nobody else's. Nothing here may ask the
// engine for the time or for random numbers: it was started when the plugin was built, and both have
// stood still since. The request carries the time (`receivedAt`).
//
// To answer with an error, throw one of the contract's: { kind: { tag: "invalid-argument" }, message }.

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();
const TEXT = [{ name: "content-type", value: "text/plain; charset=utf-8" }];

function describe() {
  return {
    plugin: {
      name: "{{name}}",
      version: "0.1.0",
      summary: "Text in, text out.",
      settingsSchema: "{}",
      // What of the host it uses, and why. To pull, copy, delete or load models, say
      // [{ grant: { tag: "other", val: "manage-models" }, reason: "To ..." }].
      wants: [],
    },
    routes: [{ method: "POST", path: "/{{name}}/{model}" }],
  };
}

class Exchange {
  constructor(request) {
    this.request = request;
  }

  // From the client's request to the canonical one. What is thrown here goes to `fail`.
  decode() {
    const [, model] = this.request.pathParams.find(([name]) => name === "model");
    let text;
    try {
      text = decoder.decode(this.request.body);
    } catch {
      throw { kind: { tag: "invalid-argument" }, message: "The prompt is not UTF-8.", param: "body" };
    }
    const part = { content: { tag: "text", val: text } };
    return { tag: "generate", val: generate(model, [{ role: "user", parts: [part] }]) };
  }

  head() {
    return { status: 200, headers: TEXT };
  }

  // From canonical events to the client's bytes, batch by batch as the model speaks.
  encode(events) {
    const text = events.filter(({ tag }) => tag === "text-delta").map(({ val }) => val.text);
    return encoder.encode(text.join(""));
  }

  reply() {
    throw { kind: { tag: "internal" }, message: "This API only generates." };
  }

  fail(reason) {
    const status = reason.kind.tag === "model-not-found" ? 404 : reason.kind.tag === "overloaded" ? 503 : 400;
    return { head: { status, headers: TEXT }, body: encoder.encode(reason.message) };
  }
}

// A request that leaves everything else to the host and the model.
function generate(model, messages) {
  return {
    model,
    prompt: { tag: "conversation", val: messages },
    tools: [],
    toolChoice: { tag: "auto" },
    format: { tag: "text" },
    reasoning: { mode: "unset", visibility: "full" },
    sampling: { logitBias: [], ignoreEos: false },
    choices: 1,
    stop: [],
    overflow: "refuse",
    state: { store: false, background: false, transientMessages: 0 },
    cache: {},
    streaming: { enabled: true, includeUsage: false },
    metadata: [],
  };
}

export const dialectGuest = { describe, Exchange };
