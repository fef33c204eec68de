"""Every template of `atoll plugin new`, built with its language's tools and run: what the tutorials say."""

import json
import os
import pathlib
import shutil

import pytest

from conftest import MODEL, ROOT, Server
from test_plugin_lifecycle import BUILD_PATIENCE, EXAMPLES, atoll, post

NODE = shutil.which("node") is not None
TEMPLATES = [
    ("rs-filter", "filter", "rust"),
    ("rs-plan", "placement", "rust"),
    ("rs-order", "scheduling", "rust"),
    ("py-api", "dialect", "python"),
    ("py-note", "filter", "python"),
] + ([("js-api", "dialect", "javascript"), ("js-note", "filter", "javascript")] if NODE else [])
NOTES = {"py-note": "Answer in the style of a very old sea captain.", "js-note": "Never mention the weather at all."}
FILTERS = ["rs-filter", "py-note"] + (["js-note"] if NODE else [])


def share_tools(folder: pathlib.Path, language: str) -> None:
    """What the examples' build has installed already; the plugin's own build finds it in its folder."""
    tools = {
        "rust": ("target", EXAMPLES / "templates-target"),
        "python": (".venv", EXAMPLES / "python"),
        "javascript": ("node_modules", EXAMPLES / "javascript" / "node_modules"),
    }
    name, shared = tools[language]
    if language == "rust":
        shared.mkdir(parents=True, exist_ok=True)
    assert shared.is_dir(), f"{shared} does not exist; build the examples first: examples/build"
    (folder / name).symlink_to(shared)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("templates")


@pytest.fixture(scope="module")
def env(home) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": os.environ["ATOLL_E2E_CACHE"],
    }


@pytest.fixture(scope="module")
def built(home, env) -> dict[str, str]:
    """What `atoll plugin build` said of each template, all of which are in force."""
    said = {}
    for name, world, language in TEMPLATES:
        sdk = ["--sdk", ROOT / "sdk" / "rust"] if language == "rust" else []
        atoll("plugin", "new", name, "--world", world, "--lang", language, *sdk, cwd=home, env=env)
        share_tools(home / name, language)
        said[name] = atoll("plugin", "build", cwd=home / name, env=env, timeout=BUILD_PATIENCE).stdout
        atoll("plugin", "add", home / name / f"{name}.wasm", "--yes", env=env)
    return said


@pytest.fixture(scope="module")
def served(home, env, built):
    """A server with every template's plugin in force, and its filters in the chain."""
    config = home / "config.toml"
    places = [f'[[filter]]\nplugin = "{name}"\n' for name in FILTERS]
    notes = [f'[plugin.{name}.settings]\nnote = "{NOTES[name]}"\n' for name in FILTERS if name in NOTES]
    config.write_text("\n".join(places + notes))
    plugins = home / "data" / "atoll" / "plugins"
    instance = Server("--config", str(config), "--plugins", str(plugins), env={"XDG_CACHE_HOME": env["XDG_CACHE_HOME"]})
    yield instance
    instance.stop()


@pytest.mark.timeout(BUILD_PATIENCE)
def test_every_template_builds_and_says_what_it_is(built, env):
    for name, world, _ in TEMPLATES:
        assert f"{name} 0.1.0" in built[name] and f"{world}, contract 0.1" in built[name], built[name]
    assert "metrics: To report what it counts.  (needs your grant)" in built["rs-filter"]
    listed = json.loads(atoll("plugin", "list", "--json", env=env).stdout)
    worlds = {plugin["info"]["name"]: plugin["info"]["world"] for plugin in listed["loaded"]}
    assert {name: world for name, world, _ in TEMPLATES}.items() <= worlds.items()
    assert listed["refused"] == []


@pytest.mark.timeout(BUILD_PATIENCE)
@pytest.mark.parametrize("name", [name for name, world, _ in TEMPLATES if world == "dialect"])
def test_a_dialect_in_another_language_answers(served: Server, name):
    status, text = post(served, f"/{name}/{MODEL}", b"Hello")
    assert status == 200 and text.strip()
    status, text = post(served, f"/{name}/{MODEL}", b"\xff\xfe")
    assert (status, text) == (400, "The prompt is not UTF-8.")
    assert post(served, f"/{name}/nobody", b"Hello")[0] == 404


@pytest.mark.timeout(BUILD_PATIENCE)
def test_filters_in_other_languages_add_their_notes(served: Server, server: Server):
    """The session's server has no filter: what the prompt has more here is what the filters put into it."""

    def tokens(one: Server) -> int:
        messages = [{"role": "user", "content": "Hello"}]
        answer = one.openai().chat.completions.create(model=MODEL, messages=messages, max_tokens=1)
        return answer.usage.prompt_tokens

    more = tokens(served) - tokens(server)
    words = sum(len(note.split()) for name, note in NOTES.items() if name in FILTERS)
    assert more >= words, f"{more} tokens more for notes of {words} words"


@pytest.mark.timeout(BUILD_PATIENCE)
def test_a_filter_in_rust_counts_on_the_metrics_page(served: Server):
    def counted() -> float:
        return served.metric("atoll_plugin_count_total", plugin="rs-filter", name="text_bytes")

    status, text = post(served, f"/py-api/{MODEL}", b"Hello")
    assert status == 200
    before = counted()
    assert before >= len(text.encode())
    status, text = post(served, f"/py-api/{MODEL}", b"Hello")
    assert counted() == before + len(text.encode())
