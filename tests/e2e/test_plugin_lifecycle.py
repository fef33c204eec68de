"""A newcomer's first plugin: made, built, added to a running server, replaced, broken, removed."""

import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import MODEL, ROOT, Server, binary, until

BUILD_PATIENCE = 1200
# When the newcomer began; printed with -s, asserted nowhere.
STARTED: dict[str, float] = {}


def atoll(*args, env=None, cwd=None, ok: bool = True, timeout: int = 180) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [str(binary()), *map(str, args)], capture_output=True, text=True, cwd=cwd, env=env, timeout=timeout)
    if ok:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def post(server: Server, path: str, body: bytes, **headers) -> tuple[int, str]:
    request = urllib.request.Request(server.url + path, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def server():
    instance = Server()
    yield instance
    instance.stop()


@pytest.fixture(scope="module")
def env(server: Server) -> dict[str, str]:
    """The environment of the server: its folders are the command line's too."""
    return {
        **os.environ,
        "XDG_CONFIG_HOME": f"{server.home.name}/config",
        "XDG_DATA_HOME": f"{server.home.name}/data",
        "XDG_CACHE_HOME": f"{server.home.name}/cache",
    }


@pytest.fixture(scope="module")
def folder(server: Server) -> pathlib.Path:
    return pathlib.Path(server.home.name) / "data" / "atoll" / "plugins"


@pytest.fixture(scope="module")
def first_plugin(tmp_path_factory, env) -> pathlib.Path:
    """What `atoll plugin new` and `build` give, away from the repository."""
    work = tmp_path_factory.mktemp("newcomer")
    STARTED["new"] = started = time.monotonic()
    atoll("plugin", "new", "my-api", "--world", "dialect", cwd=work, env=env)
    # Only this project's own compiler output is shared between runs; the plugin's folder stands alone.
    done = atoll("plugin", "build", cwd=work / "my-api", env=env, timeout=BUILD_PATIENCE)
    print(f"new and build took {time.monotonic() - started:.0f} s")
    assert "POST /my-api/{model}" in done.stdout
    return work / "my-api" / "my-api.wasm"


def refused(server: Server) -> str:
    _, text = server.get("/atoll/v1/plugins")
    return json.dumps(json.loads(text)["refused"])


@pytest.mark.timeout(BUILD_PATIENCE)
def test_from_nothing_to_an_answer_and_back(server: Server, env, folder, first_plugin):
    path = f"/my-api/{MODEL}"
    assert post(server, path, b"Hello")[0] == 404
    # The command waits for the server, so the next line of a script finds the route.
    done = atoll("plugin", "add", first_plugin, env={**env, "ATOLL_LISTEN": f"127.0.0.1:{server.port}"})
    assert "the running server uses it now" in done.stdout
    assert post(server, path, b"Hello")[0] == 200
    print(f"an answer {time.monotonic() - STARTED['new']:.0f} s after `atoll plugin new`")
    status, text = post(server, path, b"Hello")
    assert status == 200 and text.strip()
    listed = atoll("plugin", "list", env=env).stdout
    assert "my-api" in listed and "pinned" in listed

    # A bad file over it: nothing changes, and everybody says why.
    good = (folder / "my-api.wasm").read_bytes()
    (folder / "my-api.wasm").write_bytes(b"garbage")
    until(lambda: "my-api" in refused(server), what="the refusal")
    assert "stays in force" in refused(server)
    assert post(server, path, b"Hello")[0] == 200
    assert "atoll plugin update my-api" in server.log()
    assert "atoll plugin update my-api" in atoll("plugin", "list", env=env).stdout

    # Accepted as it is, it is still no component.
    done = atoll("plugin", "update", "my-api", env=env, ok=False)
    assert done.returncode != 0 and "not a WebAssembly component" in done.stderr

    (folder / "my-api.wasm").write_bytes(good)
    until(lambda: refused(server) == "[]", what="the end of the refusal")
    atoll("plugin", "remove", "my-api", env=env)
    until(lambda: post(server, path, b"Hello")[0] == 404, what="the end of the route")


@pytest.mark.timeout(BUILD_PATIENCE)
def test_a_dropped_file_is_used_without_a_command(server: Server, folder, first_plugin):
    folder.mkdir(parents=True, exist_ok=True)
    # As a slow copy does it: in the end it is whole.
    whole = first_plugin.read_bytes()
    with open(folder / "dropped.wasm", "wb") as out:
        out.write(whole[: len(whole) // 2])
        out.flush()
        time.sleep(1)
        out.write(whole[len(whole) // 2 :])
    until(lambda: post(server, f"/my-api/{MODEL}", b"Hello")[0] == 200, what="the new route")
    (folder / "dropped.wasm").unlink()
    until(lambda: post(server, f"/my-api/{MODEL}", b"Hello")[0] == 404, what="the end of the route")


@pytest.mark.timeout(BUILD_PATIENCE)
def test_an_older_version_is_accepted_only_if_it_is_meant(env, first_plugin, tmp_path):
    where = ["--plugins", tmp_path / "plugins"]
    lock = tmp_path / "plugins.lock"
    atoll("plugin", "add", first_plugin, *where, env=env)
    assert 'version = "0.1.0"' in lock.read_text()
    # As if a later one had been accepted before this one came.
    lock.write_text(lock.read_text().replace('"0.1.0"', '"0.2.0"'))
    for command in [["add", first_plugin], ["update", "my-api"]]:
        done = atoll("plugin", *command, *where, env=env, ok=False)
        assert done.returncode != 0 and "older than 0.2.0" in done.stderr and "--allow-downgrade" in done.stderr
        assert '"0.2.0"' in lock.read_text()
    atoll("plugin", "update", "my-api", "--allow-downgrade", *where, env=env)
    assert 'version = "0.1.0"' in lock.read_text()
    # What a server saw of signed plugins counts too.
    (tmp_path / "plugins.versions").write_text('version = 1\n[highest]\nmy-api = "0.3.0"\n')
    done = atoll("plugin", "add", first_plugin, *where, env=env, ok=False)
    assert done.returncode != 0 and "older than 0.3.0" in done.stderr


def test_a_recorded_request_shows_what_becomes_of_it(env, first_plugin, tmp_path):
    recorded = tmp_path / "hello.http"
    recorded.write_bytes(b"POST /my-api/atoll-demo\n\nHello")
    shown = atoll("plugin", "test", first_plugin, "--request", recorded, env=env).stdout
    assert '"model": "atoll-demo"' in shown and "answer     200" in shown
    assert shown.endswith("\n\nHello there.\n"), shown
    recorded.write_bytes(b"POST /my-api/atoll-demo\r\n\r\n\xff")
    shown = atoll("plugin", "test", first_plugin, "--request", recorded, env=env).stdout
    assert "operation  refused" in shown and "The prompt is not UTF-8." in shown
    recorded.write_bytes(b"GET /elsewhere\n\n")
    missing = atoll("plugin", "test", first_plugin, "--request", recorded, env=env, ok=False)
    assert missing.returncode != 0 and "no route of the plugin takes GET /elsewhere" in missing.stderr


def test_what_a_plugin_wants_is_asked_for(env, first_plugin, tmp_path):
    """The bundled annotation filter's wishes are harmless; the test of the refusal is in Rust."""
    shown = atoll("plugin", "inspect", first_plugin, env=env).stdout
    for word in ("dialect", "sha256", "route", "uses", "log"):
        assert word in shown, shown
    facts = json.loads(atoll("plugin", "inspect", "openai", "--json", env=env).stdout)
    assert facts["world"] == "dialect" and facts["settings_schema"] is not None
    missing = atoll("plugin", "inspect", tmp_path / "none.wasm", env=env, ok=False)
    assert missing.returncode != 0 and "atoll plugin list" in missing.stderr


EXAMPLES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "examples"
CONFIG = """
[[filter]]
plugin = "topic-policy"
[filter.settings]
message = "Not here."
topics = { weapons = ["grenade"] }
"""


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A server with the example plugins: a Rust and a JavaScript dialect behind a Python filter."""
    needed = ["gemini", "topic-policy"] + (["cohere-chat"] if shutil.which("node") else [])
    for name in needed:
        if not (EXAMPLES / f"{name}.wasm").exists():
            pytest.fail(f"{EXAMPLES / name}.wasm does not exist; build it with: examples/build {name}")
    home = tmp_path_factory.mktemp("foreign")
    plugins = home / "plugins"
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
    cache = {"XDG_CACHE_HOME": os.environ["ATOLL_E2E_CACHE"]}
    for name in needed:
        atoll("plugin", "add", EXAMPLES / f"{name}.wasm", "--yes", "--plugins", plugins,
              env={**environment, **cache}, timeout=BUILD_PATIENCE)
    config = home / "config.toml"
    config.write_text(CONFIG)
    instance = Server("--plugins", str(plugins), "--config", str(config), env=cache)
    yield instance
    instance.stop()


def gemini(server: Server, text: str, method: str = "generateContent") -> tuple[int, dict]:
    body = {"contents": [{"parts": [{"text": text}]}], "generationConfig": {"maxOutputTokens": 16}}
    status, reply = post(server, f"/v1beta/models/{MODEL}:{method}", json.dumps(body).encode())
    return status, json.loads(reply)


@pytest.mark.timeout(BUILD_PATIENCE)
def test_a_rust_dialect_from_outside_answers(foreign: Server):
    status, reply = gemini(foreign, "Hello")
    assert status == 200, reply
    assert reply["candidates"][0]["content"]["parts"][0]["text"].strip()
    whole = reply["usageMetadata"]["promptTokenCount"]
    status, reply = gemini(foreign, "Hello", "countTokens")
    assert (status, reply) == (200, {"totalTokens": whole})
    status, reply = gemini(foreign, "Hello", "streamGenerateContent")
    assert status == 200 and reply[-1]["usageMetadata"]["promptTokenCount"] == whole


@pytest.mark.timeout(BUILD_PATIENCE)
def test_a_python_filter_refuses_and_counts(foreign: Server):
    for count in (1, 2):
        status, reply = gemini(foreign, "How do I build a GRENADE?")
        assert status == 400 and reply["error"]["message"] == "Not here."
        # Its store outlives the request: the counter goes on.
        assert f"refused, topic weapons, {count} so far" in foreign.log()
    assert "GRENADE" not in foreign.log()
    assert gemini(foreign, "How do I bake bread?")[0] == 200


@pytest.mark.timeout(BUILD_PATIENCE)
@pytest.mark.skipif(shutil.which("node") is None, reason="JavaScript plugins are built with Node.js")
def test_a_javascript_dialect_answers_and_streams(foreign: Server):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    status, whole = post(foreign, "/v2/chat", json.dumps(body).encode())
    assert status == 200, whole
    whole = json.loads(whole)
    assert whole["message"]["content"][0]["text"].strip()
    assert whole["usage"]["tokens"]["input_tokens"] > 0
    status, stream = post(foreign, "/v2/chat", json.dumps({**body, "stream": True}).encode())
    events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    assert [events[0]["type"], events[-1]["type"]] == ["message-start", "message-end"]
    assert any(event["type"] == "content-delta" for event in events)
    body["messages"][0]["content"] = "a grenade, please"
    status, refusal = post(foreign, "/v2/chat", json.dumps(body).encode())
    assert status == 400 and json.loads(refusal)["message"] == "Not here."
    status, refusal = post(foreign, "/v2/chat", b'{"model": "m", "messages": [], "tools": []}')
    assert status == 400 and "tools" in json.loads(refusal)["message"]


@pytest.mark.timeout(BUILD_PATIENCE)
def test_what_a_removed_plugin_stored_is_kept_until_it_is_purged(tmp_path):
    plugins, config = tmp_path / "plugins", tmp_path / "config.toml"
    cache = {"XDG_CACHE_HOME": os.environ["ATOLL_E2E_CACHE"]}
    env = {**os.environ, **cache, "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    where = ["--plugins", plugins]

    def command(*args, server: Server | None = None, ok: bool = True) -> subprocess.CompletedProcess:
        # Without a server nobody listens at port 1.
        listen = {"ATOLL_LISTEN": f"127.0.0.1:{server.port if server else 1}"}
        return atoll("plugin", *args, *where, env={**env, **listen}, ok=ok, timeout=BUILD_PATIENCE)

    def add() -> None:
        command("add", EXAMPLES / "topic-policy.wasm", "--yes")

    def served(text: str) -> Server:
        config.write_text(text)
        return Server("--plugins", str(plugins), "--config", str(config), env=cache)

    def refusals(server: Server) -> None:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "a grenade"}]}
        assert post(server, "/v1/chat/completions", json.dumps(body).encode())[0] == 400

    add()
    first = served(CONFIG)
    refusals(first)
    first.stop()
    said = command("remove", "topic-policy")
    assert "topic-policy is removed" in said.stdout
    assert "kept (1 key," in said.stderr and "atoll plugin remove topic-policy --purge" in said.stderr

    # It comes back, as a new version would, and goes on where it was.
    add()
    second = served(CONFIG)
    refusals(second)
    assert "refused, topic weapons, 2 so far" in second.log()
    second.stop()

    # The server that has the file is asked; a place in the chain would keep the plugin in force.
    third = served("")
    try:
        assert json.loads(third.get("/atoll/v1/plugins")[1])["stored"]["topic-policy"]["keys"] == 1
        said = command("remove", "topic-policy", "--purge", server=third)
        assert "what it stored is deleted: 1 key," in said.stdout
        assert json.loads(third.get("/atoll/v1/plugins")[1])["stored"] == {}
        again = command("remove", "topic-policy", "--purge", server=third, ok=False)
        assert again.returncode != 0 and "there is no plugin" in again.stderr
    finally:
        third.stop()
    again = command("remove", "topic-policy", "--purge", ok=False)
    assert again.returncode != 0 and "there is no plugin" in again.stderr
