"""The same server on MLX: chosen, named, and with the very tokens of the native kernels.

Needs a binary with MLX (`host/executor-mlx/prepare`; `tests/run` builds one where it can). Without one these tests are
skipped, but for what a binary without MLX says.
"""

import contextlib
import functools
import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import MODEL, Server, binary

PROMPTS = [
    "Hello",
    "What is the capital of France?",
    "Tell me a short story about a fox who lives near the sea",
    "Repeat after me: The quick brown fox jumps over the lazy dog.",
]


def doctor(*args):
    listen = [] if "--listen" in args else ["--listen", "127.0.0.1:0"]
    done = subprocess.run([str(binary()), "doctor", "--json", *listen, *args], capture_output=True, text=True, timeout=120)
    return done, {finding["what"]: finding for finding in json.loads(done.stdout)}


@functools.cache
def has_mlx() -> bool:
    _, findings = doctor()
    return "built without MLX" not in findings["MLX"]["found"]


@pytest.fixture()
def needs_mlx():
    if not has_mlx():
        pytest.skip("this binary was built without MLX")


def test_doctor_says_what_was_chosen_and_why():
    done, findings = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "because" in findings["executor"]["found"]
    assert MODEL in findings["models"]["found"]
    assert {"program", "processor", "memory", "MLX", "plugins folder", "address"} <= findings.keys()


def test_doctor_says_what_is_wrong(tmp_path):
    """Two problems, and a server of another kind on the address."""
    file = tmp_path / "file"
    file.write_text("")
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = subprocess.run([str(binary()), "doctor", "--json", "--listen", address, "--plugins", str(file)],
                              capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    problems = {finding["what"] for finding in json.loads(done.stdout) if finding["problem"]}
    assert problems == {"address", "plugins folder"}


def test_doctor_knows_a_running_server(server):
    _, findings = doctor("--listen", f"127.0.0.1:{server.port}")
    assert not findings["address"]["problem"]


def test_a_binary_without_mlx_says_how_to_get_it():
    if has_mlx():
        pytest.skip("this binary has MLX")
    done = subprocess.run([str(binary()), "serve", "--listen", "127.0.0.1:0", "--executor", "mlx"], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode != 0
    assert "host/executor-mlx/prepare" in done.stderr


def answers(server, prompts=PROMPTS):
    client = server.openai()
    texts = []
    for prompt in prompts:
        reply = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=48)
        texts.append(reply.choices[0].message.content)
    return texts


@contextlib.contextmanager
def serving(executor):
    """The same program, told what runs models."""
    server = Server("--executor", executor)
    try:
        yield server
    finally:
        assert server.stop() == 0


@pytest.mark.usefixtures("needs_mlx")
def test_greedy_answers_are_those_of_the_native_kernels():
    with serving("cpu") as native, serving("mlx") as mlx:
        expected = answers(native)
        assert any(expected) and "model loaded by MLX" not in native.log()
        assert answers(mlx) == expected
        # A second time, from the prefix cache; and all at once, in one lane.
        assert answers(mlx) == expected
        with ThreadPoolExecutor(len(PROMPTS)) as pool:
            assert [text for texts in pool.map(lambda p: answers(mlx, [p]), PROMPTS) for text in texts] == expected
        assert "executor chosen" in mlx.log() and "model loaded by MLX" in mlx.log()


@pytest.mark.usefixtures("needs_mlx")
def test_several_at_once_a_schema_and_an_embedding():
    with serving("mlx") as mlx:
        client = mlx.openai()
        reply = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Name three colours"}], n=3, max_tokens=12, seed=1)
        assert len(reply.choices) == 3
        schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"],
                  "additionalProperties": False}
        reply = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "The capital of France?"}], max_tokens=60,
            response_format={"type": "json_schema", "json_schema": {"name": "c", "schema": schema, "strict": True}})
        assert isinstance(json.loads(reply.choices[0].message.content)["city"], str)
        vector = client.embeddings.create(model=MODEL, input="a reef").data[0].embedding
        assert abs(sum(x * x for x in vector) - 1) < 1e-3


@pytest.mark.usefixtures("needs_mlx")
def test_doctor_names_mlx():
    done, findings = doctor("--executor", "mlx")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mlx-" in findings["MLX"]["found"]
    assert findings["executor"]["found"].startswith("mlx")
