// What the filter does, as a function that needs no host: a note before the conversation.

// The verdict about a request: `pass`, or `replace` with the note in it.
export function addNote(request, note) {
  const generates = request.tag === "generate" || request.tag === "count-tokens";
  if (!generates || request.val.prompt.tag !== "conversation") {
    return { tag: "pass" };
  }
  const part = { content: { tag: "text", val: note } };
  request.val.prompt.val.unshift({ role: "system", parts: [part] });
  return { tag: "replace", val: request };
}
