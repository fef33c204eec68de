"""Scheduling strategies behind the real server: who goes next, swapped by the configuration file."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import time

import pytest

from conftest import MODEL, Server, until


class Configured:
    """A server whose configuration file the test rewrites."""

    def __init__(self, folder: pathlib.Path, text: str = ""):
        self.file = folder / "config.toml"
        self.file.write_text(text)
        self.server = Server("--config", str(self.file))

    def standing(self) -> dict:
        status, body = self.server.get("/atoll/v1/plugins")
        assert status == 200
        return json.loads(body)["strategies"]

    def wait_for(self, kind: str, text: str) -> dict:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            standing = self.standing()[kind]
            if standing["in_force"].startswith(text):
                return standing
            time.sleep(0.1)
        raise AssertionError(f"{text} is not in force: {self.standing()}\n{self.server.log()}")


@pytest.fixture()
def configured(tmp_path):
    running = Configured(tmp_path)
    yield running
    running.server.stop()


def ask(server: Server, prompt: str) -> str:
    with server.openai() as client:
        chunks = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True, temperature=0, max_tokens=24,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_strategies_are_swapped_under_load_and_change_no_answer(configured):
    server = configured.server
    assert configured.standing()["scheduling"]["in_force"].startswith("first come, first served")
    expected = ask(server, "What is a dialect?")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for strategy in ["fair", "shortest-first", "priority", "fcfs"]:
            configured.file.write_text(f'[scheduling]\nstrategy = "{strategy}"\n')
            answers = [pool.submit(ask, server, "What is a dialect?") for _ in range(12)]
            standing = configured.wait_for("scheduling", strategy)
            assert [answer.result() for answer in answers] == [expected] * 12
            assert (standing["problem"], standing["faults"]) == (None, 0)
    # Each decided something, and none failed.
    assert configured.standing()["scheduling"]["faults"] == 0


def test_a_strategy_that_is_not_there_is_reported_and_stops_nobody(configured):
    configured.file.write_text('[scheduling]\nstrategy = "fare"\n[placement]\nstrategy = "fcfs"\n')
    deadline = time.monotonic() + 30
    while configured.standing()["scheduling"]["wanted"] != "fare" and time.monotonic() < deadline:
        time.sleep(0.1)
    standing = configured.standing()
    assert "`fare`" in standing["scheduling"]["problem"]
    assert "not a placement strategy" in standing["placement"]["problem"]
    assert ask(configured.server, "Hello")


def test_a_configuration_that_comes_later_is_read():
    """Where `atoll plugin add` says that it belongs; the server was started without one."""
    server = Server()
    try:
        file = pathlib.Path(server.home.name) / "config" / "atoll" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('[scheduling]\nstrategy = "fair"\n')

        def in_force() -> bool:
            return json.loads(server.get("/atoll/v1/plugins")[1])["strategies"]["scheduling"]["in_force"].startswith("fair")

        until(in_force, what="the strategy of the new file")
    finally:
        server.stop()
