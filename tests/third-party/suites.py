"""Runs the suites against one server and says how many of their tests passed, failed and were skipped."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "third-party"
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from conftest import MODEL, Server  # noqa: E402

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
RESULTS = TARGET / "third-party-results"


def python_tests(folder: str):
    def run(env: dict) -> dict[str, tuple[int, int, int]]:
        report = RESULTS / f"{folder}.xml"
        # No project settings: the suites bring their own.
        command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(HERE / folder), str(HERE / folder),
                   "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session",
                   "--timeout", "300", f"--junitxml={report}"]
        with open(RESULTS / f"{folder}.log", "w") as log:
            subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        counts: dict[str, list[int]] = {}
        for case in xml.parse(report).iter("testcase"):
            group = case.get("classname", "").rsplit(".", 1)[-1]
            column = 2 if case.find("skipped") is not None else 1 if len(case) and case[0].tag in ("failure", "error") else 0
            counts.setdefault(group, [0, 0, 0])[column] += 1
            if column == 1:
                print(f"  failed: {group}::{case.get('name')}", file=sys.stderr)
        return {f"{folder}: {group}": tuple(count) for group, count in counts.items()}
    return run


def node_tests(env: dict) -> dict[str, tuple[int, int, int]]:
    if not shutil.which("node"):
        return {"ai-sdk: no Node.js on this machine": (0, 0, 1)}
    command = ["node", "--test", "--test-reporter=tap", "ai-sdk.test.js"]
    reply = subprocess.run(command, cwd=TARGET / "third-party-js", env=env, capture_output=True, text=True)
    (RESULTS / "ai-sdk.log").write_text(reply.stdout + reply.stderr)
    counts: dict[str, list[int]] = {}
    for ok, name in re.findall(r"^(ok|not ok) \d+ - (.*)$", reply.stdout, re.MULTILINE):
        group = name.split(":")[0]
        counts.setdefault(group, [0, 0, 0])[ok != "ok"] += 1
        if ok != "ok":
            print(f"  failed: {name}", file=sys.stderr)
    return {f"ai-sdk: {group}": tuple(count) for group, count in counts.items()}


def description(api: str):
    def run(env: dict) -> dict[str, tuple[int, int, int]]:
        command = [sys.executable, str(HERE / "openapi" / "run.py"), api]
        reply = subprocess.run(command, env=env, capture_output=True, text=True)
        log = reply.stdout + reply.stderr
        (RESULTS / f"{api}-description.log").write_text(log)
        cases = re.search(r"(\d+) generated", log)
        found = re.search(r"(\d+) found", log)
        total, failed = (int(match.group(1)) if match else 0 for match in (cases, found))
        return {f"{api} description: requests, distinct findings": (total, failed, 0)}
    return run


SUITES = {
    "langchain": python_tests("langchain"),
    "litellm": python_tests("litellm"),
    "ai-sdk": node_tests,
    "openai-description": description("openai"),
    "anthropic-description": description("anthropic"),
}


def main() -> int:
    wanted = sys.argv[1:] or list(SUITES)
    unknown = set(wanted) - set(SUITES)
    if unknown:
        print(f"no suite {sorted(unknown)}; there are {list(SUITES)}", file=sys.stderr)
        return 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    server = Server()
    env = {**os.environ, "ATOLL_URL": server.url, "ATOLL_MODEL": MODEL, "ATOLL_WORK": str(RESULTS),
           # LiteLLM asks the network for prices otherwise, and LangSmith for traces.
           "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
    rows = {}
    try:
        for name in wanted:
            rows |= SUITES[name](env)
            if server.process.poll() is not None:
                print(f"the server ended during {name}:\n{server.log()[-4000:]}", file=sys.stderr)
                return 1
    finally:
        (RESULTS / "server.log").write_text(server.log())
        server.stop()
    print("| suite | passed | failed | skipped |\n|---|---:|---:|---:|")
    for name, (passed, failed, skipped) in rows.items():
        print(f"| {name} | {passed} | {failed} | {skipped} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
