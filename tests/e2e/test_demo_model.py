"""What a newcomer sees: the embedded model answers sensibly, or says that it cannot, and the same everywhere.

Greedy throughout, so that one prompt has one answer: from `atoll run`, from the API, and streamed.
"""

import json
import os
import re
import subprocess

import pytest

from conftest import MODEL, binary

#: Ordinary first messages, and what a sensible answer or an honest refusal must contain (a regular expression).
FIRST_MESSAGES = [
    ("Hello", r"(?i)\bhello|\bhi\b"),
    ("Who are you and what can you do?", r"atoll-demo"),
    ("What is the capital of France?", r"Paris"),
    ("What is 2+2?", r"\b4\b"),
    ("Tell me a short story about a fox who lives near the sea", r"(?s)fox.+\."),
    ("Can you write python code?", r"(?i)cannot|beyond me|can't"),
    ("Who won the football match last night?", r"(?i)do not know|cannot|don't know"),
    ("How do I add a plugin?", r"(?i)\.wasm"),
    ("Repeat after me: The quick brown fox jumps over the lazy dog.", r"^The quick brown fox jumps over the lazy dog\.$"),
    ("Please write a short email to Ahmed (ahmed.bensalah@topnet.tn) telling him that his order TN-99812 has shipped.",
     r"(?s)ahmed\.bensalah@topnet\.tn.*TN-99812"),
    ("Bonjour, comment ça va ?", r"(?i)bonjour|salut|bien|merci"),
    ("مرحبا، من أنت؟", r"atoll-demo|نموذج"),
]


def ask(client, messages, **more):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=300, **more)


def streamed(client, messages) -> tuple[str, str]:
    text, reason = "", None
    for chunk in ask(client, messages, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    return {**os.environ, "XDG_CONFIG_HOME": f"{folder}/c", "XDG_DATA_HOME": f"{folder}/d", "XDG_CACHE_HOME": f"{folder}/k"}


@pytest.mark.parametrize(("message", "expected"), FIRST_MESSAGES, ids=[m[:24] for m, _ in FIRST_MESSAGES])
def test_first_messages_are_answered_sensibly_and_alike(client, home, message, expected):
    run = subprocess.run([str(binary()), "run", MODEL, message, "--temperature", "0"], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, env=home, timeout=300)
    assert run.returncode == 0, run.stderr
    in_terminal = run.stdout.removesuffix("\n")
    assert re.search(expected, in_terminal), in_terminal
    whole = ask(client, message).choices[0]
    assert whole.finish_reason == "stop", "it stops by itself"
    assert whole.message.content == in_terminal
    assert streamed(client, message) == (in_terminal, "stop")


def test_an_opaque_token_is_copied_letter_for_letter(client):
    for message in (
        "Repeat exactly: PII_EMAIL_1_k7q",
        "My email is PII_EMAIL_1_k7q. Please repeat my email address.",
        "Please write a short email to PII_PERSON_1_k7q (PII_EMAIL_1_k7q) telling him that his order TN-99812 has shipped.",
        "اكتب رسالة قصيرة إلى PII_PERSON_1_k7q بريده PII_EMAIL_1_k7q لتأكيد الموعد",
    ):
        text, reason = streamed(client, message)
        assert reason == "stop"
        wanted = set(re.findall(r"PII_[A-Z]+_1_k7q", message))
        assert set(re.findall(r"PII_\w+", text)) == wanted, text


def test_it_remembers_what_it_was_told(client):
    messages = [{"role": "user", "content": "Hi, I'm Ferdinand."}]
    messages.append({"role": "assistant", "content": ask(client, messages).choices[0].message.content})
    messages.append({"role": "user", "content": "What's my name?"})
    assert "Ferdinand" in ask(client, messages).choices[0].message.content


def test_a_json_answer_without_being_forced(client):
    reply = ask(client, "Put PII_EMAIL_1_k7q and PII_PHONE_2_k7q into a JSON object with the keys email and phone.")
    assert json.loads(reply.choices[0].message.content) == {"email": "PII_EMAIL_1_k7q", "phone": "PII_PHONE_2_k7q"}
