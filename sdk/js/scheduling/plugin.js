// The scheduling strategy {{name}}: larger priorities first, then whoever waited longest, while there is
// room.
//
// A pure function of its input: there is no clock and no randomness, and variables are forgotten after
// each call. What is thrown costs nobody a request, but the host then decides by itself, first come,
// first served. Numbers of 64 bits (`id`, `waitedMs`, the tokens in `load.recent`) are BigInts.

function describe() {
  return {
    name: "{{name}}",
    version: "0.1.0",
    summary: "By priority, then first come.",
    settingsSchema: "{}",
    wants: [],
  };
}

// Who may start, in order. Whoever is not named keeps waiting; { tag: "reject", val: id } is answered
// with `overloaded`.
function order(waiting, load) {
  const room = Math.max(load.maxRunning - load.running, 0);
  const ordered = waiting.toSorted(
    (a, b) => b.priority - a.priority || compare(b.waitedMs, a.waitedMs) || compare(a.id, b.id),
  );
  return ordered.slice(0, room).map(({ id }) => ({ tag: "admit", val: id }));
}

// A BigInt's difference is no number that `sort` takes.
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

export const schedulingGuest = { describe, order };
