"""Every method of the official packages' resources that a dialect claims, synchronous and asynchronous.

The tables name each public method: either calls of it, whose answers must be the same from both clients, or the call
that is refused because the host does not have it. A method that a new version adds fails here until it is in one.
What an answer must be is tested where its dialect is; what is missing is what this finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json

import anthropic
import ollama
import openai
import pydantic
import pytest

from conftest import MODEL, Server

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
EXTRACT = 'Extract the city from: "It rains in Tunis." Return JSON.'


class Place(pydantic.BaseModel):
    city: str


class Settled:
    """An asynchronous client that waits by itself: each call gives its result, a stream all its events."""

    def __init__(self, inner, loop: asyncio.AbstractEventLoop):
        self._inner, self._loop = inner, loop

    def __getattr__(self, name: str):
        found = getattr(self._inner, name)
        return self._call(found) if inspect.isroutine(found) else Settled(found, self._loop)

    def _call(self, found):
        @functools.wraps(found)
        def call(*args, **kwargs):
            return self._loop.run_until_complete(self._settle(found(*args, **kwargs)))
        return call

    @staticmethod
    async def _settle(result):
        if hasattr(result, "__aenter__") and not inspect.isawaitable(result):
            async with result as stream:
                return [event async for event in stream]
        if inspect.isawaitable(result):
            result = await result
        if hasattr(result, "__aiter__") and not hasattr(result, "data"):
            return [event async for event in result]
        return result


def events(result) -> list:
    """The events of a stream, from either client; anything else as a list of one."""
    if isinstance(result, list):
        return result
    if hasattr(result, "__enter__") and not hasattr(result, "model_dump"):
        with result as stream:
            return list(stream)
    if hasattr(result, "__next__"):
        return list(result)
    return [result]


#: What differs between two answers to one question: names, times, and what the prefix cache had.
VARIES = {
    "id", "created", "created_at", "completed_at", "item_id", "call_id", "response_id", "previous_response_id", "signature",
    "encrypted_content", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "expires_at", "first_id",
    "last_id", "cached_tokens", "cache_write_tokens", "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "ephemeral_5m_input_tokens", "obfuscation", "tool_use_id",
}


def plain(value):
    """An answer as JSON, without what varies."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in VARIES}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return str(type(value))


CHAT = dict(model=MODEL, messages=HELLO, max_tokens=16, temperature=0)
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
FORM = {"type": "json_schema", "json_schema": {"name": "place", "schema": WEATHER, "strict": True}}
TEXT = dict(model=MODEL, prompt="The capital of France is", max_tokens=8, temperature=0)
RESPONSE = dict(model=MODEL, input="Hello", max_output_tokens=16, temperature=0)


def stored(c, **more) -> str:
    return c.responses.create(**{**RESPONSE, **more}).id


