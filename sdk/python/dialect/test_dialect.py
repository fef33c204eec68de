"""The dialect's own tests, without a server: python3 -m unittest

`atoll plugin build` writes the contract's types for them to `bindings/`.
"""

import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).with_name("bindings")))

import dialect_guest
from componentize_py_types import Err
from wit_world.imports import types


def exchange(body: bytes) -> dialect_guest.Exchange:
    return dialect_guest.Exchange(types.HttpRequest(
        id="1", method="POST", path="/{{name}}/tiny", path_params=[("model", "tiny")], query=[], headers=[], body=body,
        received_at=0, ext=None))


class Exchange(unittest.TestCase):
    def test_the_body_is_the_prompt(self):
        operation = exchange("Grüße".encode()).decode()
        self.assertIsInstance(operation, types.Operation_Generate)
        self.assertEqual(operation.value.model, "tiny")
        [message] = operation.value.prompt.value
        self.assertEqual(message.parts[0].content, types.PartContent_Text("Grüße"))

    def test_what_is_no_text_is_the_clients_mistake(self):
        with self.assertRaises(Err) as raised:
            exchange(b"\xff\xfe").decode()
        answer = exchange(b"").fail(raised.exception.value)
        self.assertEqual((answer.head.status, answer.body), (400, b"The prompt is not UTF-8."))


if __name__ == "__main__":
    unittest.main()
