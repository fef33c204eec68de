// The strategy's own tests, without a cluster: node --test

import assert from "node:assert/strict";
import test from "node:test";

import { placementGuest } from "./plugin.js";

const layer = { weightBytes: 10n, activeBytes: 10n, kvBytesPerPosition: 1n };
const model = {
  name: "m", layers: [layer, layer, layer], embeddingBytes: 1n, headBytes: 1n, hiddenSize: 1, kvHeads: 1,
  tensorParallelSizes: [1], activationBytes: 2,
};

function node(id, memoryFree) {
  const executor = { kind: "cpu", memoryBandwidth: 10, matrixRate: 1, layerOverhead: 0 };
  return { id, name: id, memoryTotal: 100n, memoryFree, executors: [executor], weightsPresent: 0n };
}

test("the roomiest node comes first, and excluded ones never", () => {
  const nodes = [node("small", 10n), node("big", 90n), node("also-big", 90n)];
  for (const [excluded, expected] of [[[], ["also-big", "big", "small"]], [["also-big"], ["big", "small"]]]) {
    const options = { objective: "latency", kvPositions: 1n, excluded };
    const plans = placementGuest.propose({ nodes, links: [] }, model, options);
    assert.deepEqual(plans.map((plan) => plan.stages[0].nodes), expected.map((id) => [id]));
    for (const plan of plans) {
      assert.deepEqual([plan.stages[0].first, plan.stages[0].end, plan.predictedLatency], [0, 3, 3]);
    }
  }
});
