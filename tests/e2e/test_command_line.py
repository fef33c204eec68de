"""The command line as a newcomer uses it."""

import os
import subprocess

import pytest

from conftest import MODEL, ROOT, binary
from hub import Hub


@pytest.fixture()
def home(tmp_path):
    return {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_DATA_HOME": str(tmp_path / "d"),
            "XDG_CACHE_HOME": str(tmp_path / "k")}


def atoll(*args, env, stdin: str = "", timeout: int = 120):
    return subprocess.run([str(binary()), *args], input=stdin, capture_output=True, text=True, env=env, timeout=timeout)


def test_run_answers_on_standard_output(home):
    done = atoll("run", MODEL, "Hello", "--max-tokens", "40", env=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_run_without_a_model_uses_the_demo(home):
    done = atoll("run", env=home, stdin="Hello\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_models_lists_the_demo(home):
    done = atoll("models", env=home)
    assert done.returncode == 0 and MODEL in done.stdout


def test_plugins_lists_the_dialect(home):
    done = atoll("plugins", env=home)
    assert done.returncode == 0 and "openai" in done.stdout and "/v1/chat/completions" in done.stdout


def test_a_wide_bind_is_refused_with_the_way_out(home):
    done = atoll("serve", "--listen", "0.0.0.0:0", env=home)
    assert done.returncode != 0 and "--insecure" in done.stderr


def test_an_unknown_model_says_what_there_is(home):
    done = atoll("run", "no-such-model", "Hello", env=home)
    assert done.returncode != 0 and MODEL in done.stderr


def test_help_teaches(home):
    done = atoll("--help", env=home)
    assert done.returncode == 0
    for word in ("serve", "run", "models", "plugins"):
        assert word in done.stdout


def test_pull_fetches_a_model_and_says_where_it_is(home, tmp_path):
    hub = Hub("reef/tiny", ROOT / "tests/fixtures/models/llama-f32-tied")
    env = {**home, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    try:
        models = tmp_path / "models"
        done = atoll("pull", "reef/tiny", "--models", str(models), env=env)
        assert done.returncode == 0, done.stderr
        assert str(models / "reef" / "tiny") in done.stdout
        assert "reef/tiny" in atoll("models", "--models", str(models), env=env).stdout
        again = atoll("pull", "reef/tiny", "--models", str(models), env=env)
        assert "up to date" in again.stdout and len(hub.ranges) == 1
        none = atoll("pull", "reef/none", "--models", str(models), env=env)
        assert none.returncode != 0 and "HF_TOKEN" in none.stderr
        offline = atoll("pull", "reef/tiny", env={**env, "HF_HUB_OFFLINE": "1"})
        assert offline.returncode != 0 and "offline" in offline.stderr
    finally:
        hub.stop()
