"""Redaction under two checks that other people wrote, against the real gateway.

    python3 -m venv target/third-party && target/third-party/bin/pip install pii-leak-benchmark==0.6.0 chunk-invariance==0.2.0
    target/third-party/bin/python tests/third-party/redaction.py

CARGO names another cargo than the one in the path.

`pii-leak-benchmark` sends values through the gateway, looks for them in what reaches its own model server, and
compares what comes back. `chunk-invariance` cuts an answer in every way into two pieces and compares what the client reads.
Both need to be the model: `relay::serve` of the gateway's tests is the gateway with a model whose words they say.
"""

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import chunk_invariance
import pii_leak_benchmark

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The benchmark's values are nobody's: a social security number of a range that is never issued. The default
# rules know that and leave it alone, so a rule for it is added, as somebody would for a number of their own.
SETTINGS = {
    "custom": [{"name": "UNISSUED_SSN", "label": "ID", "pattern": r"\b9\d\d-[0-4]\d-\d{4}\b"}],
}


@contextlib.contextmanager
def gateway(upstream: str):
    """The gateway in front of `upstream`; gives its base URL."""
    with tempfile.TemporaryDirectory() as folder:
        address, settings = pathlib.Path(folder, "address"), pathlib.Path(folder, "settings.json")
        settings.write_text(json.dumps(SETTINGS))
        environment = {
            **os.environ,
            "ATOLL_RELAY_UPSTREAM": upstream,
            "ATOLL_RELAY_ADDRESS": str(address),
            "ATOLL_RELAY_SETTINGS": str(settings),
        }
        command = [os.environ.get("CARGO", "cargo"), "test", "--quiet", "-p", "atoll-gateway", "--test", "http", "relay::serve", "--", "--ignored"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 900
            while not address.exists() or not address.read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the gateway did not start")
                time.sleep(0.1)
            yield f"http://{address.read_text()}/v1"
        finally:
            process.stdin.close()
            process.wait(timeout=60)


def leaks() -> bool:
    port = 8765
    with gateway(f"127.0.0.1:{port}") as base:
        report = pii_leak_benchmark.run_http_conformance(
            base, api_key="unused", model="scripted", implementation_name="atoll", implementation_version="0.1.0",
            iterations=3, capture_host="127.0.0.1", capture_port=port,
            redaction_claim={
                "vendor_claims_pii_redaction": "claimed", "configured_for_this_run": True,
                "claim_citation": "https://github.com/atoll-host/atoll/blob/main/docs/redaction.md",
                "configuration_reference": "[[filter]] plugin = \"redact-pii\"",
            },
        )
    print("pii-leak-benchmark", pii_leak_benchmark.__version__)
    for name, check in report["checks"].items():
        print(f"  {name}: {check.get('passed', check.get('status', 'measured'))}")
    print(f"  passed: {report['passed']}, outcome: {report['outcome']}")
    return bool(report["passed"])


class Model(http.server.BaseHTTPRequestHandler):
    """Says the pieces it is told to say and remembers what it was asked."""

    pieces: list[str] = []
    asked: list[str] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Model.asked.append(body["messages"][-1]["content"])
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in Model.pieces]
        data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, *_):
        pass


PROMPT = "I am alice@example.com, CIN 09876543; pay TN59 1000 6035 1835 9847 8831."


def stream(base: str, pieces) -> list[str]:
    """What a client reads when the model says `pieces`."""
    Model.pieces = list(pieces)
    body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    request = urllib.request.Request(f"{base}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    out = []
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                out += [choice["delta"].get("content") or "" for choice in choices]
    return out


def splits() -> bool:
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    print("chunk-invariance", getattr(chunk_invariance, "__version__", "0.2.0"))
    with gateway(f"127.0.0.1:{upstream.server_port}") as base:
        stream(base, ["Hello"])
        masked = Model.asked[-1]
        assert "alice" not in masked and "PII_EMAIL_1_" in masked, masked
        restored = "".join(stream(base, [masked]))
        assert restored == PROMPT, restored
        email = next(word.strip(",;.") for word in masked.split() if word.startswith("PII_EMAIL"))
        for text, how in [
            (masked, "all-two-part"),
            (f"PPII_{email}{email}x {email[:-1]} \\", "all-two-part"),
            (email, 3),
        ]:
            tried = chunk_invariance.assert_chunk_invariant(
                lambda chunks: stream(base, chunks), lambda whole: "".join(stream(base, [whole])), text, splits=how,
            )
            print(f"  {tried} splits of {len(text)} characters: the same")
    upstream.shutdown()
    return True


if __name__ == "__main__":
    outcomes = [leaks(), splits()]
    sys.exit(0 if all(outcomes) else 1)
