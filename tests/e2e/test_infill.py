"""Filling in the middle, by a model that has tokens for it: OpenAI's and Ollama's `suffix`.

The model is a fixture with random weights whose tokenizer is given Qwen Coder's three marks, in the place of bytes that
no text has. What it writes means nothing; that it is asked with the right prompt shows in its tokens, because the same
prompt can be sent as tokens by hand.
"""

import json
import shutil

import ollama
import openai
import pytest

from conftest import MODEL, ROOT, Server

BASE = ROOT / "tests" / "fixtures" / "models" / "llama-f32-tied"
PREFIX, SUFFIX, MIDDLE = 0xF5, 0xF6, 0xF7
MARKS = {PREFIX: "<|fim_prefix|>", SUFFIX: "<|fim_suffix|>", MIDDLE: "<|fim_middle|>"}
BEFORE, AFTER = "def f(", "    return x # é"


@pytest.fixture(scope="module")
def coder(tmp_path_factory):
    models = tmp_path_factory.mktemp("coder")
    shutil.copytree(BASE, models / "coder")
    path = models / "coder" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {MARKS.get(token, text): token for text, token in vocabulary.items()}
    plain = tokenizer["added_tokens"][0]
    tokenizer["added_tokens"] = [{**plain, "id": token, "content": text} for token, text in MARKS.items()] + tokenizer["added_tokens"]
    path.write_text(json.dumps(tokenizer))
    server = Server("--models", str(models))
    yield server
    server.stop()


def by_hand(client: openai.OpenAI, before: str = BEFORE, after: str = AFTER):
    # One token per byte.
    tokens = [PREFIX, *before.encode(), SUFFIX, *after.encode(), MIDDLE]
    return client.completions.create(model="coder", prompt=tokens, max_tokens=24, temperature=0)


def test_a_suffix_makes_the_prompt_of_the_models_family(coder: Server):
    client = coder.openai()
    expected = by_hand(client)
    arguments = dict(model="coder", prompt=BEFORE, suffix=AFTER, max_tokens=24, temperature=0)
    whole = client.completions.create(**arguments)
    assert whole.choices[0].text == expected.choices[0].text and whole.choices[0].text
    assert whole.usage.prompt_tokens == expected.usage.prompt_tokens == len(BEFORE.encode()) + len(AFTER.encode()) + 3
    streamed = client.completions.create(**arguments, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed if chunk.choices) == expected.choices[0].text
    without = client.completions.create(**{**arguments, "suffix": ""})
    assert without.choices[0].text != expected.choices[0].text
    echoed = client.completions.create(**arguments, echo=True)
    assert echoed.choices[0].text == BEFORE + expected.choices[0].text


def test_no_text_can_write_a_mark(coder: Server):
    client = coder.openai()
    written = client.completions.create(model="coder", prompt=MARKS[MIDDLE], suffix=AFTER, max_tokens=4, temperature=0)
    assert written.usage.prompt_tokens == len(MARKS[MIDDLE]) + len(AFTER.encode()) + 3


def test_ollama_says_that_it_can_and_does(coder: Server):
    client = ollama.Client(host=coder.url, timeout=120)
    assert "insert" in client.show("coder").capabilities
    expected = by_hand(coder.openai()).choices[0].text
    options = {"temperature": 0, "num_predict": 24}
    whole = client.generate(model="coder", prompt=BEFORE, suffix=AFTER, options=options)
    assert whole.response == expected
    streamed = client.generate(model="coder", prompt=BEFORE, suffix=AFTER, options=options, stream=True)
    assert "".join(part.response for part in streamed) == expected


def test_a_model_without_the_marks_refuses_in_each_apis_words(coder: Server):
    with pytest.raises(openai.BadRequestError) as refused:
        coder.openai().completions.create(model=MODEL, prompt=BEFORE, suffix=AFTER)
    assert (refused.value.param, refused.value.code) == ("suffix", "unsupported_value")
    client = ollama.Client(host=coder.url, timeout=120)
    assert "insert" not in client.show(MODEL).capabilities
    with pytest.raises(ollama.ResponseError, match="does not support insert") as refused:
        client.generate(model=MODEL, prompt=BEFORE, suffix=AFTER)
    assert refused.value.status_code == 400