# Method: calls of it; a function alone is one the host must refuse.
OPENAI = {
    "chat.completions": {
        "create": [
            lambda c: c.chat.completions.create(**CHAT),
            lambda c: c.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}),
            lambda c: c.chat.completions.create(**CHAT, tools=TOOLS, tool_choice="required", parallel_tool_calls=False),
            lambda c: c.chat.completions.create(**CHAT, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, stream=True),
            lambda c: c.chat.completions.create(**CHAT, response_format={"type": "json_object"}),
            lambda c: c.chat.completions.create(**CHAT, response_format=FORM, stream=True),
            lambda c: c.chat.completions.create(**{**CHAT, "max_tokens": 48}, reasoning_effort="low", stream=True),
        ],
        "parse": [lambda c: c.chat.completions.parse(
            **{**CHAT, "messages": [{"role": "user", "content": EXTRACT}], "max_tokens": 64}, response_format=Place)],
        "stream": [lambda c: c.chat.completions.stream(**CHAT)],
        "list": lambda c: c.chat.completions.list(),
        "retrieve": lambda c: c.chat.completions.retrieve("chatcmpl-1"),
        "update": lambda c: c.chat.completions.update("chatcmpl-1", metadata={}),
        "delete": lambda c: c.chat.completions.delete("chatcmpl-1"),
    },
    "completions": {"create": [lambda c: c.completions.create(**TEXT), lambda c: c.completions.create(**TEXT, stream=True)]},
    "embeddings": {"create": [
        lambda c: c.embeddings.create(model=MODEL, input=["a", "b"]),
        lambda c: c.embeddings.create(model=MODEL, input="a", encoding_format="float", dimensions=8),
    ]},
    "models": {
        "list": [lambda c: c.models.list()],
        "retrieve": [lambda c: c.models.retrieve(MODEL)],
        "delete": lambda c: c.models.delete(MODEL),
    },
    "responses": {
        "create": [
            lambda c: c.responses.create(**RESPONSE),
            lambda c: c.responses.create(**RESPONSE, stream=True),
            lambda c: c.responses.create(**RESPONSE, background=True, stream=True),
        ],
        "parse": [lambda c: c.responses.parse(**{**RESPONSE, "input": EXTRACT, "max_output_tokens": 64}, text_format=Place)],
        "stream": [lambda c: c.responses.stream(**RESPONSE)],
        "retrieve": [
            lambda c: c.responses.retrieve(stored(c)),
            lambda c: c.responses.retrieve(stored(c), stream=True),
        ],
        "delete": [lambda c: c.responses.delete(stored(c))],
        # It may be over before it is cancelled, so only that there is an answer.
        "cancel": [lambda c: [type(c.responses.cancel(stored(c, background=True, max_output_tokens=2000, input="Tell me a story."))).__name__]],
        # The summary is sampled.
        "compact": [lambda c: [item.type for item in c.responses.compact(model=MODEL, input="My order number is ZX-4471.").output]],
        # A socket: test_openai_responses_socket.py.
        "connect": [],
    },
    "responses.input_items": {"list": [lambda c: c.responses.input_items.list(stored(c))]},
    "responses.input_tokens": {"count": [lambda c: c.responses.input_tokens.count(model=MODEL, input="Hello")]},
}

MESSAGE = dict(model=MODEL, max_tokens=24, messages=HELLO, extra_body={"temperature": 0})
CLAUDE_TOOLS = [{"name": "get_weather", "input_schema": WEATHER}]
CALL = dict(MESSAGE, tools=CLAUDE_TOOLS, tool_choice={"type": "any"})
OUTPUT = dict(MESSAGE, max_tokens=64, messages=[{"role": "user", "content": EXTRACT}])


def messages(resource) -> dict:
    """What both the stable and the beta resource have."""
    return {
        "create": [
            lambda c: resource(c).create(**MESSAGE),
            lambda c: resource(c).create(**MESSAGE, stream=True),
            lambda c: resource(c).create(**CALL),
            lambda c: resource(c).create(**CALL, stream=True),
            lambda c: resource(c).create(**OUTPUT, output_config={"format": {"type": "json_schema", "schema": WEATHER}}),
        ],
        "stream": [lambda c: resource(c).stream(**MESSAGE)],
        "parse": [lambda c: resource(c).parse(**OUTPUT, output_format=Place)],
        "count_tokens": [lambda c: {"n": resource(c).count_tokens(model=MODEL, messages=HELLO).input_tokens}],
    }


CLAUDE = {
    "messages": messages(lambda c: c.messages),
    "beta.messages": {
        **messages(lambda c: c.beta.messages),
        # Made of `create`, on this side of the wire.
        "tool_runner": [],
        # A conversation over a socket, which no release of the service documents.
        "thread": [],
    },
    "messages.batches": {
        "create": lambda c: c.messages.batches.create(requests=[]),
        "list": lambda c: c.messages.batches.list(),
        "retrieve": lambda c: c.messages.batches.retrieve("msgbatch_1"),
        "cancel": lambda c: c.messages.batches.cancel("msgbatch_1"),
        "delete": lambda c: c.messages.batches.delete("msgbatch_1"),
        "results": lambda c: c.messages.batches.results("msgbatch_1"),
    },
    "models": {"list": [lambda c: c.models.list()], "retrieve": [lambda c: c.models.retrieve(MODEL)]},
}

