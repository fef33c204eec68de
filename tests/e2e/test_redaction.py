"""The redaction filter before the demo model: what the model is given, what the client gets, what is written down."""

import json
import subprocess

import openai
import pytest

from conftest import MODEL, Server, binary

CIN = "09876543"
IBAN = "TN٥٩ ١٠٠٠ ٦٠٣٥ ١٨٣٥ ٩٨٤٧ ٨٨٣١"
# Shaped like a key, and nobody's; in two pieces so that scanners leave this file alone.
KEY = "gh" + "p_0123456789abcdefghijABCDEFGHIJ012345"
LETTER = f"My CIN is {CIN}, my IBAN is {IBAN} and my key is {KEY}."
SECRETS = [CIN, IBAN, KEY]

CONFIG = """
[[filter]]
plugin = "redact-pii"
settings = { actions = { US_SSN = "block" } }

[audit]
file = "audit.jsonl"
required = true
"""


@pytest.fixture(scope="module")
def redacting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redaction")
    (folder / "config.toml").write_text(CONFIG)
    instance = Server("--config", str(folder / "config.toml"), env={"RUST_LOG": "info,atoll=trace"})
    instance.audit = folder / "audit.jsonl"
    yield instance
    instance.stop()


def records(server: Server) -> list[dict]:
    return [json.loads(line) for line in server.audit.read_text().splitlines()]


def test_the_model_gets_tokens_and_the_stream_gets_values(redacting: Server):
    # `echo` makes the model's own prompt part of the answer: what it was given comes back restored.
    stream = redacting.openai().completions.create(
        model=MODEL, prompt=LETTER, max_tokens=4, temperature=0, stream=True, echo=True,
    )
    text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    assert text.startswith(f"My CIN is {CIN}, my IBAN is {IBAN} and my key is PII_SECRET_1_"), text
    assert KEY not in text, "secrets are not restored unless told so"


def test_a_chat_answer_is_restored(redacting: Server):
    stream = redacting.openai().chat.completions.create(
        model=MODEL, temperature=0, max_tokens=48, stream=True,
        messages=[{"role": "user", "content": f'Repeat after me: "{CIN} is my CIN"'}],
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert "PII_" not in text, f"a token of this request was not restored: {text}"


def test_tool_calls_in_the_history_are_read(redacting: Server):
    arguments = json.dumps({"to": "alice@example.com", "cin": CIN})
    answer = redacting.openai().chat.completions.create(
        model=MODEL, max_tokens=8, temperature=0,
        messages=[
            {"role": "user", "content": "Send the letter."},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "send_mail", "arguments": arguments}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "sent to alice@example.com"},
        ],
    )
    assert answer.choices[0].finish_reason
    paths = {f["path"] for r in records(redacting) for f in r["findings"] if f["kind"] == "EMAIL_ADDRESS"}
    assert {"messages[1].parts[0].arguments", "messages[2].parts[0].content[0]"} <= paths, paths


@pytest.mark.parametrize("ask", [
    lambda client, text: client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}]),
    lambda client, text: client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], stream=True),
    lambda client, text: client.completions.create(model=MODEL, prompt=text),
    lambda client, text: client.embeddings.create(model=MODEL, input=text),
])
def test_a_blocked_kind_is_refused_by_name_and_never_quoted(redacting: Server, ask):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(redacting.openai(), "SSN 536-90-4399")
    assert "US_SSN" in str(refused.value) and "536" not in str(refused.value)


def test_what_cannot_be_read_is_refused(redacting: Server):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    with pytest.raises(openai.BadRequestError) as refused:
        redacting.openai().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": [image]}],
        )
    assert "cannot read" in str(refused.value)


def test_neither_the_audit_nor_the_log_has_content(redacting: Server):
    redacting.openai().chat.completions.create(
        model=MODEL, max_tokens=4, messages=[{"role": "user", "content": LETTER}],
    )
    trail, log = redacting.audit.read_text(), redacting.log()
    for text, name in [(trail, "audit"), (log, "log")]:
        for secret in [*SECRETS, "alice@example.com", "536-90-4399"]:
            assert secret not in text, f"{secret} in the {name}"
    assert "PII_ID_1_" in log, "the debug view shows what the model sees"
    last = [r for r in records(redacting) if r["outcome"] == "changed"][-1]
    assert last["plugin"] == "redact-pii" and len(last["sha256"]) == 64
    assert {f["kind"] for f in last["findings"]} == {"TN_CIN", "IBAN_CODE", "GITHUB_TOKEN"}
    assert last["request"] and last["operation"] == "generate"


def run_test(*args: str, stdin: str = "") -> subprocess.CompletedProcess:
    command = [str(binary()), "plugin", "test", *args]
    return subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=120)


def test_plugin_test_reads_lines_and_answers_each(tmp_path):
    text = f"مرحبا CIN {CIN}"
    lines = [
        json.dumps({"id": 7, "text": text, "label": "kept out"}),
        "{broken",
        json.dumps({"id": "no-text"}),
        "",
        json.dumps({"id": None, "text": "nothing here"}),
        json.dumps({"id": "ssn", "text": "SSN 536-90-4399"}),
    ]
    settings = tmp_path / "settings.toml"
    settings.write_text('[actions]\nUS_SSN = "block"\n')
    done = run_test("redact-pii", "--jsonl", "--settings", str(settings), stdin="\n".join(lines))
    first, broken, missing, clean, blocked = map(json.loads, done.stdout.decode().splitlines())
    [finding] = first["findings"]
    found = text.encode()[finding["start"]:finding["end"]].decode()
    assert (first["id"], finding["entity"], found, finding["action"]) == (7, "TN_CIN", CIN, "pseudonymise")
    assert first["text"].startswith("مرحبا CIN PII_ID_1_")
    assert broken["id"] is None and broken["error"]["kind"] == "invalid_json"
    assert missing["id"] == "no-text" and missing["error"]["kind"] == "missing_argument"
    assert clean == {"id": None, "text": "nothing here", "findings": []}
    assert blocked["text"] is None and blocked["findings"][0]["action"] == "block" and "US_SSN" in blocked["blocked"]["message"]
    assert done.returncode == 1 and b"2 of 5 lines" in done.stderr


def test_plugin_test_says_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"entites": []}')
    for args, part in [
        (["redact-pii", "--settings", str(wrong)], "entites"),
        (["no-such-plugin"], "atoll plugin list"),
        (["openai"], "a filter is tested with text"),
    ]:
        done = run_test(*args, stdin="text")
        assert done.returncode == 1 and part in done.stderr.decode(), done.stderr
