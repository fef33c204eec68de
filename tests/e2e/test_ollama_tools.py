"""Tools, thinking and formats with the official `ollama` package."""

import json

import ollama
import pytest

from conftest import MODEL, Server

ASK = [{"role": "user", "content": "What is the weather in Tunis?"}]
GREEDY = {"temperature": 0, "num_predict": 200}


def get_weather(city: str) -> str:
    """Get the current weather for a city

    Args:
        city: Name of the city
    """
    return json.dumps({"temperature": 31, "condition": "sunny"})


@pytest.fixture()
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url, timeout=120)


@pytest.mark.parametrize("stream", [False, True])
def test_a_function_is_called_and_its_result_is_used(client, stream):
    reply = client.chat(model=MODEL, messages=ASK, tools=[get_weather], options=GREEDY, stream=stream)
    parts = list(reply) if stream else [reply]
    calls = [call for part in parts for call in part.message.tool_calls or []]
    assert [(call.function.name, dict(call.function.arguments)) for call in calls] == [("get_weather", {"city": "Tunis"})]
    assert parts[-1].done_reason == "stop"
    messages = [*ASK, {"role": "assistant", "content": "", "tool_calls": calls},
                {"role": "tool", "tool_name": "get_weather", "content": get_weather("Tunis")}]
    final = client.chat(model=MODEL, messages=messages, tools=[get_weather], options=GREEDY)
    assert "31" in final.message.content and not final.message.tool_calls


def test_thinking_is_kept_apart(client):
    reply = client.chat(model=MODEL, messages=ASK, think=True, options=GREEDY)
    assert reply.message.thinking.strip() and "<think>" not in reply.message.content
    parts = list(client.chat(model=MODEL, messages=ASK, think=True, options=GREEDY, stream=True))
    assert "".join(part.message.thinking or "" for part in parts) == reply.message.thinking
    assert "".join(part.message.content or "" for part in parts) == reply.message.content
    without = client.chat(model=MODEL, messages=ASK, think=False, options=GREEDY)
    assert not without.message.thinking


def test_formats_are_followed(client):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}, "required": ["city", "degrees"], "additionalProperties": False}
    extract = [{"role": "user", "content": 'Extract the city and the degrees from: "It is 31 degrees in Tunis today." Return JSON.'}]
    answer = json.loads(client.chat(model=MODEL, messages=extract, format=schema, options=GREEDY).message.content)
    assert set(answer) == {"city", "degrees"}
    answer = client.generate(model=MODEL, prompt=extract[0]["content"], format="json", options=GREEDY).response
    assert isinstance(json.loads(answer), dict)
