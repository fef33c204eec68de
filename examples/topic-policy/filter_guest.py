"""One request and its answer. The host makes a fresh instance for each."""

import json

from componentize_py_types import Err
from policy import Policy
from wit_world.exports import filter_guest
from wit_world.exports.filter_guest import FilterContext, Finding, Verdict, Verdict_Pass
from wit_world.imports import config, kv, log, types

# Requests race for the counter; each try that loses means another request won.
ATTEMPTS = 10


class Session(filter_guest.Session):
    def __init__(self, policy: Policy):
        self.policy = policy
        self.found: list[Finding] = []

    @classmethod
    def open(cls, context: FilterContext) -> "Session":
        return cls(Policy(json.loads(config.settings())))

    def on_request(self, request: types.Operation) -> Verdict:
        for path, text in texts(request):
            match = self.policy.match(text)
            if match is not None:
                self.found.append(Finding(match.topic, path, match.start, match.end, "block"))
                count = count_refusal(match.topic)
                # Kinds and numbers only: what people write does not belong into a log.
                log.write(log.Level.INFO, f"refused, topic {match.topic}, {count} so far")
                raise Err(types.Error(types.ErrorKind_Blocked(), self.policy.message, None, None, None))
        return Verdict_Pass()

    def on_events(self, events: list[types.Event]) -> list[types.Event]:
        return events

    def findings(self) -> list[Finding]:
        found, self.found = self.found, []
        return found


def texts(request: types.Operation):
    """Every text of the request with its place."""
    if not isinstance(request, (types.Operation_Generate, types.Operation_CountTokens)):
        return
    prompt = request.value.prompt
    if isinstance(prompt, types.Prompt_Conversation):
        for i, message in enumerate(prompt.value):
            for j, part in enumerate(message.parts):
                if isinstance(part.content, types.PartContent_Text):
                    yield f"messages[{i}].parts[{j}]", part.content.value
    else:
        for i, item in enumerate(prompt.value.inputs):
            if isinstance(item, types.CompletionInput_Text):
                yield f"prompt[{i}]", item.value


def count_refusal(topic: str) -> int:
    """Adds one, also when other requests do so at the same time."""
    key = f"refused/{topic}"
    for _ in range(ATTEMPTS):
        before = kv.get(key)
        count = int(before or b"0") + 1
        if kv.compare_and_set(key, before, str(count).encode()):
            return count
    return 0
