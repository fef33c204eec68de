"""Strategies in a running pool: both kinds are swapped by the configuration file, a person's plan goes before them, and
what the host says of a placement is what it carries out."""

import concurrent.futures
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import MODEL, Server, binary, until
from pool import Pool, id_of, stages_of
from test_cluster import chat

#: MiB: too little for the whole model with its KV memory, enough for two thirds of it.
MEMORY = 24


@pytest.fixture(scope="module")
def pool():
    # The cost model needs measured machines.
    pool = Pool(3, {"big": 1}, patience_ms=20_000, memory=f"{MEMORY}MiB", probe=True)
    yield pool
    pool.stop()


@pytest.fixture(scope="module")
def expected():
    """What one machine answers, in no pool."""
    alone = Server()
    try:
        yield chat(alone, MODEL)
    finally:
        alone.stop()


def ask(node: Server, path: str) -> dict:
    with urllib.request.urlopen(f"{node.url}{path}", timeout=60) as reply:
        return json.load(reply)


def placements(node: Server, **query: str) -> dict:
    return ask(node, "/atoll/v1/placements?" + urllib.parse.urlencode({"model": "big", **query}))


def layers(plan: dict) -> list[int]:
    return [stage["end"] - stage["first"] for stage in plan["stages"]]


def configure(pool: Pool, text: str) -> None:
    pool.config.write_text(pool.base + text)


def unload(pool: Pool) -> None:
    body = json.dumps({"model": "big", "keep_alive": 0}).encode()
    request = urllib.request.Request(f"{pool.nodes[0].url}/api/generate", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).read()
    for node in pool.nodes:
        until(lambda: not stages_of(node, "big"), 60, "the stages are given up")


def placed(pool: Pool, ready) -> dict:
    """What a host says of the placement, once every host says what `ready` waits for and has heard that the memory of
    all is free again. Each looks at the configuration by itself, and any of them may coordinate."""
    found = []

    def free(node: dict) -> bool:
        return node["memory_free"] > 0.9 * MEMORY * 2**20

    def look():
        found[:] = [placements(node) for node in pool.nodes]
        return all("plan" in one and all(map(free, one["topology"]["nodes"])) and ready(one) for one in found)

    try:
        until(look, 60)
    except AssertionError:
        raise AssertionError(f"not placed as expected: {json.dumps(found)[:8000]}") from None
    return found[0]


def carried_out(pool: Pool, expected: str) -> dict:
    """How the model was placed, which its coordinator says and nobody else: there it runs, and it answers as one machine
    does. That may be a layer beside what another host would have said, which hears of measurements a little later."""
    assert chat(pool.nodes[0], "big") == expected
    said = [placements(node)["running"] for node in pool.nodes]
    [running] = [placement for placement in said if placement]
    nodes = {at: stage["nodes"][0] for at, stage in enumerate(running["proposal"]["stages"])}
    until(lambda: stages_of(pool.nodes[0], "big") == nodes, 60, f"stages as in {running['proposal']}")
    return running


def test_placement_strategies_are_swapped_and_carried_out(pool, expected):
    seen = set()
    for strategy in ["auto", "spread", "pack"]:
        configure(pool, f'[placement]\nstrategy = "{strategy}"\n')
        found = placed(pool, lambda found: found["strategy"] == strategy)
        assert found["fallback"] is None
        assert found["candidates"][0]["plan"]["predicted_throughput"] > 0
        # A token looks back at a sequence, not at the KV memory of all.
        assert json.loads(found["options"]["ext"])["context"] <= 4096
        running = carried_out(pool, expected)
        assert (running["strategy"], running["fallback"]) == (strategy, None)
        seen.add(tuple(layers(running["proposal"])))
        unload(pool)
    # `spread` takes all three, `pack` fills one: these cannot be the same plan.
    assert len(seen) >= 2, seen
    # One that has no answer is told, and costs nobody the model.
    configure(pool, '[placement]\nstrategy = "single"\n')
    found = placed(pool, lambda found: "single" in (found["fallback"] or ""))
    assert found["strategy"] == "proportional"
    assert carried_out(pool, expected)["strategy"] == "proportional"
    unload(pool)


def test_a_person_decides(pool, expected):
    names = [id_of(node) for node in pool.nodes]
    cut = [2, 5, 3]
    stages = ", ".join(f'{{ node = "{name}", layers = {count} }}' for name, count in zip(names, cut))
    configure(pool, f"[placement.pin.big]\nstages = [{stages}]\n")
    found = placed(pool, lambda found: found["strategy"] == "pinned")
    # It is the same whoever says it.
    for plan in [found["plan"], carried_out(pool, expected)["proposal"]]:
        assert layers(plan) == cut
        assert [stage["nodes"][0] for stage in plan["stages"]] == names
    shown = subprocess.run(
        [str(binary()), "place", "big", "--explain", "--listen", pool.nodes[0].url.removeprefix("http://")],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert "pinned" in shown.stdout, shown
    unload(pool)
    # One that does not hold is refused with the reason, and the strategy decides.
    configure(pool, f'[placement.pin.big]\nstages = [{{ node = "{names[0]}", layers = 10 }}]\n')
    found = placed(pool, lambda found: found["strategy"] == "auto")
    assert "bytes" in found["fallback"], found["fallback"]
    assert found["candidates"][0]["strategy"] == "pinned"
    assert carried_out(pool, expected)["strategy"] == "auto"
    unload(pool)


def test_what_is_to_be_best_is_configured_and_asked_for(pool):
    configure(pool, '[placement]\nobjective = "throughput"\n')
    found = placed(pool, lambda found: found["options"]["objective"] == "throughput")
    assert placements(pool.nodes[0], objective="latency")["options"]["objective"] == "latency"
    throughput = found["plan"]["predicted_throughput"]
    # Between two questions links are measured again.
    assert throughput > 0.8 * placements(pool.nodes[0], objective="latency")["plan"]["predicted_throughput"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        placements(pool.nodes[0], objective="beauty")
    assert refused.value.code == 400
    configure(pool, "")


def test_scheduling_strategies_are_swapped_under_a_pipeline(pool, expected):
    def standing(node):
        return ask(node, "/atoll/v1/plugins")["strategies"]["scheduling"]

    with concurrent.futures.ThreadPoolExecutor(6) as asking:
        for strategy in ["fair", "shortest-first", "priority", "fcfs"]:
            configure(pool, f'[scheduling]\nstrategy = "{strategy}"\n')
            asked = [asking.submit(chat, node, "big") for node in pool.nodes * 2]
            for node in pool.nodes:
                until(lambda: standing(node)["in_force"].startswith(strategy), 60, f"{strategy} is in force")
            assert [answer.result() for answer in asked] == [expected] * 6
            assert all(standing(node)["faults"] == 0 for node in pool.nodes)
    configure(pool, "")


def test_the_running_pool_is_planned_with(pool):
    listen = pool.nodes[1].url.removeprefix("http://")
    ran = subprocess.run(
        [str(binary()), "plan", "big", "--json", "--listen", listen], capture_output=True, text=True, timeout=120, check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert len(answer["machines"]) == 3
    assert pool.name in answer["notes"][0]
    topology = ask(pool.nodes[1], "/atoll/v1/cluster")["topology"]
    assert {link["kind"] for link in topology["links"]} == {"loopback"}
