"""Every template of `atoll plugin new`, built with its language's tools and run: what the tutorials say."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from conftest import MODEL, ROOT, Server, free_port, until
from test_plugin_lifecycle import BUILD_PATIENCE, EXAMPLES, atoll, post

NODE = shutil.which("node") is not None
TEMPLATES = [
    ("rs-filter", "filter", "rust"),
    ("rs-plan", "placement", "rust"),
    ("rs-order", "scheduling", "rust"),
    ("py-api", "dialect", "python"),
    ("py-note", "filter", "python"),
    ("py-plan", "placement", "python"),
    ("py-order", "scheduling", "python"),
] + ([
    ("js-api", "dialect", "javascript"),
    ("js-note", "filter", "javascript"),
    ("js-plan", "placement", "javascript"),
    ("js-order", "scheduling", "javascript"),
] if NODE else [])
PLANS = [name for name, world, _ in TEMPLATES if world == "placement"]
ORDERS = [name for name, world, _ in TEMPLATES if world == "scheduling"]
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

    def build(template: tuple[str, str, str]) -> tuple[str, str]:
        name, world, language = template
        sdk = ["--sdk", ROOT / "sdk" / "rust"] if language == "rust" else []
        atoll("plugin", "new", name, "--world", world, "--lang", language, *sdk, cwd=home, env=env)
        share_tools(home / name, language)
        said = atoll("plugin", "build", cwd=home / name, env=env, timeout=BUILD_PATIENCE).stdout
        atoll("plugin", "add", home / name / f"{name}.wasm", "--yes", env=env)
        return name, said

    # The tools of Python and JavaScript use one processor each.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(pool.map(build, TEMPLATES))


@pytest.fixture(scope="module")
def config(home) -> pathlib.Path:
    return home / "config.toml"


def settings(placement: str = "", scheduling: str = "") -> str:
    """Every filter in the chain, a cluster of one, and these strategies."""
    places = [f'[[filter]]\nplugin = "{name}"\n' for name in FILTERS]
    notes = [f'[plugin.{name}.settings]\nnote = "{NOTES[name]}"\n' for name in FILTERS if name in NOTES]
    cluster = "[cluster]\nmulticast = false\nprobe = false\n"
    chosen = [f'[{kind}]\nstrategy = "{name}"\n' for kind, name in
              [("placement", placement), ("scheduling", scheduling)] if name]
    return "\n".join([*places, *notes, cluster, *chosen])


@pytest.fixture(scope="module")
def served(home, env, built, config):
    """A server with every template's plugin in force, and its filters in the chain."""
    config.write_text(settings())
    plugins = home / "data" / "atoll" / "plugins"
    instance = Server(
        "--config", str(config), "--plugins", str(plugins), "--cluster-listen", f"tcp/127.0.0.1:{free_port()}",
        env={"XDG_CACHE_HOME": env["XDG_CACHE_HOME"], "ATOLL_CLUSTER": f"e2e-{free_port()}"},
    )
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


@pytest.mark.timeout(BUILD_PATIENCE)
@pytest.mark.parametrize("name", [name for name, _, language in TEMPLATES if language != "rust"])
def test_a_templates_own_tests_pass(built, home, name):
    """As `atoll plugin new` says. The SDK's examples, which the templates in Rust are, are tested with the SDK."""
    command = [sys.executable, "-m", "unittest", "-v"] if name.startswith("py-") else ["node", "--test"]
    done = subprocess.run(command, cwd=home / name, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    ran = [line for line in said.splitlines() if line.endswith("... ok") or line.lstrip().startswith("ok ")]
    assert ran, said


@pytest.mark.timeout(BUILD_PATIENCE)
@pytest.mark.parametrize("name", ORDERS)
def test_a_scheduling_strategy_is_tried_with_a_queue(built, home, env, name):
    queue = {
        "waiting": [
            {"id": 1, "waited_ms": 10}, {"id": 2, "waited_ms": 30}, {"id": 3, "priority": 5}, {"id": 4, "waited_ms": 30},
        ],
        "load": {"running": 1, "max_running": 4},
    }
    (home / "queue.json").write_text(json.dumps(queue))
    done = atoll("plugin", "test", name, "--request", home / "queue.json", env=env)
    assert done.stdout.splitlines() == ["admit 3", "admit 2", "admit 4", "wait 1"]


@pytest.mark.timeout(BUILD_PATIENCE)
@pytest.mark.parametrize("name", PLANS)
def test_a_placement_strategy_is_tried_with_machines(built, home, env, name):
    """From its file and by its name; what it plans is what the template in Rust plans."""
    machines = ROOT / "examples" / "plans" / "three-desktops.toml"

    def planned(strategy) -> dict:
        shown = atoll("plan", machines, "--strategy", strategy, "--json", env=env).stdout
        [one] = json.loads(shown)["strategies"]
        return {key: value for key, value in one.items() if key not in ("strategy", "seconds", "asked_ms")}

    assert planned(home / name / f"{name}.wasm") == planned(name) == planned(PLANS[0])


def standing(served: Server) -> dict:
    return json.loads(served.get("/atoll/v1/plugins")[1])["strategies"]


@pytest.mark.timeout(BUILD_PATIENCE)
@pytest.mark.parametrize(("plan", "order"), list(zip(PLANS, ORDERS, strict=True)))
def test_strategies_in_every_language_decide_in_a_running_host(served: Server, config, plan, order):
    config.write_text(settings(plan, order))

    def in_force() -> bool:
        now = standing(served)
        return (now["placement"]["in_force"], now["scheduling"]["in_force"]) == (f"{plan} 0.1.0", f"{order} 0.1.0")

    until(in_force, 60, f"{plan} and {order} in force: {standing(served)}")
    placed = json.loads(served.get(f"/atoll/v1/placements?model={MODEL}")[1])
    assert (placed["strategy"], placed["fallback"]) == (plan, None), placed
    assert placed["plan"]["explanation"].endswith("bytes free."), placed

    # Whoever comes waits until the strategy is asked. A decision that a busy machine gave too little time is the host's
    # own, so not every one has to be the strategy's.
    before = standing(served)["scheduling"]["used"]

    def used() -> bool:
        status, text = post(served, f"/py-api/{MODEL}", b"Hello")
        assert status == 200, text
        return standing(served)["scheduling"]["used"] > before

    until(used, 60, f"an order of {order} is used: {standing(served)}")
