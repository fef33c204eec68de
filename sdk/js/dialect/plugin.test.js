// The dialect's own tests, without a server: node --test

import assert from "node:assert/strict";
import test from "node:test";

import { dialectGuest } from "./plugin.js";

function exchange(body) {
  return new dialectGuest.Exchange({
    id: "1", method: "POST", path: "/{{name}}/tiny", pathParams: [["model", "tiny"]], query: [], headers: [], body,
    receivedAt: 0n,
  });
}

test("the body is the prompt", () => {
  const operation = exchange(new TextEncoder().encode("Grüße")).decode();
  assert.equal(operation.tag, "generate");
  assert.equal(operation.val.model, "tiny");
  const [message] = operation.val.prompt.val;
  assert.deepEqual(message.parts[0].content, { tag: "text", val: "Grüße" });
});

test("what is no text is the client's mistake", () => {
  const thrown = (call) => { try { call(); } catch (error) { return error; } };
  const reason = thrown(() => exchange(Uint8Array.of(0xff, 0xfe)).decode());
  assert.equal(reason.kind.tag, "invalid-argument");
  const answer = exchange(new Uint8Array()).fail(reason);
  assert.equal(answer.head.status, 400);
  assert.equal(new TextDecoder().decode(answer.body), "The prompt is not UTF-8.");
});
