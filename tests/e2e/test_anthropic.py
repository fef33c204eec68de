"""The official `anthropic` package against the running host."""

import asyncio
import json
import re
import urllib.error
import urllib.request

import anthropic
import pytest

from conftest import MODEL, Server

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture()
def claude(server: Server) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=120)


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def ask(**change) -> dict:
    """A greedy request, the same each time."""
    return {"model": MODEL, "max_tokens": 40, "messages": HELLO, "extra_body": {"temperature": 0}, **change}


def raw(server: Server, body: dict | bytes, path: str = "/v1/messages", **headers: str):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data, headers={
        "content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "unused", **headers})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_a_message_is_answered(claude):
    reply = claude.messages.create(**ask())
    assert (reply.type, reply.role, reply.model) == ("message", "assistant", MODEL)
    assert re.fullmatch(r"msg_[0-9a-f-]+", reply.id), reply.id
    assert reply.stop_reason in ("end_turn", "max_tokens") and text_of(reply).strip()
    assert 0 < reply.usage.output_tokens <= 40


def test_a_streamed_message_says_the_same(claude):
    whole = claude.messages.create(**ask())
    with claude.messages.stream(**ask()) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == text_of(whole) == text_of(final)
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_the_events_come_in_the_documented_order(server):
    status, body, headers = raw(server, {"model": MODEL, "max_tokens": 20, "temperature": 0, "messages": HELLO, "stream": True})
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    events = []
    for event in body.strip().split("\n\n"):
        name, data = event.split("\n")
        data = json.loads(data.removeprefix("data: "))
        assert name == f"event: {data['type']}"
        events.append(data)
    names = [event["type"] for event in events]
    assert names[:2] == ["message_start", "ping"] and names[-2:] == ["message_delta", "message_stop"]
    others = [name for name in names[2:-2] if name != "ping"]
    assert others[0] == "content_block_start" and others[-1] == "content_block_stop"
    assert set(others[1:-1]) == {"content_block_delta"}
    assert events[0]["message"]["usage"]["input_tokens"] > 0


def test_the_asynchronous_client(server):
    async def both() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="unused", max_retries=0) as claude:
            whole = await claude.messages.create(**ask())
            async with claude.messages.stream(**ask()) as stream:
                streamed = "".join([text async for text in stream.text_stream])
        return text_of(whole), streamed

    whole, streamed = asyncio.run(both())
    assert whole == streamed and whole.strip()


def test_system_blocks_and_earlier_turns_are_read(claude):
    reply = claude.messages.create(**ask(
        system=[{"type": "text", "text": "You are a helpful assistant.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "My order number is ZX-4471."}]},
            {"role": "assistant", "content": "Thank you."},
            {"role": "user", "content": "What is my order number?"},
        ],
    ))
    assert "ZX-4471" in text_of(reply)


def test_a_final_assistant_turn_is_continued(claude):
    messages = [{"role": "user", "content": "My order number is ZX-4471. What is it?"},
                {"role": "assistant", "content": "Your order number is"}]
    reply = claude.messages.create(**ask(messages=messages, max_tokens=12))
    assert "ZX-4471" in text_of(reply) and not text_of(reply).startswith("Your order")


def test_stop_sequences(claude):
    whole = text_of(claude.messages.create(**ask()))
    stop = whole[3:6]
    reply = claude.messages.create(**ask(stop_sequences=["never said", stop]))
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", stop)
    assert text_of(reply) == whole[: whole.index(stop)]


def test_length_is_reported(claude):
    reply = claude.messages.create(**ask(max_tokens=2))
    assert (reply.stop_reason, reply.usage.output_tokens) == ("max_tokens", 2)


@pytest.mark.parametrize("change", [
    {},
    {"system": "You are a helpful assistant."},
    {"system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "And kind."}]},
    {"messages": [*HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "مرحبا, ça va?"}]},
    {"messages": [*HELLO, {"role": "system", "content": "Answer in one word."}]},
])
def test_counting_says_what_generation_reports(claude, change):
    counted = claude.messages.count_tokens(model=MODEL, **{"messages": HELLO, **change}).input_tokens
    usage = claude.messages.create(**ask(max_tokens=1, **change)).usage
    total = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    assert counted == total


def test_the_prefix_cache_is_reported_truthfully(claude):
    change = dict(messages=[{"role": "user", "content": "Remember these words: " + "reef tide sand wave " * 40}], max_tokens=4)
    cold = claude.messages.create(**ask(**change))
    warm = claude.messages.create(**ask(**change))
    assert text_of(warm) == text_of(cold)
    assert warm.usage.cache_read_input_tokens > 100
    total = lambda usage: usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    assert total(warm.usage) == total(cold.usage)


def test_a_prompt_is_read_ahead(claude):
    words = [{"type": "text", "text": "Remember these words: " + "gull kelp dune foam " * 40, "cache_control": {"type": "ephemeral"}}]
    change = dict(messages=[{"role": "user", "content": words}])
    ahead = claude.messages.create(**ask(max_tokens=0, **change))
    assert ahead.content == [] and (ahead.stop_reason, ahead.usage.output_tokens) == ("max_tokens", 0)
    assert ahead.usage.cache_creation_input_tokens > 100
    assert ahead.usage.cache_creation.ephemeral_5m_input_tokens == ahead.usage.cache_creation_input_tokens
    after = claude.messages.create(**ask(max_tokens=4, **change))
    assert after.usage.cache_read_input_tokens == ahead.usage.cache_read_input_tokens + ahead.usage.cache_creation_input_tokens
    assert after.content


def agent(session: str) -> dict:
    """What a coding agent sends, as far as this host can answer it without tools."""
    return {
        "model": MODEL, "max_tokens": 8, "stream": True, "temperature": 0,
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.330.{session}; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Work carefully. " * 60, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": "Today is Thursday."},
        ],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "user_1"},
    }


