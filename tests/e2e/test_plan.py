"""`atoll plan`: every example is planned by every shipped strategy, and predictions stay as near to what was published as
the documentation says."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from conftest import ROOT, binary, free_port

EXAMPLES = sorted((ROOT / "examples" / "plans").glob("*.toml"))


def plan(tmp_path, *args: str) -> subprocess.CompletedProcess:
    folders = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ["CONFIG", "DATA"]}
    folders["XDG_CACHE_HOME"] = os.environ["ATOLL_E2E_CACHE"]
    return subprocess.run([binary(), "plan", *args], capture_output=True, text=True, timeout=120, env={**os.environ, **folders})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_planned(example, tmp_path):
    ran = plan(tmp_path, str(example), "--json")
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    found = {one["strategy"]: one for one in answer["strategies"]}
    assert {"auto", "spread", "pack", "single"} <= found.keys()
    fastest = found["auto"]["decode_tokens_per_second"]
    for one in found.values():
        if "problem" in one:
            continue
        assert one["decode_tokens_per_second"] <= fastest * 1.000001
        stages = one["stages"]
        assert [stage["first"] for stage in stages[1:]] == [stage["end"] for stage in stages[:-1]]
        assert all(stage["bytes"] <= stage["available"] for stage in stages)
    assert answer["would_help"] == sorted(answer["would_help"], key=lambda lever: -lever["gain"])
    for one in answer["compared"]:
        error = one["predicted"] / one["measured"] - 1
        assert abs(error) < 0.12, one


def test_a_model_is_described_by_its_configuration_alone(tmp_path):
    demo = ROOT / "models" / "atoll-demo" / "config.json"
    ran = plan(tmp_path, str(EXAMPLES[-1]), "--model", str(demo))
    assert ran.returncode == 0, ran.stderr
    assert "DECODE tok/s" in ran.stdout and "auto: It is the best of all plans" in ran.stdout


def test_the_objective_can_be_asked_for(tmp_path):
    example = str(ROOT / "examples" / "plans" / "three-desktops.toml")
    stages = {}
    for objective in ["latency", "throughput"]:
        answer = json.loads(plan(tmp_path, example, "--strategy", "auto", "--objective", objective, "--json").stdout)
        (auto,) = answer["strategies"]
        stages[objective] = auto["throughput_tokens_per_second"]
    assert stages["throughput"] > stages["latency"]


def test_a_model_of_no_pool_is_not_planned(tmp_path):
    """Nothing answers there: it says so, and what else can be done."""
    ran = plan(tmp_path, "some-model", "--listen", f"127.0.0.1:{free_port()}")
    assert ran.returncode != 0
    assert "no server answers" in ran.stderr and "atoll serve" in ran.stderr and "FILE.toml" in ran.stderr


def test_mistakes_are_named(tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("[[machine]]\nname = 'a'\nmemory = '1GiB'\nmemory_bandwith = 1e9\n")
    ran = plan(tmp_path, str(broken))
    assert ran.returncode != 0 and "memory_bandwith" in ran.stderr
    ran = plan(tmp_path, str(EXAMPLES[0]), "--strategy", "best")
    assert ran.returncode != 0 and "`best`" in ran.stderr and "spread" in ran.stderr
