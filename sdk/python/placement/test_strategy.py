"""The strategy's own tests, without a cluster: python3 -m unittest

`atoll plugin build` writes the contract's types for them to `bindings/`.
"""

import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).with_name("bindings")))

import strategy
from wit_world.exports.placement_guest import Executor, LayerFacts, ModelFacts, Node, Objective, Options, Topology

MODEL = ModelFacts(
    name="m", layers=[LayerFacts(weight_bytes=10, active_bytes=10, kv_bytes_per_position=1)] * 3, embedding_bytes=1,
    head_bytes=1, hidden_size=1, kv_heads=1, tensor_parallel_sizes=[1], activation_bytes=2, ext=None)


def node(id: str, memory_free: int) -> Node:
    executor = Executor("cpu", memory_bandwidth=10.0, matrix_rate=1.0, layer_overhead=0.0)
    return Node(
        id, name=id, memory_total=100, memory_free=memory_free, executors=[executor], weights_present=0, ext=None)


class Propose(unittest.TestCase):
    def test_the_roomiest_node_comes_first_and_excluded_ones_never(self):
        nodes = [node("small", 10), node("big", 90), node("also-big", 90)]
        for excluded, expected in [([], ["also-big", "big", "small"]), (["also-big"], ["big", "small"])]:
            options = Options(Objective.LATENCY, kv_positions=1, max_stages=None, excluded=excluded, ext=None)
            plans = strategy.propose(Topology(nodes, links=[]), MODEL, options)
            self.assertEqual([plan.stages[0].nodes for plan in plans], [[name] for name in expected])
            for plan in plans:
                self.assertEqual((plan.stages[0].first, plan.stages[0].end), (0, 3))
                self.assertAlmostEqual(plan.predicted_latency, 3.0)


if __name__ == "__main__":
    unittest.main()
