"""A cluster with a secret: who has it is a node, and who has not neither sees nor is seen."""

import os
import pathlib
import re
import ssl
import socket
import subprocess

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


def shown(node: Server) -> str:
    return subprocess.run(
        [str(binary()), "cluster", "status", "--listen", node.url.removeprefix("http://")],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout


def listening(process: subprocess.Popen) -> set[int]:
    """TCP ports on which a process listens."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        if found := re.match(r"socket:\[(\d+)\]", os.readlink(fd)):
            inodes.add(found[1])
    rows = [
        line.split() for name in ("tcp", "tcp6")
        for line in pathlib.Path(f"/proc/{process.pid}/net/{name}").read_text().splitlines()[1:]
    ]
    return {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def test_nodes_with_the_secret_are_one_pool(pool):
    assert chat(pool.nodes[1], "two") == chat(pool.nodes[0], "whole")
    assert status(pool.nodes[0])["encrypted"] is True
    assert "encrypted; only machines with its secret" in shown(pool.nodes[0])


def test_the_secret_is_in_no_log_and_no_list_of_processes(pool):
    for node in pool.nodes:
        assert SECRET not in node.log()
        assert SECRET not in pathlib.Path(f"/proc/{node.process.pid}/cmdline").read_text()


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_but_the_api_listens_in_the_clear(pool):
    for node in pool.nodes:
        ports = listening(node.process) - {node.port}
        assert int(node.cluster_address.rsplit(":", 1)[1]) in ports
        for port in ports:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
                # It speaks TLS, and nothing to somebody without a certificate.
                with context.wrap_socket(plain) as encrypted, pytest.raises(ssl.SSLError, match="(?i)certificate.required"):
                    assert encrypted.version() == "TLSv1.3"
                    encrypted.recv(1)


@pytest.mark.parametrize(
    ("env", "reason"),
    [({}, "this node has none"), ({"ATOLL_CLUSTER_SECRET": "another-secret-entirely"}, "another cluster secret")],
    ids=["without", "another"],
)
def test_one_without_it_neither_joins_nor_sees_and_says_why(pool, env, reason):
    outside = stranger(pool, **env)
    try:
        until(lambda: reason in outside.log(), 60, "its log says why")
        until(lambda: reason in shown(outside), 60, "its status says why")
        # Meanwhile one with the secret is let in, so the other had its chance.
        late = pool.add()
        until(lambda: len(ready(pool.nodes[0])) == 3, 60, what="a node with the secret joins meanwhile")
        outsider = status(outside)["node"]
        assert [member["id"] for member in status(outside)["members"]] == [outsider]
        for node in pool.nodes:
            assert outsider not in [member["id"] for member in status(node)["members"]]
        pool.nodes.remove(late)
        assert late.stop() == 0
    finally:
        outside.stop()


def atoll(home: pathlib.Path, *args: str, **kwargs) -> subprocess.CompletedProcess:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    return subprocess.run([str(binary()), "cluster", *args], capture_output=True, text=True, timeout=60, env=env, **kwargs)


def said(*args, **kwargs) -> str:
    done = atoll(*args, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def kept(home: pathlib.Path) -> list[pathlib.Path]:
    return list(home.rglob("secret"))


def test_a_token_carries_the_name_and_the_secret(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    token = said(one, "token")
    assert token.startswith("atoll1-")
    assert said(one, "token") == token, "the secret is made once"
    said(two, "join", input=token)
    assert said(two, "token") == token
    (file,) = kept(two)
    assert file.stat().st_mode & 0o077 == 0, "only its owner reads it"
    replaced = said(one, "token", "--new")
    assert replaced != token and said(one, "token") == replaced
    # Nobody is there to leave, which is no failure; the secret is forgotten.
    said(two, "leave", "--listen", "127.0.0.1:1")
    assert kept(two) == []


def test_a_host_that_joined_with_a_token_uses_its_secret(tmp_path):
    token = said(tmp_path / "other", "token")
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    joined = subprocess.run(
        [str(binary()), "cluster", "join"], input=token, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **state},
    )
    assert joined.returncode == 0, joined.stderr
    host = Server("--cluster-listen", "tcp/127.0.0.1:0", env={"ATOLL_CLUSTER": "", **state, "XDG_CACHE_HOME": CACHE.name})
    try:
        assert status(host)["encrypted"] is True
    finally:
        host.stop()


@pytest.mark.parametrize("secret", ["tooshort1", "aaaaaaaaaaaaaaaaaaaaaaaa"])
def test_a_secret_that_is_easily_guessed_is_refused(secret):
    refused = subprocess.run(
        [str(binary()), "serve", "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60,
        env={**os.environ, "ATOLL_CLUSTER": "lab", "ATOLL_CLUSTER_SECRET": secret},
    )
    assert refused.returncode != 0
    assert "too easy to guess" in refused.stderr and secret not in refused.stderr


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
