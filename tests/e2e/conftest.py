"""Starts the real `atoll` binary for the tests, with the demo model it embeds."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = "atoll-demo"

# Compiled plugins, for all servers of a run: the first one compiles them, which takes seconds.
CACHE = tempfile.TemporaryDirectory(prefix="atoll-e2e-cache-")
os.environ.setdefault("ATOLL_E2E_CACHE", CACHE.name)


def binary() -> pathlib.Path:
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = pathlib.Path(os.environ.get("ATOLL_BINARY", target / "debug" / "atoll"))
    if not path.exists():
        pytest.exit(f"{path} does not exist; build it with: cargo build -p atoll", returncode=2)
    return path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One running host with folders of its own."""

    def __init__(
        self, *args: str, env: dict[str, str] | None = None, host: str = "127.0.0.1", prefix: tuple[str, ...] = (),
        inside: bool = False,
    ):
        self.port = free_port()
        self.prefix = prefix
        self.url = f"http://{host}:{self.port}"
        self.home = tempfile.TemporaryDirectory(prefix="atoll-e2e-")
        self.log_path = pathlib.Path(self.home.name) / "server.log"
        environment = {
            **os.environ,
            "XDG_CONFIG_HOME": f"{self.home.name}/config",
            "XDG_DATA_HOME": f"{self.home.name}/data",
            "XDG_STATE_HOME": f"{self.home.name}/state",
            "XDG_CACHE_HOME": os.environ["ATOLL_E2E_CACHE"],
            # Hosts of one network find each other; these are alone unless a test says otherwise.
            "ATOLL_CLUSTER": "off",
            **(env or {}),
        }
        local = ["--listen", f"127.0.0.1:{self.port}"] if inside else []
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*prefix, str(binary()), "serve", "--listen", f"{host}:{self.port}", *local, *args],
                stdout=log, stderr=subprocess.STDOUT, env=environment,
            )
        try:
            self.wait_ready()
        except BaseException:
            # Nobody else will: there is no server to call `stop` on.
            self.process.kill()
            raise

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_ready(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server stopped with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as reply:
                    if reply.status == 200:
                        return
            time.sleep(0.05)
        raise AssertionError(f"the server was not ready after {seconds} s:\n{self.log()}")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of the metric's samples that have these labels; fails when there is none."""
        _, text = self.get("/metrics")
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.split("{")[0].split(" ")[0] == name and all(f'{key}="{value}"' in line for key, value in labels.items())
        ]
        assert values, f"no metric {name} in:\n{text}"
        return sum(values)

    def openai(self, **kwargs) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, timeout=120, **kwargs)

    def async_openai(self, **kwargs) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, timeout=300, **kwargs)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.home.cleanup()
        return code


@pytest.fixture(scope="session")
def server():
    instance = Server()
    yield instance
    instance.stop()


@pytest.fixture()
def client(server: Server) -> openai.OpenAI:
    return server.openai()


def until(condition, seconds: float = 30, what: str = "the condition"):
    """Polls `condition` until it is true; a bound on patience, not a measurement."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {seconds} s")