GREEDY = {"temperature": 0, "num_predict": 16}
FUNCTION = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER}}
ASK = [{"role": "user", "content": "What is the weather in Tunis?"}]
OLLAMA = {
    "": {
        "chat": [
            lambda c: c.chat(model=MODEL, messages=HELLO, options=GREEDY),
            lambda c: c.chat(model=MODEL, messages=HELLO, options=GREEDY, stream=True),
            lambda c: c.chat(model=MODEL, messages=ASK, tools=[FUNCTION], options={"temperature": 0}, stream=True),
            lambda c: c.chat(model=MODEL, messages=HELLO, format=WEATHER, options={"temperature": 0, "num_predict": 64}, stream=True),
            lambda c: c.chat(model=MODEL, messages=ASK, think=True, options={"temperature": 0, "num_predict": 48}, stream=True),
        ],
        "generate": [
            lambda c: c.generate(model=MODEL, prompt="Hello", options=GREEDY),
            lambda c: c.generate(model=MODEL, prompt="Hello", options=GREEDY, stream=True),
            lambda c: c.generate(model=MODEL, prompt=EXTRACT, format="json", options=GREEDY),
        ],
        "embed": [lambda c: c.embed(model=MODEL, input=["a", "b"])],
        "embeddings": [lambda c: c.embeddings(model=MODEL, prompt="a")],
        "list": [lambda c: c.list()],
        "show": [lambda c: c.show(MODEL)],
        "ps": [lambda c: [model.model for model in c.ps().models]],
        # They change the models folder: test_ollama.py.
        "pull": [], "copy": [], "delete": [],
        "close": [],
        # The cloud service's own, not the local server's.
        "web_search": [], "web_fetch": [],
        "create": lambda c: c.create(model="mine", from_=MODEL),
        "push": lambda c: c.push("mine"),
        "create_blob": lambda c: c.create_blob(__file__),
        "systemone": lambda c: c.systemone(model=MODEL, state="x", questions={}),
    },
}

PACKAGES = {
    "openai": (OPENAI, lambda url: {"base_url": f"{url}/v1", "api_key": "unused", "max_retries": 0}, openai.OpenAI, openai.AsyncOpenAI),
    "anthropic": (CLAUDE, lambda url: {"base_url": url, "api_key": "unused", "max_retries": 0}, anthropic.Anthropic, anthropic.AsyncAnthropic),
    "ollama": (OLLAMA, lambda url: {"host": url}, ollama.Client, ollama.AsyncClient),
}
RESOURCES = [(package, resource) for package, (table, *_) in PACKAGES.items() for resource in table]


@pytest.mark.parametrize(("package", "resource"), RESOURCES, ids=[f"{package} {resource}".strip() for package, resource in RESOURCES])
def test_every_method_answers_both_clients_alike_or_is_refused(server: Server, package: str, resource: str):
    table, arguments, now, later = PACKAGES[package]
    client = now(**arguments(server.url), timeout=120)
    found = functools.reduce(getattr, resource.split(".") if resource else [], client)
    public = {name for name in dir(type(found)) if name[0] != "_" and inspect.isfunction(inspect.getattr_static(type(found), name))}
    methods = table[resource]
    assert public <= set(methods), f"nobody decided on {public - set(methods)}"
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        both = Settled(later(**arguments(server.url), timeout=120), loop)
        for name, calls in methods.items():
            if callable(calls):
                refused(package, client, calls)
                continue
            for number, call in enumerate(calls):
                one = [plain(event) for event in events(call(client))]
                other = [plain(event) for event in events(call(both))]
                assert one, f"{name} {number} says nothing"
                assert joined(one) == joined(other), f"{name}, call {number}"


def joined(answers: list) -> str:
    """The answers as text. How a stream is cut into events depends on when they were ready, so the cuts are left out:
    runs of events that differ only in their text are one."""
    merged: list = []
    for answer in answers:
        shape, text = textless(answer)
        if merged and merged[-1][0] == shape:
            merged[-1][1] += text
        else:
            merged.append([shape, text])
    return json.dumps(merged, sort_keys=True, ensure_ascii=False)


def textless(answer) -> tuple:
    """An answer without the text it adds, and that text."""
    said = []

    def strip(value, key=""):
        if isinstance(value, dict):
            return {name: strip(inner, name) for name, inner in value.items() if name not in ("sequence_number", "snapshot", "parsed")}
        if isinstance(value, list):
            return [strip(inner) for inner in value]
        if key in ("content", "text", "delta", "thinking", "reasoning", "reasoning_content", "partial_json", "arguments", "response"):
            said.append(value or "")
            return ""
        return value

    shape = strip(answer)
    return shape, "".join(part for part in said if isinstance(part, str))


def refused(package: str, client, call) -> None:
    """A method that the host does not have is an error with a reason."""
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError, ollama.ResponseError)) as error:
        answer = call(client)
        list(answer)
    assert error.value.status_code in (400, 404, 405), error.value
    assert str(error.value).strip()
