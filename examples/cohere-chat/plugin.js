// A dialect: Cohere's v2 chat API, `POST /v2/chat`, in JavaScript.
//
// The host makes a fresh instance for each request, so an exchange keeps its state in itself. Nothing
// here may ask for the time or for random numbers: the engine was started when the plugin was built,
// and both have stood still since. The request carries what is needed (`receivedAt`).

import { decode } from "./request.js";
import { invalid, statusOf } from "./errors.js";

const encoder = new TextEncoder();
const FINISH = {
  stop: "COMPLETE",
  "stop-sequence": "STOP_SEQUENCE",
  length: "MAX_TOKENS",
  "context-window": "MAX_TOKENS",
  "tool-calls": "TOOL_CALL",
  "content-filter": "ERROR",
  cancelled: "ERROR",
};

function describe() {
  return {
    plugin: {
      name: "cohere-chat",
      version: "0.1.0",
      summary: "Cohere's v2 chat API.",
      settingsSchema: "{}",
      wants: [],
    },
    routes: [{ method: "POST", path: "/v2/chat" }],
  };
}

class Exchange {
  constructor(request) {
    this.request = request;
    this.stream = false;
    this.id = request.id;
    this.text = "";
    this.reason = "COMPLETE";
  }

  decode() {
    let body;
    try {
      body = JSON.parse(new TextDecoder().decode(this.request.body));
    } catch {
      throw invalid("body", "The body is not JSON.");
    }
    const generate = decode(body);
    this.stream = generate.streaming.enabled;
    return { tag: "generate", val: generate };
  }

  head() {
    const type = this.stream ? "text/event-stream; charset=utf-8" : "application/json";
    return { status: 200, headers: [{ name: "content-type", value: type }] };
  }

  // Batches of events in, bytes out. Without `stream` the same events come, and the bytes of all
  // calls together are the body: nothing goes out before the end.
  encode(events) {
    const out = events.map((event) => this.one(event)).join("");
    return encoder.encode(out);
  }

  one({ tag, val }) {
    switch (tag) {
      case "started":
        return this.event("message-start", {
          id: this.id,
          delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } },
        });
      case "item-started":
        if (val.kind.tag !== "message") return "";
        return this.event("content-start", {
          index: 0,
          delta: { message: { content: { type: "text", text: "" } } },
        });
      case "text-delta":
        this.text += val.text;
        return this.event("content-delta", { index: 0, delta: { message: { content: { text: val.text } } } });
      case "item-finished":
        return this.event("content-end", { index: 0 });
      case "choice-finished":
        this.reason = FINISH[val.reason.tag] ?? "ERROR";
        return "";
      case "finished":
        return this.end(usageOf(val.usage));
      case "failed":
        return this.event("message-end", { delta: { error: val.message, finish_reason: "ERROR" } });
      default:
        return "";
    }
  }

  end(usage) {
    if (this.stream) {
      return this.event("message-end", { delta: { finish_reason: this.reason, usage } });
    }
    const content = [{ type: "text", text: this.text }];
    const message = { role: "assistant", content };
    return JSON.stringify({ id: this.id, finish_reason: this.reason, message, usage });
  }

  event(type, fields) {
    if (!this.stream) return "";
    return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  }

  reply() {
    throw invalid(undefined, "This API only chats.");
  }

  fail(reason) {
    const body = encoder.encode(JSON.stringify({ id: this.id, message: reason.message }));
    const headers = [{ name: "content-type", value: "application/json" }];
    return { head: { status: statusOf(reason), headers }, body };
  }
}

function usageOf(usage) {
  const tokens = { input_tokens: usage.promptTokens, output_tokens: usage.outputTokens };
  return { billed_units: tokens, tokens };
}

export const dialectGuest = { describe, Exchange };
