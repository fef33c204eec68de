"""Several hosts as one pool: real processes on this machine, each with folders of its own."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request

from conftest import MODEL, ROOT, Server, binary, free_port, until

#: Compiled plugins and the unpacked demo model, shared by all hosts of a run: each would make the same.
CACHE = tempfile.TemporaryDirectory(prefix="atoll-e2e-pool-")

#: How many tokens a stream needs to be caught in the middle.
LONG = 1500


def models(folder: pathlib.Path, **stages: int) -> str:
    """Copies of the demo model by name, and the configuration that divides each into so many stages."""
    text = ""
    for name, count in stages.items():
        shutil.copytree(ROOT / "models" / MODEL, folder / "models" / name)
        if count > 1:
            text += f"[cluster.model.{name}]\nstages = {count}\n"
    return text


class Pool:
    """Hosts of one cluster that reach each other on loopback. More patient than usual, because a machine that runs
    tests is busy, and busy is not lost."""

    def __init__(
        self, count: int, stages: dict[str, int], *args: str, secret: str | None = None, patience_ms: int = 3000,
        memory: str = "1GiB", probe: bool = False, name: str | None = None,
    ):
        self.folder = tempfile.TemporaryDirectory(prefix="atoll-pool-")
        self.path = pathlib.Path(self.folder.name)
        self.name = name or f"e2e-{free_port()}"
        self.config = self.path / "config.toml"
        own = models(self.path, **stages)
        self.base = (
            f'kv_memory = "16MiB"\n[cluster]\nmulticast = false\nprobe = {str(probe).lower()}\n'
            f'patience_ms = {patience_ms}\nmemory = "{memory}"\n{own}'
        )
        self.config.write_text(self.base)
        self.args = args
        self.secret = secret
        self.nodes: list[Server] = []
        for _ in range(count):
            self.add()
        self.settle()

    def add(self, models: str | None = None, peers: list[Server] | None = None, **env: str) -> Server:
        """One more host, with the pool's models or a folder of its own, which looks for those that are there, or for
        these."""
        address = f"127.0.0.1:{free_port()}"
        network = ["--cluster-listen", f"tcp/{address}"]
        for other in peers or self.nodes:
            network += ["--peer", other.cluster_address]
        secret = {"ATOLL_CLUSTER_SECRET": self.secret} if self.secret else {}
        node = Server(
            "--config", str(self.config), "--models", models or str(self.path / "models"), "--threads", "1",
            "--cluster", self.name, *network, *self.args,
            env={"ATOLL_CLUSTER": self.name, "XDG_CACHE_HOME": CACHE.name, **secret, **env},
        )
        node.cluster_address = address
        self.nodes.append(node)
        return node

    def settle(self, nodes: list[Server] | None = None) -> None:
        """Waits until every host sees every other, ready for work."""
        nodes = nodes or self.nodes
        for node in nodes:
            until(lambda: len(ready(node)) == len(nodes), 60, f"{len(nodes)} nodes seen by {node.url}")

    def stop(self) -> None:
        for node in self.nodes:
            if node.process.poll() is None:
                # One that a test has frozen hears nothing else.
                node.process.send_signal(signal.SIGCONT)
                node.process.kill()
        for node in self.nodes:
            node.process.wait()
            node.home.cleanup()
        self.folder.cleanup()


def status(node: Server) -> dict:
    if node.prefix:
        # Another machine, to the host: it would ask for a key. Somebody who sits at it is not asked.
        shown = subprocess.run(
            [*node.prefix, str(binary()), "cluster", "status", "--json", "--listen", f"127.0.0.1:{node.port}"],
            capture_output=True, text=True, timeout=60, check=True,
        )
        return json.loads(shown.stdout)
    with urllib.request.urlopen(f"{node.url}/atoll/v1/cluster", timeout=10) as reply:
        return json.load(reply)


def ready(node: Server) -> list[str]:
    """Ids of the nodes that this one can give work to."""
    return [member["id"] for member in status(node)["members"] if member["usable"]]


def id_of(node: Server) -> str:
    return status(node)["node"]


def stages_of(node: Server, model: str) -> dict[int, str]:
    """Which node holds which stage of the model, as this node sees it; of the latest plan."""
    held = [
        (stage["epoch"], stage["index"], member["id"])
        for member in status(node)["members"]
        for stage in (member["facts"] or {}).get("stages", [])
        if stage["model"] == model
    ]
    latest = max((epoch for epoch, _, _ in held), default=0)
    return {index: node for epoch, index, node in held if epoch == latest}


def coordinators(nodes: list[Server], model: str) -> list[Server]:
    """Hosts that run a pipeline of the model."""
    return [
        node for node in nodes
        if any(pipeline["model"] == model and not pipeline["failure"] for pipeline in status(node)["pipelines"])
    ]


def held(nodes: list[Server], model: str) -> list[tuple[int, int]]:
    """The layers of every stage of the model that these hosts have in memory, each as its host says."""
    own = [next(member for member in seen["members"] if member["id"] == seen["node"]) for seen in map(status, nodes)]
    return sorted(
        (stage["first"], stage["end"]) for member in own for stage in (member["facts"] or {}).get("stages", [])
        if stage["model"] == model
    )


def roles(nodes: list[Server], model: str) -> tuple[Server, Server, Server]:
    """A host that could be spared by a model of two stages, the one that coordinates it, and one with a stage."""
    nodes[0].openai().completions.create(model=model, prompt="Once", max_tokens=1)
    until(lambda: all(len(stages_of(node, model)) == 2 for node in nodes), what="two stages are seen by all")
    holders = set(stages_of(nodes[0], model).values())
    (coordinator,) = coordinators(nodes, model)
    stage = [node for node in nodes if id_of(node) in holders and node is not coordinator][0]
    # One without a part in it, if there is one: a coordinator need not hold a stage.
    others = [node for node in nodes if node is not coordinator and node is not stage]
    client = min(others, key=lambda node: id_of(node) in holders)
    return client, coordinator, stage


def whole(ranges: list[tuple[int, int]]) -> bool:
    """Whether these are all layers of a model of two stages, each once: what of an old plan is in memory goes."""
    return len(ranges) == 2 and ranges[0][0] == 0 and ranges[0][1] == ranges[1][0]


def story(node: Server, model: str, tokens: int) -> str:
    stream = node.openai().completions.create(
        model=model, prompt="Once upon a time", stream=True, max_tokens=tokens, temperature=0,
        extra_body={"ignore_eos": True},
    )
    return "".join(chunk.choices[0].text for chunk in stream if chunk.choices)


def one_instance_stays(stays: Server, nodes: list[Server], model: str, meet) -> None:
    """Two hosts coordinate the model when all these come to hear each other, by `meet`; then one does, and no answer
    of any host was broken by it, whether it was short or long, began before or after."""
    both = coordinators(nodes, model)
    assert len(both) == 2 and stays in both
    expected = {tokens: story(nodes[0], "whole", tokens) for tokens in (20, LONG)}
    met = threading.Event()

    def ask(node: Server, tokens: int) -> int:
        asked = 0
        while not met.is_set():
            assert story(node, model, tokens) == expected[tokens], f"{node.url} broke an answer of {tokens} tokens"
            asked += 1
            # A machine that runs tests has other things to do, too.
            met.wait(0.1)
        return asked

    with concurrent.futures.ThreadPoolExecutor(2 + len(nodes)) as asking:
        asked = [asking.submit(ask, node, LONG) for node in both] + [asking.submit(ask, node, 20) for node in nodes]
        try:
            meet()
            for node in nodes:
                until(lambda: len(ready(node)) >= len(nodes), 120, f"{len(nodes)} nodes seen by {node.url}")
            until(lambda: coordinators(nodes, model) == [stays], 120, "one coordinates the model, the one that did first")
            until(lambda: whole(held(nodes, model)), 60, "each layer is in memory once")
        finally:
            met.set()
        assert all(answers.result() > 0 for answers in asked)
    until(lambda: all(serving(node, model) == [id_of(stays)] for node in nodes), 60, "all know who answers for it")


def serving(node: Server, model: str) -> list[str]:
    """The hosts that answer for the model, as this one sees it."""
    members = status(node)["members"]
    return [member["id"] for member in members if model in (member["facts"] or {}).get("serving", [])]
