// The placement strategy {{name}}: all layers on the one node with the most free memory.
//
// A pure function of its input: there is no clock and no randomness, and variables are forgotten after
// each call. The host checks every plan; what is thrown costs nobody a request, but the host then decides
// by itself. Numbers of 64 bits (bytes, `kvPositions`) are BigInts.

function describe() {
  return {
    name: "{{name}}",
    version: "0.1.0",
    summary: "Everything on the roomiest node.",
    settingsSchema: "{}",
    wants: [],
  };
}

// Plans, best first; the host takes the first that holds. `previous` is what runs now, if anything.
function propose(topology, model, options, previous) {
  const nodes = topology.nodes.filter(
    ({ id, executors }) => executors.length > 0 && !options.excluded.includes(id),
  );
  // By name where they are equal, so that the same input gives the same plan.
  nodes.sort((a, b) => compare(b.memoryFree, a.memoryFree) || compare(a.id, b.id));
  return nodes.map((node) => onOne(node, model));
}

function onOne(node, model) {
  const [executor] = node.executors;
  const read = model.layers.reduce((bytes, layer) => bytes + Number(layer.activeBytes), 0);
  // Nothing is read, or nobody measured how fast: then there is nothing to predict.
  const latency = executor.memoryBandwidth > 0 ? read / executor.memoryBandwidth : 0;
  return {
    stages: [{ first: 0, end: model.layers.length, nodes: [node.id], executor: executor.kind }],
    predictedLatency: latency,
    predictedThroughput: latency > 0 ? 1 / latency : 0,
    explanation: `${node.name} has ${node.memoryFree} bytes free.`,
  };
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

export const placementGuest = { describe, propose };
