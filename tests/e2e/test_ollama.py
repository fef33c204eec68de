"""The official `ollama` package against the running host, and what its clients read beside it."""

import asyncio
import json
import pathlib
import re
import urllib.error
import urllib.request

import ollama
import pytest

from conftest import MODEL, ROOT, Server, until
from hub import Hub

HELLO = [{"role": "user", "content": "Hello"}]
GREEDY = {"temperature": 0, "num_predict": 40}
TINY = ROOT / "tests" / "fixtures" / "models" / "llama-f32-tied"


@pytest.fixture()
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url, timeout=120)


def raw(server: Server, path: str, body: dict | None = None, method: str = "POST"):
    """A request as `curl -d` sends it: no JSON content type."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_chat_streamed_and_not(client):
    whole = client.chat(model=MODEL, messages=HELLO, options=GREEDY)
    assert whole.done and whole.done_reason in ("stop", "length") and whole.model == MODEL
    assert whole.message.role == "assistant" and whole.message.content.strip()
    chunks = list(client.chat(model=MODEL, messages=HELLO, options=GREEDY, stream=True))
    assert "".join(chunk.message.content for chunk in chunks) == whole.message.content
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].message.content == "" and chunks[-1].eval_count == whole.eval_count


def test_the_asynchronous_client(server):
    async def both() -> tuple[str, str]:
        client = ollama.AsyncClient(host=server.url)
        whole = await client.chat(model=MODEL, messages=HELLO, options=GREEDY)
        stream = await client.chat(model=MODEL, messages=HELLO, options=GREEDY, stream=True)
        return whole.message.content, "".join([chunk.message.content async for chunk in stream])

    whole, streamed = asyncio.run(both())
    assert whole == streamed and whole.strip()


def test_counts_and_durations_are_true(client):
    reply = client.chat(model=MODEL, messages=HELLO, options={**GREEDY, "num_predict": 7})
    assert reply.eval_count <= 7 and reply.prompt_eval_count > 0
    parts = reply.load_duration + reply.prompt_eval_duration + reply.eval_duration
    assert 0 < reply.prompt_eval_duration and 0 < reply.eval_duration
    assert parts <= reply.total_duration
    assert reply.done_reason == ("length" if reply.eval_count == 7 else "stop")


def test_lines_are_what_ollama_sends(server):
    status, body, headers = raw(server, "/api/chat", {"model": MODEL, "messages": HELLO, "options": GREEDY})
    assert status == 200 and headers["content-type"].startswith("application/x-ndjson")
    assert body.endswith("\n")
    *deltas, last = [json.loads(line) for line in body.splitlines()]
    for line in deltas:
        assert list(line) == ["model", "created_at", "message", "done"] and line["done"] is False
        assert set(line["message"]) == {"role", "content"}
    assert list(last) == ["model", "created_at", "message", "done", "done_reason", "total_duration", "load_duration",
                          "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"]
    # Each line tells its own time.
    stamps = [line["created_at"] for line in [*deltas, last]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp) for stamp in stamps), stamps
    assert stamps == sorted(stamps)


def test_generate_with_its_context(client):
    first = client.generate(model=MODEL, prompt="My order number is ZX-4471.", options=GREEDY)
    assert first.response.strip() and first.context
    second = client.generate(model=MODEL, prompt="What is my order number?", context=first.context, options=GREEDY)
    assert "ZX-4471" in second.response
    streamed = list(client.generate(model=MODEL, prompt="My order number is ZX-4471.", options=GREEDY, stream=True))
    assert "".join(part.response for part in streamed) == first.response
    assert streamed[-1].context == first.context


def test_generate_raw_and_with_a_template(client):
    prompt = "The capital of France is"
    plain = client.generate(model=MODEL, prompt=prompt, raw=True, options=GREEDY)
    templated = client.generate(model=MODEL, prompt=prompt, template="{{ .Prompt }}{{ .Response }}", options=GREEDY)
    assert plain.response == templated.response and plain.context is None
    with pytest.raises(ollama.ResponseError, match="raw mode does not support"):
        client.generate(model=MODEL, prompt=prompt, raw=True, system="x")
    with pytest.raises(ollama.ResponseError, match="range .Messages"):
        client.generate(model=MODEL, prompt=prompt, template="{{ range .Messages }}{{ end }}")


def test_seeds_repeat(client):
    options = {"temperature": 1.2, "seed": 7, "num_predict": 24}
    story = [{"role": "user", "content": "Tell me a story."}]
    one, two = (client.chat(model=MODEL, messages=story, options=options).message.content for _ in range(2))
    assert one == two


def test_what_ollamas_own_client_in_go_sends_is_read(server):
    """Both names of the model, one of them empty, and seeds of 63 bits."""
    status, body, _ = raw(server, "/api/show", {"model": "", "name": MODEL, "system": "", "template": "", "options": None})
    assert status == 200 and json.loads(body)["capabilities"]
    options = {"seed": 5577006791947779410, "num_predict": 2}
    status, body, _ = raw(server, "/api/generate", {"model": MODEL, "prompt": "Hi", "options": options, "stream": False})
    assert status == 200, body


def test_what_the_host_does_not_turn_is_reported(server):
    options = {**GREEDY, "num_gpu": 1}
    status, _, headers = raw(server, "/api/chat", {"model": MODEL, "messages": HELLO, "options": options, "stream": False})
    assert status == 200 and "options" in headers["x-atoll-ignored"]


def test_a_long_history_is_shortened_to_its_context(server, client):
    words = "The sea is wide and the boat is small. " * 12
    history = [{"role": role, "content": words} for _ in range(4) for role in ("user", "assistant")]
    system = {"role": "system", "content": "My order number is ZX-4471."}
    messages = [system, *history, {"role": "user", "content": "What is my order number?"}]
    body = {"model": MODEL, "messages": messages, "stream": False, "options": {**GREEDY, "num_ctx": 400}}
    status, text, headers = raw(server, "/api/chat", body)
    assert status == 200, text
    reply = json.loads(text)
    assert reply["prompt_eval_count"] < 400
    dropped = dict(part.split("=") for part in headers["x-atoll-truncated"].split(", "))
    assert 0 < int(dropped["messages"]) < len(messages) - 1, "some history went"
    # What is left is the conversation without its oldest turns, instructions first.
    kept = [system, *history[int(dropped["messages"]):], messages[-1]]
    same = client.chat(model=MODEL, messages=kept, options={**GREEDY, "num_ctx": 400})
    assert (same.message.content, same.prompt_eval_count) == (reply["message"]["content"], reply["prompt_eval_count"])
    status, text, _ = raw(server, "/api/chat", {**body, "truncate": False})
    assert status == 400 and "exceeds the context length" in json.loads(text)["error"]


def test_an_answer_ends_with_its_context_or_goes_on(server):
    body = {"model": MODEL, "prompt": "a b c d e f g h", "raw": True, "stream": False, "options": {
        "temperature": 1.5, "seed": 1, "num_ctx": 24, "num_predict": 60, "stop": []}}
    _, text, _ = raw(server, "/api/generate", {**body, "shift": False})
    ended = json.loads(text)
    _, text, _ = raw(server, "/api/generate", body)
    slid = json.loads(text)
    assert slid["response"].startswith(ended["response"])
    if ended["done_reason"] == "length":
        assert ended["prompt_eval_count"] + ended["eval_count"] == 24 and slid["eval_count"] > ended["eval_count"]


def test_tags_show_and_version(server, client):
    models = {model.model: model for model in client.list().models}
    model = models[f"{MODEL}:latest"]
    assert model.size > 1_000_000 and len(model.digest) == 64 and model.details.family == "qwen3"
    for name in (MODEL, f"{MODEL}:latest"):
        shown = client.show(name)
        assert {"completion", "tools", "thinking"} <= set(shown.capabilities)
        assert shown.modelinfo["general.architecture"] == "qwen3"
        assert shown.modelinfo["qwen3.context_length"] == 4096
        assert "<|im_start|>" in shown.template
    status, body, _ = raw(server, "/api/version", method="GET")
    assert status == 200 and all(part.isdigit() for part in json.loads(body)["version"].split("."))
    for path in ("/api/tags", "/api/version", "/", "/v1/models", f"/v1/models/{MODEL}"):
        assert raw(server, path, method="HEAD")[0] == 200


@pytest.mark.parametrize(("path", "body", "status", "said"), [
    ("/api/chat", None, 400, "missing request body"),
    ("/api/chat", {"messages": HELLO}, 400, "model is required"),
    ("/api/chat", {"model": "none", "messages": HELLO}, 404, "model 'none' not found"),
    ("/api/generate", {"model": "none", "prompt": "x"}, 404, "model 'none' not found"),
    ("/api/show", {"model": "none"}, 404, "model 'none' not found"),
    ("/api/chat", {"model": MODEL, "messages": HELLO, "options": {"seed": "x"}}, 400, 'option "seed" must be of type integer'),
    ("/api/generate", {"model": MODEL, "prompt": "def f(", "suffix": "return"}, 400, f'"{MODEL}" does not support insert'),
    ("/api/generate", {"model": MODEL, "prompt": "x", "context": [1, 2]}, 400, "context was not made by this host"),
    ("/api/generate", {"model": MODEL, "prompt": "word " * 20000, "truncate": False}, 400, "the input length exceeds the context length"),
])
def test_errors_are_ollamas(server, path, body, status, said):
    code, text, _ = raw(server, path, body)
    assert code == status, text
    error = json.loads(text)
    assert list(error) == ["error"] and said in error["error"]


def running(client: ollama.Client) -> dict:
    return {model.model: model for model in client.ps().models}


def test_keep_alive_loads_keeps_and_unloads(client):
    name = f"{MODEL}:latest"
    loaded = client.generate(model=MODEL)
    assert loaded.done_reason == "load" and loaded.response == ""
    assert running(client)[name].size > 0
    assert client.chat(model=MODEL, keep_alive=-1).done_reason == "load"
    assert running(client)[name].expires_at.year > 2300, "for ever"
    client.chat(model=MODEL, messages=HELLO, options={"num_predict": 1}, keep_alive="1h")
    assert running(client)[name].expires_at.year < 2300
    assert client.generate(model=MODEL, keep_alive=0).done_reason == "unload"
    assert name not in running(client)
    client.chat(model=MODEL, messages=HELLO, options={"num_predict": 1}, keep_alive=0)
    until(lambda: name not in running(client), what="the model goes after its last answer")
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.generate(model="none", keep_alive=0)
    client.generate(model=MODEL, keep_alive=-1)


@pytest.fixture()
def library(tmp_path: pathlib.Path):
    """A host with an empty models folder and a hub that drops the first connection."""
    hub = Hub("reef/tiny", TINY, drop_after=100_000)
    models = tmp_path / "models"
    server = Server("--models", str(models), env={"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"})
    yield server, hub, models
    server.stop()
    hub.stop()


def test_a_model_is_pulled_used_copied_and_deleted(library):
    server, hub, models = library
    client = ollama.Client(host=server.url, timeout=120)
    steps = list(client.pull("hf.co/reef/tiny", stream=True))
    statuses = [step.status for step in steps]
    assert statuses[0] == "pulling manifest" and statuses[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    weights = [step for step in steps if step.total == len(hub.files["model.safetensors"])]
    assert weights[-1].completed == weights[-1].total and weights[-1].digest.startswith("sha256:")
    assert hub.ranges[0] is None and hub.ranges[1] == "bytes=100000-", "it went on where the connection broke"
    assert (models / "reef" / "tiny" / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert "reef/tiny:latest" in [model.model for model in client.list().models]
    # It runs. Its weights are random, so what it says is not looked at.
    assert client.generate(model="reef/tiny", prompt="x", raw=True, options={"num_predict": 2}).done
    asked = len(hub.ranges)
    assert client.pull("reef/tiny").status == "success"
    assert len(hub.ranges) == asked, "nothing is fetched twice"

    assert client.copy("reef/tiny", "mine").status == "success"
    assert client.delete("reef/tiny").status == "success"
    assert not (models / "reef").exists()
    names = [model.model for model in client.list().models]
    assert "mine:latest" in names and "reef/tiny:latest" not in names
    assert client.generate(model="mine", prompt="x", raw=True, options={"num_predict": 2}).done
    for action, said in [
        (lambda: client.delete("reef/tiny"), "not found"),
        (lambda: client.copy("none", "x"), "not found"),
        (lambda: client.copy("mine", "../x"), "letters, digits"),
        (lambda: client.copy("mine", "mine"), "already"),
        (lambda: client.delete(MODEL), "comes with Atoll"),
        (lambda: client.pull("nobody/nothing"), "the hub has no model nobody/nothing"),
        (lambda: client.pull("llama3"), "ORG/NAME"),
    ]:
        with pytest.raises(ollama.ResponseError, match=said):
            action()
    assert sorted(path.name for path in models.parent.iterdir()) == ["models"]


def test_two_who_pull_one_model_share_the_download(library):
    server, hub, _ = library

    async def both():
        client = ollama.AsyncClient(host=server.url)
        return await asyncio.gather(client.pull("reef/tiny"), client.pull("reef/tiny"))

    hub.drop_after = None
    assert [done.status for done in asyncio.run(both())] == ["success", "success"]
    assert len(hub.ranges) == 1
