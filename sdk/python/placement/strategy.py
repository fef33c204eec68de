"""Where a model runs: all layers on the one node with the most free memory.

A pure function of its input: there is no clock and no randomness, and a module's variables are forgotten after each
call. The host checks every plan; an exception costs nobody a request, but the host then decides by itself.
"""

from wit_world.exports.placement_guest import ModelFacts, Node, Options, Plan, Stage, Topology


def propose(topology: Topology, model: ModelFacts, options: Options) -> list[Plan]:
    """Plans, best first; the host takes the first that holds."""
    nodes = [node for node in topology.nodes if node.executors and node.id not in options.excluded]
    # By name where they are equal, so that the same input gives the same plan.
    nodes.sort(key=lambda node: (-node.memory_free, node.id))
    return [on_one(node, model) for node in nodes]


def on_one(node: Node, model: ModelFacts) -> Plan:
    executor = node.executors[0]
    read = sum(layer.active_bytes for layer in model.layers)
    # Nothing is read, or nobody measured how fast: then there is nothing to predict.
    latency = read / executor.memory_bandwidth if executor.memory_bandwidth > 0 else 0.0
    return Plan(
        stages=[Stage(first=0, end=len(model.layers), nodes=[node.id], executor=executor.kind)],
        predicted_latency=latency,
        predicted_throughput=1 / latency if latency > 0 else 0.0,
        explanation=f"{node.name} has {node.memory_free} bytes free.",
    )
