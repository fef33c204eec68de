"""The official `openai` package against the running host: Responses over a WebSocket."""

import asyncio
import contextlib
import json
import os
import subprocess

import openai
import pytest
import websockets.exceptions
import websockets.sync.client

from conftest import MODEL, Server, binary, until
from test_openai_responses import WEATHER

ARGUMENTS = dict(model=MODEL, max_output_tokens=40, temperature=0)
LAST = ("response.completed", "response.incomplete", "response.failed", "error")


def talk(connection, **request) -> list:
    """Sends a request; gives the events up to the last."""
    connection.response.create(**{**ARGUMENTS, **request})
    events = []
    for event in connection:
        events.append(event)
        if event.type in LAST:
            return events
    raise AssertionError(f"the socket closed after {events}")


def test_a_socket_says_what_http_says_message_after_message(client):
    with client.responses.connect() as connection:
        for text in ("Hello", "What is the capital of France?"):
            events = talk(connection, input=text)
            assert [e.sequence_number for e in events] == list(range(len(events)))
            assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"]
            said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
            whole = client.responses.create(input=text, **ARGUMENTS)
            assert said == events[-1].response.output_text == whole.output_text


def test_a_conversation_goes_on_without_being_stored(client):
    with client.responses.connect() as connection:
        first = talk(connection, input="My order number is ZX-4471.", store=False)[-1].response
        second = talk(connection, input="What is it?", store=False, previous_response_id=first.id)[-1].response
        by_hand = client.responses.create(
            input=[
                {"role": "user", "content": "My order number is ZX-4471."},
                {"role": "assistant", "content": first.output_text},
                {"role": "user", "content": "What is it?"},
            ],
            **ARGUMENTS,
        )
        assert second.usage.input_tokens == by_hand.usage.input_tokens
        assert second.output_text == by_hand.output_text
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)
        stored = talk(connection, input="Hi")[-1].response
        assert client.responses.retrieve(stored.id).output_text == stored.output_text
    with client.responses.connect() as connection:
        (error,) = talk(connection, input="And?", store=False, previous_response_id=second.id)
        assert error.error.code == "previous_response_not_found"
        assert talk(connection, input="And?", previous_response_id=stored.id)[-1].response.output_text


def test_warming_up_says_nothing_and_is_continued(client):
    with client.responses.connect() as connection:
        events = talk(connection, input="My name is Ada.", generate=False, store=False)
        warm = events[-1].response
        assert warm.status == "completed" and warm.output == []
        said = talk(connection, input="What is my name?", previous_response_id=warm.id, store=False)[-1].response
        assert said.usage.input_tokens > warm.usage.input_tokens


def test_tools_and_lanes(client):
    with client.responses.connect() as connection:
        events = talk(
            connection, input="What is the weather in Tunis?", tools=[WEATHER], tool_choice="required", stream_id="a"
        )
        assert {e.stream_id for e in events} == {"a"}
        calls = [item for item in events[-1].response.output if item.type == "function_call"]
        assert calls and set(json.loads(calls[0].arguments)) == {"city"}
        outputs = [{"type": "function_call_output", "call_id": c.call_id, "output": "21 degrees"} for c in calls]
        answered = talk(
            connection, input=outputs, previous_response_id=events[-1].response.id, tools=[WEATHER], tool_choice="none"
        )
        assert answered[-1].response.output_text.strip()


def test_errors_are_events_and_the_socket_goes_on(client):
    with client.responses.connect() as connection:
        for message, code, param in (
            ("{", None, None),
            (json.dumps({"type": "response.create", "model": MODEL}), "missing_required_parameter", "input"),
            (json.dumps({"type": "response.create", "model": "none", "input": "x"}), "model_not_found", None),
            (json.dumps({"type": "response.cancel"}), "invalid_value", "type"),
        ):
            connection.send_raw(message)
            error = connection.recv()
            assert error.type == "error" and error.error.code == code, error
            if param:
                assert error.error.param == param
        assert talk(connection, input="Hello")[-1].response.output_text
        connection.response.steer(previous_response_id="resp_none", input="stop")
        failed = connection.recv()
        assert failed.type == "response.steer.failed" and failed.steer.input == "stop"


def test_an_answer_ends_when_its_socket_does(server: Server, client):
    endless = {"format": {"type": "json_schema", "name": "long", "strict": True, "schema": {
        "type": "array", "items": {"type": "integer"}, "minItems": 5000}}}

    def left() -> float:
        with contextlib.suppress(AssertionError):
            return server.metric("atoll_requests_total", operation="chat", outcome="disconnected")
        return 0

    before = left()
    with client.responses.connect() as connection:
        connection.response.create(model=MODEL, input="Count.", max_output_tokens=1500, text=endless)
        for event in connection:
            if event.type == "response.output_text.delta":
                break
    until(lambda: left() > before, what="the answer was cancelled")
    until(lambda: server.metric("atoll_requests_in_flight") <= 1, what="nothing runs")


def test_asynchronous_clients_share_the_host(server: Server):
    async def one(client, text: str) -> str:
        async with client.responses.connect() as connection:
            await connection.response.create(input=text, **ARGUMENTS)
            async for event in connection:
                if event.type in LAST:
                    return event.response.output_text

    async def run():
        async with server.async_openai() as client:
            texts = ["Hello", "What is 2 + 2?"]
            said = await asyncio.gather(*(one(client, text) for text in texts))
            whole = [(await client.responses.create(input=text, **ARGUMENTS)).output_text for text in texts]
            assert said == whole

    asyncio.run(run())


def test_keys_open_sockets_and_quotas_end_in_events(tmp_path):
    env = {"ATOLL_KEYS": str(tmp_path / "keys.json")}
    made = subprocess.run(
        [str(binary()), "keys", "create", "ci", "--requests-per-minute", "1"],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=True,
    )
    server = Server("--require-key", env=env)
    try:
        url = f"ws://127.0.0.1:{server.port}/v1/responses"
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            websockets.sync.client.connect(url)
        assert refused.value.response.status_code == 401
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=made.stdout.strip(), max_retries=0)
        with client.responses.connect() as connection:
            assert talk(connection, input="Hi")[-1].type in ("response.completed", "response.incomplete")
            (error,) = talk(connection, input="Hi")
            assert (error.type, error.status) == ("error", 429)
            assert error.error.code == "rate_limit_exceeded"
    finally:
        server.stop()


def test_a_stopping_host_says_goodbye():
    server = Server()
    url = f"ws://127.0.0.1:{server.port}/v1/responses"
    with websockets.sync.client.connect(url) as socket:
        code = server.stop()
        with pytest.raises(websockets.exceptions.ConnectionClosedOK) as closed:
            socket.recv(timeout=60)
    assert closed.value.rcvd.code == 1001 and code == 0
