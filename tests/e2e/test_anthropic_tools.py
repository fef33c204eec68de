"""Tools, thinking and structured output with the official `anthropic` package."""

import json

import anthropic
import pytest

from conftest import MODEL, Server

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather for a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string", "description": "Name of the city"}}, "required": ["city"]},
}
TIME = {
    "name": "get_time",
    "description": "Get the current time in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK = [{"role": "user", "content": "What is the weather in Tunis?"}]


@pytest.fixture()
def claude(server: Server) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=120)


def ask(**change) -> dict:
    return {"model": MODEL, "max_tokens": 120, "messages": ASK, "tools": [WEATHER], "extra_body": {"temperature": 0}, **change}


def call_of(message: anthropic.types.Message):
    calls = [block for block in message.content if block.type == "tool_use"]
    assert len(calls) == 1, message
    return calls[0]


def test_a_tool_is_called_and_its_result_is_used(claude):
    reply = claude.messages.create(**ask())
    call = call_of(reply)
    assert reply.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Tunis"}) and call.id.startswith("toolu_")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": '{"temperature": 31, "condition": "sunny"}'}]}
    messages = [*ASK, {"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]
    final = claude.messages.create(**ask(messages=messages))
    text = "".join(block.text for block in final.content if block.type == "text")
    assert final.stop_reason == "end_turn" and "31" in text
    mixed = [*ASK, {"role": "assistant", "content": reply.content},
             {"role": "user", "content": [{**result, "is_error": False}, {"type": "text", "text": "And what is the weather in Sousse?"}]}]
    assert claude.messages.create(**ask(messages=mixed)).content


def test_a_streamed_call_adds_up(claude):
    whole = call_of(claude.messages.create(**ask()))
    fragments, started = [], None
    with claude.messages.stream(**ask()) as stream:
        for event in stream:
            if event.type == "content_block_start" and event.content_block.type == "tool_use":
                started = event.content_block
            if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                fragments.append(event.delta.partial_json)
        final = stream.get_final_message()
    assert started.name == "get_weather" and started.input == {}
    assert json.loads("".join(fragments)) == whole.input == call_of(final).input
    assert len(fragments) > 1, "arguments come as they are written"
    assert final.stop_reason == "tool_use"


def test_tool_choice_is_enforced(claude):
    story = [{"role": "user", "content": "Tell me a story."}]
    forced = claude.messages.create(**ask(messages=story, tools=[WEATHER, TIME], tool_choice={"type": "tool", "name": "get_time"}))
    assert call_of(forced).name == "get_time" and isinstance(call_of(forced).input["city"], str)
    any_of = claude.messages.create(**ask(messages=story, tools=[WEATHER, TIME], tool_choice={"type": "any", "disable_parallel_tool_use": True}))
    assert call_of(any_of).name in ("get_weather", "get_time")
    none = claude.messages.create(**ask(tool_choice={"type": "none"}))
    assert all(block.type == "text" for block in none.content)


def test_counting_includes_tools(claude):
    counted = claude.messages.count_tokens(model=MODEL, messages=ASK, tools=[WEATHER, TIME]).input_tokens
    usage = claude.messages.create(**ask(tools=[WEATHER, TIME], max_tokens=1)).usage
    assert counted == usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    assert counted > claude.messages.count_tokens(model=MODEL, messages=ASK).input_tokens + 40


def test_thinking_blocks_are_signed_and_may_come_back(claude):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    reply = claude.messages.create(**ask(tools=anthropic.NOT_GIVEN, thinking=thinking, max_tokens=1200))
    first = reply.content[0]
    assert first.type == "thinking" and first.thinking.strip() and first.signature
    assert any(block.type == "text" and block.text.strip() for block in reply.content[1:])
    again = [*ASK, {"role": "assistant", "content": reply.content}, {"role": "user", "content": "Thank you."}]
    assert claude.messages.create(**ask(tools=anthropic.NOT_GIVEN, messages=again, thinking=thinking, max_tokens=1200)).content
    with claude.messages.stream(**ask(tools=anthropic.NOT_GIVEN, thinking=thinking, max_tokens=1200)) as stream:
        final = stream.get_final_message()
    assert final.content[0].thinking == first.thinking and final.content[0].signature
    changed = [*ASK, {"role": "assistant", "content": [{**first.model_dump(), "thinking": "Say yes."}, *reply.content[1:]]},
               {"role": "user", "content": "Thank you."}]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        claude.messages.create(**ask(tools=anthropic.NOT_GIVEN, messages=changed, thinking=thinking, max_tokens=1200))
    omitted = claude.messages.create(**ask(tools=anthropic.NOT_GIVEN, max_tokens=1200, thinking={**thinking, "display": "omitted"}))
    assert omitted.content[0].thinking == "" and omitted.content[0].signature
    without = claude.messages.create(**ask(tools=anthropic.NOT_GIVEN))
    assert all(block.type == "text" for block in without.content)


def test_a_schema_is_followed(claude):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}, "required": ["city", "degrees"], "additionalProperties": False}
    text = 'Extract the city and the degrees from: "It is 31 degrees in Tunis today." Return JSON.'
    reply = claude.messages.create(**ask(messages=[{"role": "user", "content": text}], tools=anthropic.NOT_GIVEN, output_config={"format": {"type": "json_schema", "schema": schema}}))
    answer = json.loads("".join(block.text for block in reply.content))
    assert set(answer) == {"city", "degrees"} and isinstance(answer["degrees"], int)
