"""The filter's own tests, without a server: python3 -m unittest

`atoll plugin build` writes the contract's types for them to `bindings/`.
"""

import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).with_name("bindings")))

import filter_guest
from wit_world.exports.filter_guest import Verdict_Pass, Verdict_Replace
from wit_world.imports import types


class Session(unittest.TestCase):
    def test_an_operation_without_a_prompt_passes(self):
        verdict = filter_guest.Session("Be kind.").on_request(types.Operation_ShowModel("tiny"))
        self.assertEqual(verdict, Verdict_Pass())

    def test_the_note_comes_before_the_conversation(self):
        user = types.Message(types.Role.USER, [types.Part(types.PartContent_Text("Hello"), None, None)], None, None, None)
        request = generate([user])
        verdict = filter_guest.Session("Be kind.").on_request(types.Operation_Generate(request))
        self.assertIsInstance(verdict, Verdict_Replace)
        first, second = verdict.value.value.prompt.value
        self.assertEqual((first.role, first.parts[0].content), (types.Role.SYSTEM, types.PartContent_Text("Be kind.")))
        self.assertEqual(second, user)


def generate(messages: list[types.Message]) -> types.GenerateRequest:
    """A request of which only the prompt matters here."""
    everything = dict.fromkeys(types.GenerateRequest.__dataclass_fields__)
    return types.GenerateRequest(**{**everything, "prompt": types.Prompt_Conversation(messages)})


if __name__ == "__main__":
    unittest.main()
