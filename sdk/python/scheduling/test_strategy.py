"""The strategy's own tests, without a server: python3 -m unittest

`atoll plugin build` writes the contract's types for them to `bindings/`.
"""

import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).with_name("bindings")))

import strategy
from wit_world.exports.scheduling_guest import Decision_Admit, Load, WaitingRequest


def waiting(id: int, priority: int, waited_ms: int) -> WaitingRequest:
    return WaitingRequest(
        id, key_name="", priority=priority, prompt_tokens=1, cached_tokens=0, max_output_tokens=1,
        waited_ms=waited_ms, ext=None)


class Order(unittest.TestCase):
    def test_priority_then_first_come_while_there_is_room(self):
        requests = [waiting(1, 0, 10), waiting(2, 0, 30), waiting(3, 5, 0), waiting(4, 0, 30)]
        for running, expected in [(0, [3, 2, 4, 1]), (2, [3, 2]), (9, [])]:
            load = Load(running, max_running=4, free_blocks=1, total_blocks=1, recent=[])
            decisions = strategy.order(requests, load)
            self.assertEqual(decisions, [Decision_Admit(id) for id in expected])


if __name__ == "__main__":
    unittest.main()
