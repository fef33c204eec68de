"""The same questions over HTTP to one host on the native kernels and to one on MLX: what is equal, and how fast.

    mlx_http.py ATOLL [MODELS_FOLDER MODEL]

ATOLL is a binary with MLX; the model is the one it embeds unless a folder of models is given. One line of JSON for each
check; ends with 1 if a check that must hold does not. Needs curl, and nothing of Python but its library.
"""

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PROMPTS = [
    "Hello",
    "What is the capital of France?",
    "Tell me a short story about a fox who lives near the sea",
    "Repeat after me: The quick brown fox jumps over the lazy dog.",
    "Name three colours",
    "Who are you?",
    "Write a sentence about rain",
    "Count from one to ten",
]


class Host:
    def __init__(self, program, executor, models="", *more):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.home = tempfile.TemporaryDirectory()
        places = {f"XDG_{kind}_HOME": f"{self.home.name}/{kind}" for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
        self.environment = os.environ | places | {"ATOLL_CLUSTER": "off"}
        self.program, self.options = program, ["--executor", executor, *(["--models", models] if models else []), *more]
        self.log = pathlib.Path(self.home.name) / "log"
        with self.log.open("wb") as log:
            command = [program, "serve", "--listen", f"127.0.0.1:{self.port}", *self.options]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(self.url("/readyz"), timeout=5):
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"the host is not ready:\n{self.log.read_text()}")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, model, prompt, tokens=48, **more):
        """An answer, through curl."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens} | more
        command = ["curl", "-sSN", "--max-time", "300", self.url("/v1/chat/completions"), "-H",
                   "content-type: application/json", "-d", json.dumps(body)]
        reply = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if not more.get("stream"):
            return json.loads(reply)
        events = [line[6:] for line in reply.splitlines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]", reply
        choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    def doctor(self):
        command = [self.program, "doctor", "--json", "--listen", "127.0.0.1:0", *self.options]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        return {finding["what"]: finding["found"] for finding in json.loads(done.stdout)}

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=60)


def text(reply):
    return reply["choices"][0]["message"]["content"]


def alike(one, other):
    """How many of the first tokens are the same, of how many, and at the first that is not, by how much log probability
    `one` preferred its token to the other's (nothing if that is not among those it names)."""
    entries = [reply["choices"][0]["logprobs"]["content"] for reply in (one, other)]
    for place, (here, there) in enumerate(zip(*entries)):
        if here["token"] != there["token"]:
            named = {top["token"]: top["logprob"] for top in here["top_logprobs"]}
            apart = round(here["logprob"] - named[there["token"]], 4) if there["token"] in named else None
            return place, max(map(len, entries)), apart
    return min(map(len, entries)), max(map(len, entries)), None


def main():
    program = sys.argv[1]
    models, model = sys.argv[2:4] if len(sys.argv) == 4 else ("", "atoll-demo")
    failed = []

    def report(check, must=None, **facts):
        print(json.dumps({"check": check} | ({} if must is None else {"holds": must}) | facts), flush=True)
        if must is False:
            failed.append(check)

    cpu, mlx = Host(program, "cpu", models), Host(program, "mlx", models)
    found = mlx.doctor()
    report("doctor", "mlx" in found["executor"], mlx=found["MLX"], executor=found["executor"])

    # Log probabilities bring the logits to the host's sampler; without them tokens are drawn on the device.
    for name, sampling in (("greedy", {"temperature": 0}), ("a seed", {"temperature": 0.8, "seed": 7, "top_p": 0.9})):
        pairs = [[host.ask(model, prompt, logprobs=True, top_logprobs=5, **sampling) for host in (cpu, mlx)]
                 for prompt in PROMPTS]
        counts = [alike(*pair) for pair in pairs]
        report(f"{name}: answers with the native kernels' tokens", equal=sum(a == b for a, b, _ in counts), of=len(counts),
               equal_tokens_of_each=[(a, b) for a, b, _ in counts],
               log_probability_apart_at_the_first_other=[apart for a, b, apart in counts if a != b])
        here = [text(mlx.ask(model, prompt, **sampling)) for prompt in PROMPTS]
        report(f"{name}: drawn on the device as by the host's sampler", equal=sum(
            answer == text(pair[1]) for answer, pair in zip(here, pairs)), of=len(PROMPTS))
        again = [text(mlx.ask(model, prompt, **sampling)) for prompt in PROMPTS]
        report(f"{name}: said again", again == here)
        streamed = [mlx.ask(model, prompt, stream=True, **sampling) for prompt in PROMPTS]
        report(f"{name}: streamed", streamed == here)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda prompt: text(mlx.ask(model, prompt, **sampling)), PROMPTS))
        report(f"{name}: eight at once", equal=sum(a == b for a, b in zip(together, here)), of=len(here))

    for name, sampling in (("greedy", {"temperature": 0}), ("temperature 0.8", {"temperature": 0.8})):
        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda prompt: mlx.ask(model, prompt, tokens=400, **sampling), PROMPTS))
        took = time.perf_counter() - began
        tokens = sum(reply["usage"]["completion_tokens"] for reply in replies)
        report(f"{name}: tokens/s of eight at once, prompts included", tokens=tokens, per_second=round(tokens / took, 1))
    codes = [host.stop() for host in (cpu, mlx)]
    report("both stop when told", codes == [0, 0])
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
