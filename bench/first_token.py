#!/usr/bin/env python3
"""Time from process start to the first token of a streamed answer, over HTTP, as a client sees it.

    cargo build --release -p atoll
    python3 bench/first_token.py target/release/atoll --rounds 10

Each round starts a server with folders of its own, except for the cache, which is filled by a first round
that is reported apart: it compiles the plugins and unpacks the demo model. Prints one JSON object; times are
seconds from the start of the process. Standard library only; uses nothing but the loopback interface.
"""

import argparse
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

BODY = json.dumps({
    "model": "atoll-demo",
    "stream": True,
    "max_tokens": 4,
    "temperature": 0,
    "messages": [{"role": "user", "content": "Hello"}],
})
PATIENCE = 300.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_text(port: int) -> bool:
    """Asks once; true when a token's text has arrived, false when nobody answers yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
        reply = connection.getresponse()
    except ConnectionRefusedError:
        return False
    if reply.status == 503:
        return False
    if reply.status != 200:
        raise SystemExit(f"the server answered {reply.status}: {reply.read().decode()}")
    for line in reply:
        if line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                return True
    raise SystemExit("the stream ended without a token")


def measure(binary: pathlib.Path, cache: str) -> float:
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as home:
        environment = {
            **os.environ,
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_CACHE_HOME": cache,
        }
        port = free_port()
        started = time.monotonic()
        server = subprocess.Popen(
            [str(binary), "serve", "--listen", f"127.0.0.1:{port}"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            while not first_text(port):
                if server.poll() is not None:
                    raise SystemExit(f"the server stopped with {server.returncode}")
                if time.monotonic() - started > PATIENCE:
                    raise SystemExit("no answer in time")
                time.sleep(0.002)
            return time.monotonic() - started
        finally:
            server.terminate()
            server.wait(timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atoll-bench-cache-") as cache:
        cold = measure(arguments.binary, cache)
        warm = sorted(measure(arguments.binary, cache) for _ in range(arguments.rounds))
    print(json.dumps({
        "first_start_seconds": round(cold, 3),
        "start_to_first_token_seconds": round(statistics.median(warm), 3),
        "fastest_seconds": round(warm[0], 3),
        "rounds": arguments.rounds,
    }))


if __name__ == "__main__":
    main()
