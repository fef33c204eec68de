"""Hosts find each other with no arguments, and a cut cable is a lost machine.

Where this runs as root, each host lives in a network namespace of its own, joined by a bridge in another, and nothing
leaves the machine. Hosts that are plain processes of this machine find each other everywhere.
"""

import contextlib
import os
import shutil
import subprocess
import threading

import openai
import pytest

from conftest import Server, free_port, until
from pool import CACHE, LONG, coordinators, id_of, models, one_instance_stays, ready, roles, stages_of, status
from test_cluster import chat

SUBNET = "10.213.77"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)


class Network:
    """A switch, and hosts that are plugged into it."""

    def __init__(self):
        self.tag = f"at{os.getpid() % 10000}"
        self.switch = f"{self.tag}-sw"
        self.names = [self.switch]
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        # This process asks the hosts over a port of the switch, too.
        ip("link", "add", f"{self.tag}h", "type", "veth", "peer", "name", "port0", "netns", self.switch)
        ip("-n", self.switch, "link", "set", "port0", "master", "br0", "up")
        ip("addr", "add", f"{SUBNET}.254/24", "dev", f"{self.tag}h")
        ip("link", "set", f"{self.tag}h", "up")

    def plug(self, number: int) -> str:
        name = f"{self.tag}-{number}"
        self.names.append(name)
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{number}", "netns", self.switch)
        ip("-n", self.switch, "link", "set", f"port{number}", "master", "br0", "up")
        ip("-n", name, "addr", "add", f"{SUBNET}.{number}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", name, "link", "set", device, "up")
        return name

    def cut(self, number: int) -> None:
        ip("-n", self.switch, "link", "set", f"port{number}", "down")

    def part(self, here: list[int], there: list[int]) -> None:
        """What these hosts send each other gets lost from now on, silently."""
        self.parted = [(a, b) for one in here for other in there for a, b in ((one, other), (other, one))]
        for a, b in self.parted:
            nobody = ["lladdr", "02:00:00:00:00:01", "nud", "permanent"]
            ip("-n", f"{self.tag}-{a}", "neigh", "replace", f"{SUBNET}.{b}", "dev", "eth0", *nobody)

    def join(self) -> None:
        for a, b in self.parted:
            ip("-n", f"{self.tag}-{a}", "neigh", "del", f"{SUBNET}.{b}", "dev", "eth0")

    def remove(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", f"{self.tag}h")
        for name in self.names:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


@pytest.fixture(scope="module")
def network():
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip")
    try:
        made = Network()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr}")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def hosts(network, tmp_path_factory):
    """Starts hosts one after the other; none is told of any other."""
    folder = tmp_path_factory.mktemp("network")
    config = folder / "config.toml"
    config.write_text(f"kv_memory = \"16MiB\"\n[cluster]\nprobe = false\npatience_ms = 3000\nmemory = \"1GiB\"\n{models(folder, whole=1, two=2)}")
    started = []

    def more(count: int) -> list[Server]:
        while len(started) < count:
            number = len(started) + 1
            namespace = network.plug(number)
            env = {"ATOLL_CONFIG": str(config), "ATOLL_MODELS": str(folder / "models"), "XDG_CACHE_HOME": CACHE.name}
            host = Server(
                "--insecure", env={**env, "ATOLL_CLUSTER": "", "ATOLL_THREADS": "1"}, host=f"{SUBNET}.{number}",
                prefix=("ip", "netns", "exec", namespace), inside=True,
            )
            host.number = number
            started.append(host)
        return started

    yield more
    for host in started:
        host.stop()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_hosts_find_each_other_with_no_arguments(hosts, count):
    all_of_them = hosts(count)
    for host in all_of_them:
        until(lambda: len(ready(host)) == count, 60, f"{host.url} sees {count} hosts")


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Hosts of this machine, in a cluster of their own name, each told nothing of the others."""
    folder = tmp_path_factory.mktemp("processes")
    config = folder / "config.toml"
    config.write_text("[cluster]\nprobe = false\npatience_ms = 3000\nmemory = \"1GiB\"\n")
    name, started = f"e2e-{free_port()}", []

    def more(count: int) -> list[Server]:
        while len(started) < count:
            # The pool's name is all: others may look for theirs on this network.
            env = {"ATOLL_CLUSTER": name, "ATOLL_CONFIG": str(config), "ATOLL_THREADS": "1", "XDG_CACHE_HOME": CACHE.name}
            started.append(Server(env=env))
        return started

    yield more
    for host in started:
        host.stop()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_processes_of_one_machine_find_each_other(processes, count):
    all_of_them = processes(count)
    for host in all_of_them:
        until(lambda: len(ready(host)) == count, 60, f"{host.url} sees {count} hosts")
    (kinds,) = {frozenset(member["link_kind"] for member in status(host)["members"]) for host in all_of_them}
    assert kinds == {None, "loopback"}


def test_a_network_that_was_cut_in_two_runs_one_instance_when_it_is_whole_again(hosts, network):
    running = hosts(5)
    for host in running:
        until(lambda: len(ready(host)) == len(running), 60, "all see each other")
    _, coordinator, stage = roles(running, "two")
    here = [coordinator, stage]
    there = [host for host in running if host not in here]
    network.part([host.number for host in here], [host.number for host in there])
    for half in (here, there):
        for host in half:
            until(lambda: len(ready(host)) == len(half), 60, "each half sees itself")
    # The half that has lost the model brings it back, asked or not.
    expected = chat(here[0], "whole")
    assert [chat(host, "two") for host in running] == [expected] * 5
    assert coordinators(here, "two") == [coordinator] and len(coordinators(there, "two")) == 1
    one_instance_stays(coordinator, running, "two", network.join)


@pytest.mark.parametrize("who", ["stage", "coordinator"])
def test_a_cut_cable_is_a_lost_machine(hosts, network, who):
    running = [host for host in hosts(5) if not getattr(host, "cut", False)]
    for host in running:
        until(lambda: len(ready(host)) == len(running), 60, "those that are connected see each other")
    client, coordinator, stage = roles(running, "two")
    victim = {"coordinator": coordinator, "stage": stage}[who]
    expected = chat(client, "whole")
    stream = client.openai().completions.create(
        model="two", prompt="Once upon a time", stream=True, max_tokens=LONG, temperature=0, extra_body={"ignore_eos": True},
    )
    chunks = iter(stream)
    next(chunks)
    end = []

    def read():
        try:
            end.append(list(chunks))
        except openai.APIError as error:
            end.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    victim.cut = True
    network.cut(victim.number)
    # Asked before anybody has missed the machine: begun again by the host that was asked.
    assert chat(client, "two") == expected
    reader.join(60)
    assert end and isinstance(end[0], openai.APIError), end
    assert chat(client, "two") == expected


def test_a_cable_cut_while_nobody_asks_is_repaired_before_somebody_does(hosts, network):
    running = [host for host in hosts(5) if not getattr(host, "cut", False)]
    for host in running:
        until(lambda: len(ready(host)) == len(running), 60, "those that are connected see each other")
    client, _, stage = roles(running, "two")
    expected = chat(client, "whole")
    stage.cut = True
    gone = id_of(stage)
    network.cut(stage.number)

    def repaired() -> bool:
        held = set(stages_of(client, "two").values())
        return len(held) == 2 and gone not in held

    until(repaired, 60, "the model runs on those that are connected")
    assert chat(client, "two") == expected
