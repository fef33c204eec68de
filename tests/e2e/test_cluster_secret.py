"""A cluster with a secret: who has it is a node, and who has not neither sees nor is seen."""

import subprocess
import time

import pytest

from conftest import Server, binary, until
from pool import CACHE, Pool, ready, status
from test_cluster import chat

SECRET = "a-secret-of-this-test-run"


@pytest.fixture(scope="module")
def pool():
    pool = Pool(2, {"whole": 1, "two": 2}, secret=SECRET, patience_ms=20_000)
    yield pool
    pool.stop()


def stranger(pool: Pool, **env: str) -> Server:
    """A host that knows where the pool is and what it is called, with another secret or none."""
    peers = [argument for node in pool.nodes for argument in ("--peer", node.cluster_address)]
    return Server(
        "--config", str(pool.config), "--cluster", pool.name, "--cluster-listen", "tcp/127.0.0.1:0", *peers,
        env={"ATOLL_CLUSTER": pool.name, "XDG_CACHE_HOME": CACHE.name, **env},
    )


def test_nodes_with_the_secret_are_one_pool(pool):
    assert chat(pool.nodes[1], "two") == chat(pool.nodes[0], "whole")


@pytest.mark.parametrize("env", [{}, {"ATOLL_CLUSTER_SECRET": "another-secret-entirely"}], ids=["without", "another"])
def test_one_without_it_neither_joins_nor_sees(pool, env):
    outside = stranger(pool, **env)
    try:
        # Long enough for several attempts to connect; a node with the secret is in within a second.
        late = pool.add()
        until(lambda: len(ready(pool.nodes[0])) == 3, what="a node with the secret joins meanwhile")
        time.sleep(2)
        assert [member["id"] for member in status(outside)["members"]] == [status(outside)["node"]]
        outsider = status(outside)["node"]
        for node in pool.nodes:
            assert outsider not in [member["id"] for member in status(node)["members"]]
        pool.nodes.remove(late)
        assert late.stop() == 0
    finally:
        outside.stop()


def test_a_token_carries_the_name_and_the_secret(tmp_path):
    def atoll(*args, home, **kwargs):
        env = {
            "PATH": "/usr/bin:/bin", "HOME": str(tmp_path / home), "XDG_STATE_HOME": str(tmp_path / home / "state"),
        }
        done = subprocess.run([str(binary()), "cluster", *args], capture_output=True, text=True, timeout=60, env=env, **kwargs)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    token = atoll("token", "--new", home="one")
    assert token.startswith("atoll1-")
    assert atoll("token", home="one") == token, "the secret is made once"
    atoll("join", home="two", input=token)
    assert atoll("token", home="two") == token
    atoll("join", "lab", home="two")
    assert atoll("token", home="two") != token


def test_a_host_with_keys_and_no_secret_is_part_of_no_cluster(tmp_path):
    home = {"XDG_DATA_HOME": str(tmp_path)}
    subprocess.run(
        [str(binary()), "keys", "create", "somebody"], check=True, capture_output=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **home},
    )
    host = Server(env={"ATOLL_CLUSTER": "", **home, "XDG_CACHE_HOME": CACHE.name})
    try:
        assert status(host) == {"cluster": None}
        assert "without a secret any node could use it without a key" in host.log()
    finally:
        host.stop()
