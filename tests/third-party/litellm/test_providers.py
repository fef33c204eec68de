"""LiteLLM through its three providers, as people route between hosts with it."""

import asyncio
import json
import os

import litellm
import pytest

URL, MODEL = os.environ["ATOLL_URL"], os.environ["ATOLL_MODEL"]
PROVIDERS = {
    "openai": {"model": f"openai/{MODEL}", "api_base": f"{URL}/v1", "api_key": "unused"},
    "anthropic": {"model": f"anthropic/{MODEL}", "api_base": URL, "api_key": "unused"},
    "ollama_chat": {"model": f"ollama_chat/{MODEL}", "api_base": URL},
}
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.",
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
ASK = [{"role": "user", "content": "What is the weather in Tunis?"}]


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return PROVIDERS[request.param]


def test_completion(provider):
    reply = litellm.completion(messages=HELLO, max_tokens=32, temperature=0, **provider)
    assert reply.choices[0].message.content.strip() and reply.choices[0].finish_reason in ("stop", "length")
    assert reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0


def test_stream_equals_the_whole(provider):
    whole = litellm.completion(messages=HELLO, max_tokens=32, temperature=0, **provider).choices[0].message.content
    chunks = list(litellm.completion(messages=HELLO, max_tokens=32, temperature=0, stream=True, **provider))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def test_asynchronous(provider):
    reply = asyncio.run(litellm.acompletion(messages=HELLO, max_tokens=16, temperature=0, **provider))
    assert reply.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_and_its_result(provider, stream):
    reply = litellm.completion(messages=ASK, tools=[WEATHER], temperature=0, max_tokens=128, stream=stream, **provider)
    if stream:
        reply = litellm.stream_chunk_builder(list(reply), messages=ASK)
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "tool_calls"
    (call,) = message.tool_calls
    assert call.function.name == "get_weather" and "city" in json.loads(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"}
    again = litellm.completion(messages=[*ASK, message.model_dump(), result], tools=[WEATHER], temperature=0, max_tokens=64, **provider)
    assert again.choices[0].message.content


def test_errors_keep_their_kind(provider):
    missing = {**provider, "model": provider["model"].replace(MODEL, "no-such-model")}
    with pytest.raises((litellm.NotFoundError, litellm.APIConnectionError)):
        litellm.completion(messages=HELLO, max_tokens=8, num_retries=0, **missing)


def test_a_schema(provider):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    reply = litellm.completion(messages=ASK, response_format=form, temperature=0, max_tokens=64, **provider)
    assert set(json.loads(reply.choices[0].message.content)) == {"city"}


def test_embeddings():
    for model in (f"openai/{MODEL}", f"ollama/{MODEL}"):
        base = f"{URL}/v1" if model.startswith("openai") else URL
        reply = litellm.embedding(model=model, input=["a", "b"], api_base=base, api_key="unused")
        assert len(reply.data) == 2 and len(reply.data[0]["embedding"]) > 8
