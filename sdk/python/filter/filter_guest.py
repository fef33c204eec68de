"""One request and its answer. The host makes a fresh instance for each, so state is nobody else's.

To refuse a request, raise `Err(types.Error(types.ErrorKind_Blocked(), "why", None, None, None))`; any
other exception is a fault of the plugin. `Err` is in `componentize_py_types`.
"""

import json

from wit_world.exports import filter_guest
from wit_world.exports.filter_guest import FilterContext, Finding, Verdict, Verdict_Pass, Verdict_Replace
from wit_world.imports import config, types


class Session(filter_guest.Session):
    def __init__(self, note: str):
        self.note = note

    @classmethod
    def open(cls, context: FilterContext) -> "Session":
        return cls(json.loads(config.settings())["note"])

    def on_request(self, request: types.Operation) -> Verdict:
        if not isinstance(request, (types.Operation_Generate, types.Operation_CountTokens)):
            return Verdict_Pass()
        prompt = request.value.prompt
        if not isinstance(prompt, types.Prompt_Conversation):
            return Verdict_Pass()
        part = types.Part(types.PartContent_Text(self.note), None, None)
        prompt.value.insert(0, types.Message(types.Role.SYSTEM, [part], None, None, None))
        return Verdict_Replace(request)

    def on_events(self, events: list[types.Event]) -> list[types.Event]:
        return events

    def findings(self) -> list[Finding]:
        return []
