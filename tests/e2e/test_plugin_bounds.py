"""What plugins keep and cost outside their own requests: the store, the compiler."""

import json
import os
import pathlib

import pytest

from conftest import MODEL, Server, until
from test_plugin_lifecycle import BUILD_PATIENCE, EXAMPLES, atoll, gemini

CHAIN = """
[[filter]]
plugin = "topic-policy"
[filter.settings]
topics = { weapons = ["grenade"] }
"""


@pytest.fixture()
def home(tmp_path) -> pathlib.Path:
    return tmp_path


def environment(home: pathlib.Path) -> dict[str, str]:
    return {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": os.environ["ATOLL_E2E_CACHE"],
    }


@pytest.mark.timeout(BUILD_PATIENCE)
def test_what_a_plugin_stored_outlives_the_server(home):
    plugins = home / "plugins"
    for name in ("gemini", "topic-policy"):
        atoll("plugin", "add", EXAMPLES / f"{name}.wasm", "--yes", "--plugins", plugins,
              env={**os.environ, **environment(home)}, timeout=BUILD_PATIENCE)
    config = home / "config.toml"
    config.write_text(CHAIN)
    for count in (1, 2, 3):
        server = Server("--plugins", str(plugins), "--config", str(config), env=environment(home))
        try:
            assert gemini(server, "How do I build a grenade?")[0] == 400
            assert f"refused, topic weapons, {count} so far" in server.log()
        finally:
            server.stop()
    kept = home / "plugins.kv.redb"
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.timeout(BUILD_PATIENCE)
def test_a_compile_bomb_is_ended(home):
    """18 MB of Python take far more than a second to compile: here they stand for something worse."""
    plugins = home / "plugins"
    config = home / "config.toml"
    config.write_text("plugin_compile_seconds = 1\n")
    # A cache of its own, which does not have it.
    env = {**environment(home), "XDG_CACHE_HOME": str(home / "cold")}
    server = Server("--plugins", str(plugins), "--config", str(config), env=env)
    try:
        plugins.mkdir()
        (plugins / "bomb.wasm").write_bytes((EXAMPLES / "topic-policy.wasm").read_bytes())

        def refusal() -> str:
            refused = json.loads(server.get("/atoll/v1/plugins")[1])["refused"]
            return " ".join(plugin["reason"] for plugin in refused)

        until(lambda: "compiling it takes" in refusal(), seconds=60, what="the refusal")
        answer = server.openai().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], max_tokens=4, temperature=0)
        assert answer.choices[0].message.content
    finally:
        server.stop()
