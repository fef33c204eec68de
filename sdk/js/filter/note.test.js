// The filter's own tests, without a server: node --test

import assert from "node:assert/strict";
import test from "node:test";

import { addNote } from "./note.js";

test("an operation without a conversation passes", () => {
  assert.deepEqual(addNote({ tag: "show-model", val: "tiny" }, "Be kind."), { tag: "pass" });
  const completion = { tag: "generate", val: { prompt: { tag: "completion", val: {} } } };
  assert.deepEqual(addNote(completion, "Be kind."), { tag: "pass" });
});

test("the note comes before the conversation", () => {
  const user = { role: "user", parts: [{ content: { tag: "text", val: "Hello" } }] };
  const request = { tag: "generate", val: { prompt: { tag: "conversation", val: [user] } } };
  const { tag, val } = addNote(request, "Be kind.");
  assert.equal(tag, "replace");
  const [first, second] = val.val.prompt.val;
  assert.deepEqual(first, { role: "system", parts: [{ content: { tag: "text", val: "Be kind." } }] });
  assert.deepEqual(second, user);
});
