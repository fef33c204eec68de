"""Every method that answers, with every class of error: what the official packages raise, whole and streamed,
synchronous and asynchronous.

One host has it all: keys, a small limit on bodies, and filters that swallow the end of an answer, so that an answer
breaks off after its text has been sent.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import anthropic
import ollama
import openai
import pytest

from conftest import MODEL, ROOT, Server, binary

#: The model for which the filters of these tests break.
BREAKING = "swallow-terminal"
PROMPT = "Tell me a story about a boat."
LONG = "word " * 20_000  # over the limit on bodies of this host


#: Greedy, so that the answers are the same every time: drawn at random, a completion may well be empty.
SHORT = {"num_predict": 24, "temperature": 0}


@dataclass
class Api:
    """One method of a package."""

    name: str
    package: object
    #: Calls it: client, model, text, further arguments.
    call: Callable
    #: The text of one event of its stream; `None` where it has no stream.
    piece: Callable | None
    #: An argument that is out of range.
    wrong: dict

    def client(self, server: Server, key: str, later: bool):
        if self.package is openai:
            kind = openai.AsyncOpenAI if later else openai.OpenAI
            return kind(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=120)
        if self.package is anthropic:
            kind = anthropic.AsyncAnthropic if later else anthropic.Anthropic
            return kind(base_url=server.url, api_key=key, max_retries=0, timeout=120)
        kind = ollama.AsyncClient if later else ollama.Client
        return kind(host=server.url, headers={"authorization": f"Bearer {key}"}, timeout=120)

    def said(self, server: Server, key: str, later: bool, model: str = MODEL, text: str = PROMPT, **more) -> Said:
        """What came of one call."""
        client, seen = self.client(server, key, later), Said()
        try:
            if later:
                asyncio.run(self._later(client, seen, model, text, more))
            else:
                seen.whole = reply = self.call(client, model, text, **more)
                for event in reply if more.get("stream") else ():
                    self._hear(seen, event)
        except (openai.APIError, anthropic.APIError, ollama.ResponseError) as error:
            seen.error = error
        return seen

    async def _later(self, client, seen: Said, model: str, text: str, more: dict) -> None:
        seen.whole = reply = await self.call(client, model, text, **more)
        if more.get("stream"):
            async for event in reply:
                self._hear(seen, event)

    def _hear(self, seen: Said, event) -> None:
        seen.text += self.piece(event) or ""
        seen.last = event


class Said:
    """What a client heard."""

    def __init__(self):
        self.whole, self.text, self.last, self.error = None, "", None, None


def chat_piece(chunk) -> str:
    return chunk.choices[0].delta.content if chunk.choices else ""


APIS = [
    Api("chat", openai, lambda c, m, t, **more: c.chat.completions.create(
        model=m, messages=[{"role": "user", "content": t}], **{"max_tokens": 24, "temperature": 0, **more}),
        chat_piece, {"temperature": -1}),
    Api("completions", openai, lambda c, m, t, **more: c.completions.create(
        model=m, prompt=t, **{"max_tokens": 24, "temperature": 0, **more}),
        lambda chunk: chunk.choices[0].text if chunk.choices else "", {"top_p": 2}),
    Api("embeddings", openai, lambda c, m, t, **more: c.embeddings.create(model=m, input=t, **more), None, {"dimensions": 0}),
    Api("responses", openai, lambda c, m, t, **more: c.responses.create(
        model=m, input=t, **{"max_output_tokens": 24, "temperature": 0, **more}),
        lambda event: event.delta if event.type == "response.output_text.delta" else "", {"temperature": 9}),
    Api("input_tokens", openai, lambda c, m, t, **more: c.responses.input_tokens.count(model=m, input=t, **more), None,
        {"tools": [{"type": "function"}]}),
    Api("messages", anthropic, lambda c, m, t, **more: c.messages.create(
        model=m, messages=[{"role": "user", "content": t}], extra_body={"temperature": 0}, **{"max_tokens": 24, **more}),
        lambda event: getattr(event.delta, "text", "") if event.type == "content_block_delta" else "", {"max_tokens": -1}),
    Api("count_tokens", anthropic, lambda c, m, t, **more: c.messages.count_tokens(
        model=m, messages=[{"role": "user", "content": t}], **more), None, {"tools": [{"name": "f"}]}),
    Api("ollama chat", ollama, lambda c, m, t, **more: c.chat(
        model=m, messages=[{"role": "user", "content": t}], **{"options": SHORT, **more}),
        lambda part: part.message.content, {"options": {"seed": "x"}}),
    Api("ollama generate", ollama, lambda c, m, t, **more: c.generate(
        model=m, prompt=t, **{"options": SHORT, **more}), lambda part: part.response, {"think": "extreme"}),
    Api("ollama embed", ollama, lambda c, m, t, **more: c.embed(model=m, input=t, **more), None, {"dimensions": 100_000}),
]
FORMS = [(api, stream) for api in APIS for stream in ([False, True] if api.piece else [False])]
#: Those whose answers are made token by token, so that they can break off.
MADE = [api for api in APIS if api.piece]

INVALID = "invalid_request_error"
# Status: OpenAI's exception, type and code; Anthropic's exception and type.
SHAPES = {
    400: (openai.BadRequestError, INVALID, "invalid_value", anthropic.BadRequestError, INVALID),
    401: (openai.AuthenticationError, INVALID, "invalid_api_key", anthropic.AuthenticationError, "authentication_error"),
    404: (openai.NotFoundError, INVALID, "model_not_found", anthropic.NotFoundError, "not_found_error"),
    413: (openai.APIStatusError, INVALID, "request_too_large", anthropic.RequestTooLargeError, "request_too_large"),
    429: (openai.RateLimitError, "rate_limit_error", "rate_limit_exceeded", anthropic.RateLimitError, "rate_limit_error"),
    500: (openai.InternalServerError, "server_error", "plugin_fault", anthropic.InternalServerError, "api_error"),
}


def check(api: Api, error, status: int) -> None:
    """The error is this status's own exception, and its body has this API's shape."""
    assert error is not None, f"{api.name} gave no error"
    openai_class, kind, code, claude_class, claude_kind = SHAPES[status]
    if api.package is ollama:
        assert isinstance(error, ollama.ResponseError) and error.status_code == status, repr(error)
        assert error.error and not error.error.startswith("{"), "the package found the sentence in the body"
        return
    assert isinstance(error, openai_class if api.package is openai else claude_class), repr(error)
    assert error.status_code == status
    body = error.response.json()
    if api.package is openai:
        assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
        # What is missing has a code of its own.
        assert (error.type, error.code) in ((kind, code), (kind, "missing_required_parameter" if status == 400 else code))
    else:
        assert set(body) == {"type", "error", "request_id"} and set(body["error"]) == {"type", "message"}
        assert body["error"]["type"] == claude_kind and body["request_id"] == error.request_id
    if status == 429:
        assert int(error.response.headers["retry-after"]) >= 1


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    home = tmp_path_factory.mktemp("errors")
    filters = sorted((binary().parent / "build").glob("atoll-test-plugins-*/out/filter.wasm"), key=lambda path: path.stat().st_mtime)
    if not filters:
        # A binary from elsewhere (ATOLL_BINARY): the tests' own plugins are beside the workspace's build.
        filters = sorted((ROOT / "target" / "debug" / "build").glob("atoll-test-plugins-*/out/filter.wasm"))
    assert filters, "the tests' plugins are not built: cargo build --workspace --bins --tests"
    env = {"ATOLL_KEYS": str(home / "keys.json")}

    def key(name: str, *limits: str) -> str:
        done = subprocess.run([str(binary()), "keys", "create", name, *limits], env={**os.environ, **env},
                              capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    keys = {"good": key("good"), "spent": key("spent", "--tokens-per-minute", "1")}
    config = ['[limits]\nmax_body = "64KiB"\n']
    (home / "plugins").mkdir()
    # A plugin that broke eight times is taken out for a while, and these are to break every time: three of them, under
    # names of their own, each for the keys of two methods.
    for at in range(3):
        wasm = filters[-1].read_bytes().replace(b"misbehaving-filter", f"misbehaving-numb-{at}".encode())
        (home / "plugins" / f"breaking-{at}.wasm").write_bytes(wasm)
        config.append(f'[[filter]]\nplugin = "breaking-{at}"\nmodels = ["{BREAKING}"]\nkeys = ["user-{at}-*"]\n')
    for at, api in enumerate(MADE):
        keys[api.name] = key(f"user-{at % 3}-{at}")
    (home / "config.toml").write_text("\n".join(config))
    shutil.copytree(ROOT / "models" / "atoll-demo", home / "models" / BREAKING)
    server = Server("--require-key", "--config", str(home / "config.toml"), "--plugins", str(home / "plugins"),
                    "--models", str(home / "models"), env=env)
    server.keys = keys
    # More than a minute's worth of tokens: nothing is left for a long while.
    openai.OpenAI(base_url=f"{server.url}/v1", api_key=keys["spent"]).completions.create(
        model=MODEL, prompt=PROMPT * 20, max_tokens=1)
    yield server
    server.stop()


CASES = {
    400: lambda api: ("good", {**api.wrong}),
    401: lambda api: ("wrong", {}),
    404: lambda api: ("good", {"model": "no-such-model"}),
    413: lambda api: ("good", {"text": LONG}),
    429: lambda api: ("spent", {}),
}


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("api", "stream"), FORMS, ids=[f"{api.name}{' streamed' * stream}" for api, stream in FORMS])
def test_what_cannot_be_done_is_refused_before_anything_is_said(host: Server, api: Api, stream: bool, later: bool):
    for status, case in CASES.items():
        name, change = case(api)
        more = {"stream": True} if stream else {}
        said = api.said(host, host.keys.get(name, name), later, **more, **change)
        check(api, said.error, status)
        assert said.text == ""


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("api", MADE, ids=lambda api: api.name)
def test_an_answer_that_breaks_off_is_an_error(host: Server, api: Api, later: bool):
    # The same question with a model that no filter breaks.
    right = api.said(host, host.keys[api.name], later)
    assert right.error is None and right.whole is not None, right.error
    said = api.said(host, host.keys[api.name], later, model=BREAKING)
    check(api, said.error, 500)


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("api", MADE, ids=lambda api: api.name)
def test_a_stream_that_breaks_off_says_so_in_its_own_shape(host: Server, api: Api, later: bool):
    said = api.said(host, host.keys[api.name], later, model=BREAKING, stream=True)
    assert said.text, "something was said before it broke"
    error = said.error
    if api.name == "responses":
        assert error is None and said.last.type == "response.failed"
        assert (said.last.response.status, said.last.response.error.code) == ("failed", "plugin_fault")
        assert said.last.response.output_text == said.text
    elif api.package is openai:
        assert type(error) is openai.APIError, "an error inside an answer whose status was 200"
        assert (error.type, error.code) == ("server_error", "plugin_fault") and error.message
    elif api.package is anthropic:
        assert isinstance(error, anthropic.APIStatusError) and error.response.status_code == 200
        assert error.body["type"] == "error" and error.body["error"]["type"] == "api_error" and error.body["error"]["message"]
    else:
        assert isinstance(error, ollama.ResponseError) and error.error and not said.last.done
