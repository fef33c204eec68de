// The strategy's own tests, without a server: node --test

import assert from "node:assert/strict";
import test from "node:test";

import { schedulingGuest } from "./plugin.js";

function waiting(id, priority, waitedMs) {
  return { id, keyName: "", priority, promptTokens: 1, cachedTokens: 0, maxOutputTokens: 1, waitedMs };
}

test("priority, then first come, while there is room", () => {
  const requests = [waiting(1n, 0, 10n), waiting(2n, 0, 30n), waiting(3n, 5, 0n), waiting(4n, 0, 30n)];
  for (const [running, expected] of [[0, [3n, 2n, 4n, 1n]], [2, [3n, 2n]], [9, []]]) {
    const load = { running, maxRunning: 4, freeBlocks: 1, totalBlocks: 1, recent: [] };
    const decisions = schedulingGuest.order(requests, load);
    assert.deepEqual(decisions, expected.map((id) => ({ tag: "admit", val: id })));
  }
});
