"""How long hosts take to find each other with no arguments.

    target/e2e-venv/bin/python bench/discovery.py

As root: each host is in a network namespace of its own, behind a switch; nothing leaves the machine. Hosts are started one
after the other; for 2, 3 and 5 of them it prints the seconds from the moment that the last one answers its port to the
moment that each sees all, ready for work. A host joins its pool before it answers, so a small number means that it had
found the others by then; the column beside it counts from the start of its process, compiled plugins and all.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from conftest import Server, until  # noqa: E402
from pool import CACHE, ready  # noqa: E402
from test_cluster_network import SUBNET, Network  # noqa: E402


def main() -> None:
    network = Network()
    hosts: list[Server] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "config.toml"
            config.write_text("[cluster]\nprobe = false\n")
            print("hosts  after the last answers  after the last began")
            # The first compiles the plugins that all share.
            for count in range(1, 6):
                namespace, began = network.plug(count), time.monotonic()
                env = {"ATOLL_CONFIG": str(config), "ATOLL_CLUSTER": "", "ATOLL_THREADS": "1", "XDG_CACHE_HOME": CACHE.name}
                hosts.append(Server(
                    "--insecure", env=env, host=f"{SUBNET}.{count}", prefix=("ip", "netns", "exec", namespace), inside=True,
                ))
                answers = time.monotonic()
                for host in hosts:
                    until(lambda: len(ready(host)) == count, 60, f"{host.url} sees {count} hosts")
                done = time.monotonic()
                if count in (2, 3, 5):
                    print(f"{count:5}  {done - answers:20.2f} s  {done - began:18.2f} s")
    finally:
        for host in hosts:
            host.stop()
        network.remove()


if __name__ == "__main__":
    main()
