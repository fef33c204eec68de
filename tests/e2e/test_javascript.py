"""The official JavaScript packages: installs them beside the build and runs their suites with Node's own runner."""

import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import MODEL, ROOT, Server

HERE = pathlib.Path(__file__).parent / "js"


@pytest.fixture(scope="session")
def packages() -> pathlib.Path:
    """A folder with the suites and the packages of their lock file."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed, so the JavaScript clients are not tested (Node.js 20 or newer has both)")
    folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "e2e-js"
    folder.mkdir(parents=True, exist_ok=True)
    for path in HERE.iterdir():
        if path.suffix in (".js", ".json"):
            shutil.copy(path, folder)
    lock = (HERE / "package-lock.json").read_text()
    installed = folder / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock:
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        installed.write_text(lock)
    return folder


@pytest.mark.parametrize("suite", sorted(path.name for path in HERE.glob("*.test.js")))
def test_the_suite_passes(server: Server, packages: pathlib.Path, suite: str):
    env = {**os.environ, "ATOLL_URL": server.url, "ATOLL_MODEL": MODEL}
    done = subprocess.run(["node", "--test", suite], cwd=packages, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
