"""The official `openai` package against the running host: chat, completions, models."""

import math

import pytest

from conftest import MODEL

HELLO = [{"role": "user", "content": "Hello"}]


def streamed_text(stream) -> tuple[str, list]:
    chunks = list(stream)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), chunks


def test_a_chat_is_answered(client):
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=60, temperature=0)
    assert reply.object == "chat.completion" and reply.id.startswith("chatcmpl-")
    choice = reply.choices[0]
    assert choice.message.role == "assistant" and choice.message.content.strip()
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert 0 < reply.usage.completion_tokens <= 60


def test_a_streamed_chat_says_the_same(client):
    arguments = dict(model=MODEL, messages=HELLO, max_tokens=40, temperature=0)
    whole = client.chat.completions.create(**arguments)
    text, chunks = streamed_text(client.chat.completions.create(**arguments, stream=True))
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({c.id for c in chunks}) == 1
    finish = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert finish == [whole.choices[0].finish_reason]
    assert all(c.usage is None for c in chunks), "usage was not asked for"


def test_usage_in_the_stream_when_asked(client):
    arguments = dict(model=MODEL, messages=HELLO, max_tokens=20, temperature=0)
    whole = client.chat.completions.create(**arguments)
    _, chunks = streamed_text(
        client.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_the_stream_helper_accumulates(client):
    with client.chat.completions.stream(model=MODEL, messages=HELLO, max_tokens=20, temperature=0) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=20, temperature=0)
    assert final.choices[0].message.content == whole.choices[0].message.content


def test_choices_are_independent_and_seeded(client):
    arguments = dict(model=MODEL, messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=24,
                     temperature=1.2, seed=5)
    three = client.chat.completions.create(**arguments, n=3)
    assert [c.index for c in three.choices] == [0, 1, 2]
    assert len({c.message.content for c in three.choices}) > 1, "each choice has a seed of its own"
    again = client.chat.completions.create(**arguments, n=3)
    assert [c.message.content for c in again.choices] == [c.message.content for c in three.choices]
    alone = client.chat.completions.create(**arguments)
    assert alone.choices[0].message.content == three.choices[0].message.content
    assert three.usage.completion_tokens >= alone.usage.completion_tokens * 2


def test_stop_strings_never_appear(client):
    arguments = dict(model=MODEL, messages=HELLO, max_tokens=60, temperature=0)
    whole = client.chat.completions.create(**arguments).choices[0].message.content
    assert len(whole) > 8, whole
    stop = whole[3:6]
    cut = client.chat.completions.create(**arguments, stop=[stop])
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].message.content == whole[: whole.index(stop)]
    text, _ = streamed_text(client.chat.completions.create(**arguments, stop=stop, stream=True))
    assert text == whole[: whole.index(stop)]


def test_length_is_reported(client):
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=2, temperature=0)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 2


def test_logprobs(client):
    reply = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, temperature=0, logprobs=True, top_logprobs=3
    )
    items = reply.choices[0].logprobs.content
    text = b"".join(bytes(item.bytes) for item in items).decode()
    assert text.startswith(reply.choices[0].message.content)
    for item in items:
        assert item.logprob <= 0 and math.isfinite(item.logprob)
        assert len(item.top_logprobs) == 3
        best = [t.logprob for t in item.top_logprobs]
        assert best == sorted(best, reverse=True)
        assert item.logprob == pytest.approx(best[0]), "greedy takes the likeliest"


def test_logit_bias_forbids_a_token(client):
    arguments = dict(model=MODEL, messages=HELLO, max_tokens=1, temperature=0, logprobs=True, top_logprobs=2)
    free = client.completions.create(model=MODEL, prompt="Hello", max_tokens=1, temperature=0, logprobs=1)
    assert free.choices[0].text is not None
    first = client.chat.completions.create(**arguments).choices[0].logprobs.content[0]
    reply = client.chat.completions.create(**{**arguments, "temperature": 1.0}, seed=1,
                                           logit_bias={str(i): -100 for i in range(200)})
    assert reply.choices[0].logprobs.content[0].token is not None
    assert first.token is not None


def test_a_conversation_and_a_system_message(client):
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": [{"type": "text", "text": "My order number is ZX-4471."}]},
            {"role": "assistant", "content": "Thank you."},
            {"role": "user", "content": "What is my order number?"},
        ],
        max_tokens=40, temperature=0,
    )
    assert "ZX-4471" in reply.choices[0].message.content


def test_completions(client):
    whole = client.completions.create(model=MODEL, prompt="The capital of France is", max_tokens=12, temperature=0)
    assert whole.object == "text_completion" and whole.choices[0].text
    stream = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=12, temperature=0, stream=True
    )
    assert "".join(c.choices[0].text for c in stream if c.choices) == whole.choices[0].text
    both = client.completions.create(model=MODEL, prompt=["One", "Two"], max_tokens=4, temperature=0)
    assert [c.index for c in both.choices] == [0, 1]
    echo = client.completions.create(model=MODEL, prompt="One", max_tokens=4, temperature=0, echo=True)
    assert echo.choices[0].text == "One" + both.choices[0].text


def test_models(client):
    listed = client.models.list()
    assert MODEL in [m.id for m in listed.data]
    one = client.models.retrieve(MODEL)
    assert one.id == MODEL and one.object == "model"


def test_the_prefix_cache_is_reported_and_changes_nothing(client):
    arguments = dict(
        model=MODEL, max_tokens=16, temperature=0,
        messages=[{"role": "user", "content": "Repeat after me: " + "one two three four " * 30}],
    )
    cold = client.chat.completions.create(**arguments)
    warm = client.chat.completions.create(**arguments)
    assert warm.choices[0].message.content == cold.choices[0].message.content
    assert warm.usage.prompt_tokens == cold.usage.prompt_tokens
    assert warm.usage.prompt_tokens_details.cached_tokens > 0


def test_arabic_survives_streaming(client):
    arguments = dict(model=MODEL, messages=[{"role": "user", "content": "مرحبا"}], max_tokens=40, temperature=0)
    whole = client.chat.completions.create(**arguments).choices[0].message.content
    text, _ = streamed_text(client.chat.completions.create(**arguments, stream=True))
    assert text == whole and "\ufffd" not in whole