def test_an_agents_request_is_answered_and_its_volatile_header_does_not_defeat_the_cache(server):
    betas = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27"
    read = []
    for session in ("0e0", "d01"):
        status, body, headers = raw(server, agent(session), "/v1/messages?beta=true", **{"anthropic-beta": betas})
        assert status == 200, body
        assert "event: message_stop" in body and headers["request-id"].startswith("req_")
        start = json.loads(next(line for line in body.splitlines() if "message_start" in line and line.startswith("data"))[6:])
        read.append(start["message"]["usage"]["cache_read_input_tokens"])
    assert read[1] > 100, f"the second session finds the first one's prefix: {read}"


def test_models(claude):
    listed = [model for model in claude.models.list(limit=1)]
    assert MODEL in [model.id for model in listed]
    one = claude.models.retrieve(MODEL)
    assert (one.type, one.id, one.max_input_tokens) == ("model", MODEL, 4096)
    able = one.capabilities
    assert able.thinking.supported and able.structured_outputs.supported
    assert not (able.image_input.supported or able.batch.supported or able.server_tools.supported)
    assert one.created_at.year >= 2024 and one.lifecycle == "active"
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("no-such-model")


def error_of(caught) -> dict:
    body = caught.value.response.json()
    assert set(body) == {"type", "error", "request_id"} and body["type"] == "error"
    assert body["request_id"] == caught.value.response.headers["request-id"] == caught.value.request_id
    return body["error"]


def test_context_overflow_says_exactly_what_agents_look_for(claude):
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(**ask(messages=[{"role": "user", "content": "word " * 20000}]))
    error = error_of(caught)
    assert error["type"] == "invalid_request_error"
    assert re.fullmatch(r"prompt is too long: \d+ tokens > \d+ maximum", error["message"]), error


def test_an_unknown_model_is_not_found(claude):
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(**ask(model="no-such-model"))
    said = error_of(caught)
    assert said["type"] == "not_found_error"
    assert said["message"].startswith("model: no-such-model ") and "GET /v1/models" in said["message"]


@pytest.mark.parametrize(("change", "field"), [
    ({"max_tokens": -1}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role: "),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text: Field required"),
    ({"stop_sequences": [""]}, "stop_sequences.0: "),
    ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
    ({"tool_choice": {"type": "tool", "name": "none"}}, "tool_choice.name"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]}]}, "image"),
])
def test_what_is_wrong_is_named(claude, change, field):
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(**ask(**change))
    error = error_of(caught)
    assert error["type"] == "invalid_request_error" and field in error["message"], error


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_broken_body_is_a_400(server, body):
    status, text, _ = raw(server, body)
    assert status == 400 and json.loads(text)["error"]["type"] == "invalid_request_error"


def test_what_there_is_not_is_refused_in_this_apis_shape(server, claude):
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.batches.list()
    assert error_of(caught)["type"] == "not_found_error" and "/v1/messages/batches" in error_of(caught)["message"]
    # Nothing in the path says whose it is; a header does.
    status, text, headers = raw(server, {}, "/v1/files")
    assert status == 404 and json.loads(text)["error"]["type"] == "not_found_error"
    assert json.loads(text)["request_id"] == headers["request-id"]


def test_a_body_over_the_limit_is_413(server):
    status, text, _ = raw(server, b" " * (40 << 20))
    assert status == 413 and json.loads(text)["error"]["type"] == "request_too_large"
