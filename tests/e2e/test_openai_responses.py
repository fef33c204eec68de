"""The official `openai` package against the running host: Responses, stored and streamed."""

import asyncio
import json

import openai
import pytest

from conftest import MODEL, until

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ARGUMENTS = dict(model=MODEL, max_output_tokens=40, temperature=0)


def test_an_answer_has_its_parts(client):
    response = client.responses.create(input="Hello", instructions="Be brief.", metadata={"a": "b"}, **ARGUMENTS)
    assert response.object == "response" and response.id.startswith("resp_")
    assert response.output_text.strip()
    assert response.status in ("completed", "incomplete")
    assert response.instructions == "Be brief." and response.metadata == {"a": "b"}
    assert response.store is True, "as in the original, unless told otherwise"
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_a_stream_says_the_same_in_numbered_events(client):
    whole = client.responses.create(input="Hello", **ARGUMENTS)
    events = list(client.responses.create(input="Hello", stream=True, **ARGUMENTS))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type in ("response.completed", "response.incomplete")
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text


def test_the_strict_stream_helper_accumulates(client):
    with client.responses.stream(input="Hello", **ARGUMENTS) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text == client.responses.create(input="Hello", **ARGUMENTS).output_text


def test_a_limit_is_said(client):
    response = client.responses.create(model=MODEL, input="Tell me a story.", max_output_tokens=2, temperature=0)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 2


def test_a_conversation_goes_on_from_its_id(client):
    first = client.responses.create(input="My order number is ZX-4471.", **ARGUMENTS)
    second = client.responses.create(input="What is my order number?", previous_response_id=first.id, **ARGUMENTS)
    assert second.previous_response_id == first.id
    by_hand = client.responses.create(
        input=[
            {"role": "user", "content": "My order number is ZX-4471."},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "What is my order number?"},
        ],
        **ARGUMENTS,
    )
    assert second.usage.input_tokens == by_hand.usage.input_tokens
    assert second.output_text == by_hand.output_text
    third = client.responses.create(input="And?", previous_response_id=second.id, **ARGUMENTS)
    assert third.usage.input_tokens > second.usage.input_tokens


def test_instructions_are_not_inherited(client):
    long = "Speak like a very careful librarian who knows every shelf of the old house by heart. " * 3
    first = client.responses.create(input="Hi", instructions=long, **ARGUMENTS)
    second = client.responses.create(input="Hi", previous_response_id=first.id, **ARGUMENTS)
    assert second.usage.input_tokens < first.usage.input_tokens + first.usage.output_tokens
    assert second.instructions is None


def test_a_stored_answer_is_found_listed_and_deleted_for_good(client):
    made = client.responses.create(input="Hello", instructions="Be brief.", **ARGUMENTS)
    found = client.responses.retrieve(made.id)
    assert found.output_text == made.output_text and found.usage == made.usage
    assert found.instructions == "Be brief." and found.status == made.status
    items = list(client.responses.input_items.list(made.id))
    assert [i.content[0].text for i in items] == ["Hello"]
    events = list(client.responses.retrieve(made.id, stream=True))
    assert events[-1].response.output_text == made.output_text
    client.responses.delete(made.id)
    for gone in (
        lambda: client.responses.retrieve(made.id),
        lambda: client.responses.delete(made.id),
        lambda: client.responses.input_items.list(made.id),
    ):
        with pytest.raises(openai.NotFoundError):
            gone()
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(input="And?", previous_response_id=made.id, **ARGUMENTS)
    assert error.value.code == "previous_response_not_found"
    assert error.value.param == "previous_response_id"


def test_what_is_not_to_be_stored_is_not(client):
    made = client.responses.create(input="Hello", store=False, **ARGUMENTS)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_tools_are_called_as_demanded_and_results_go_back(client):
    asked = client.responses.create(
        input="What is the weather in Tunis?", tools=[WEATHER], tool_choice="required", **ARGUMENTS
    )
    calls = [item for item in asked.output if item.type == "function_call"]
    assert calls and calls[0].name == "get_weather"
    assert set(json.loads(calls[0].arguments)) == {"city"}
    answered = client.responses.create(
        previous_response_id=asked.id,
        input=[{"type": "function_call_output", "call_id": c.call_id, "output": "21 degrees"} for c in calls],
        tools=[WEATHER],
        tool_choice="none",
        **ARGUMENTS,
    )
    assert answered.output_text.strip()
    assert all(item.type != "function_call" for item in answered.output)


def test_a_named_tool_streams_its_arguments(client):
    with client.responses.stream(
        input="Hello",
        tools=[WEATHER, {**WEATHER, "name": "other"}],
        tool_choice={"type": "function", "name": "get_weather"},
        parallel_tool_calls=False,
        **ARGUMENTS,
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    (call,) = [item for item in final.output if item.type == "function_call"]
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == call.arguments and len(deltas) > 1
    assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city"}


def test_structured_output_validates(client):
    response = client.responses.create(
        model=MODEL, input="Who is Ada?", temperature=0, max_output_tokens=120,
        text={"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}},
    )
    assert response.status == "completed"
    person = json.loads(response.output_text)
    assert isinstance(person["name"], str) and isinstance(person["age"], int) and len(person) == 2


def test_reasoning_is_an_item_of_its_own(client):
    response = client.responses.create(
        model=MODEL, input="What is 2 + 2?", temperature=0, max_output_tokens=120,
        reasoning={"effort": "high", "summary": "auto"}, include=["reasoning.encrypted_content"],
    )
    kinds = [item.type for item in response.output]
    assert "<think>" not in response.output_text and "</think>" not in response.output_text
    if "reasoning" in kinds:
        item = response.output[kinds.index("reasoning")]
        assert item.encrypted_content
        assert response.usage.output_tokens_details.reasoning_tokens > 0
    quiet = client.responses.create(input="What is 2 + 2?", reasoning={"effort": "none"}, **ARGUMENTS)
    assert quiet.usage.output_tokens_details.reasoning_tokens == 0
    assert all(item.type != "reasoning" for item in quiet.output)


def test_a_background_answer_is_polled(client):
    begun = client.responses.create(input="Hello", background=True, **ARGUMENTS)
    assert begun.status in ("queued", "in_progress") and begun.output == []
    until(lambda: client.responses.retrieve(begun.id).status not in ("queued", "in_progress"), 120)
    done = client.responses.retrieve(begun.id)
    assert done.output_text == client.responses.create(input="Hello", **ARGUMENTS).output_text


def test_a_background_answer_is_cancelled(client):
    begun = client.responses.create(
        model=MODEL, input="Tell me a long story.", background=True, max_output_tokens=400,
        extra_body={"text": {"format": {"type": "json_schema", "name": "long", "strict": True, "schema": {
            "type": "array", "items": {"type": "integer"}, "minItems": 5000}}}},
    )
    cancelled = client.responses.cancel(begun.id)
    # A fast machine may have been quicker than the request to stop.
    assert cancelled.status in ("cancelled", "incomplete")
    assert client.responses.retrieve(begun.id).status == cancelled.status
    whole = client.responses.create(input="Hello", **ARGUMENTS)
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(whole.id)


def test_a_background_stream_is_taken_up_where_it_was_lost(client):
    seen = []
    with client.responses.create(input="Hello", background=True, stream=True, **ARGUMENTS) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    assert [e.type for e in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    made = seen[0].response.id
    rest = list(client.responses.retrieve(made, stream=True, starting_after=seen[-1].sequence_number))
    assert [e.sequence_number for e in seen + rest] == list(range(len(seen + rest)))
    said = "".join(e.delta for e in seen + rest if e.type == "response.output_text.delta")
    assert said == rest[-1].response.output_text
    assert said == client.responses.create(input="Hello", **ARGUMENTS).output_text
    # Once it is over the numbers still mean the same.
    again = list(client.responses.retrieve(made, stream=True, starting_after=2))
    assert again == (seen + rest)[3:]
    with pytest.raises(openai.BadRequestError) as error:
        client.get(f"/responses/{made}?starting_after=2", cast_to=object)
    assert error.value.param == "starting_after"


def test_items_are_named_instead_of_sent(client):
    first = client.responses.create(input="My order number is ZX-4471.", **ARGUMENTS)
    question = {"role": "user", "content": "What is my order number?"}
    told = {"role": "user", "content": "My order number is ZX-4471."}
    named = [{"type": "item_reference", "id": item.id} for item in first.output]
    second = client.responses.create(input=[told, *named, question], **ARGUMENTS)
    chained = client.responses.create(input=[question], previous_response_id=first.id, **ARGUMENTS)
    assert second.usage.input_tokens == chained.usage.input_tokens
    assert second.output_text == chained.output_text
    with pytest.raises(openai.NotFoundError) as error:
        client.responses.create(input=[{"type": "item_reference", "id": "msg_none_0"}, question], **ARGUMENTS)
    assert error.value.param == "input[0].id"


def test_what_has_no_effect_is_named_and_what_would_matter_is_refused(client):
    raw = client.responses.with_raw_response.create(
        input="Hello", text={"verbosity": "low"}, service_tier="flex", tools=[{"type": "web_search"}],
        extra_body={"client_metadata": {"a": "b"}}, **ARGUMENTS,
    )
    named = raw.headers["x-atoll-ignored"].split(", ")
    assert sorted(named) == ["client_metadata", "text.verbosity", "tools.web_search"]
    assert raw.parse().service_tier == "default"
    for field, value, param in [
        ("conversation", "conv_1", "conversation"),
        ("prompt", {"id": "pmpt_1"}, "prompt"),
        ("moderation", {"model": "omni-moderation-latest"}, "moderation"),
        ("tool_choice", {"type": "web_search"}, "tool_choice"),
        ("reasoning", {"mode": "pro"}, "reasoning.mode"),
    ]:
        with pytest.raises(openai.BadRequestError) as error:
            client.responses.create(input="Hello", tools=[{"type": "web_search"}], **{field: value}, **ARGUMENTS)
        assert error.value.code == "unsupported_value" and error.value.param == param


def test_counting_and_compacting(client):
    counted = client.responses.input_tokens.count(model=MODEL, input="Hello", instructions="Be brief.")
    made = client.responses.create(input="Hello", instructions="Be brief.", **ARGUMENTS)
    assert counted.input_tokens == made.usage.input_tokens
    compacted = client.responses.compact(model=MODEL, input="My order number is ZX-4471.")
    assert compacted.object == "response.compaction"
    assert compacted.output[-1].type == "compaction"
    again = [item.model_dump(exclude_none=True) for item in compacted.output]
    # What is said to a summary that was drawn at random may be nothing.
    after = client.responses.create(input=again + [{"role": "user", "content": "Go on."}], **ARGUMENTS)
    assert after.status in ("completed", "incomplete") and after.usage.input_tokens > counted.input_tokens


def test_errors_have_the_apis_shape(client):
    with pytest.raises(openai.NotFoundError) as error:
        client.responses.create(model="nope", input="Hi")
    assert error.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_nope")
    for body, param in [
        ({"input": "x", "temperature": 9}, "temperature"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": "x", "tool_choice": "required"}, "tool_choice"),
        ({}, "input"),
    ]:
        with pytest.raises(openai.BadRequestError) as error:
            client.post("/responses", body={"model": MODEL, **body}, cast_to=object)
        assert error.value.param == param
    with pytest.raises(openai.APIStatusError) as error:
        client.responses.create(model=MODEL, input="x" * (40 << 20))
    assert error.value.status_code == 413


def test_the_context_overflows_in_words_agents_read(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(model=MODEL, input="one two three " * 20000)
    assert error.value.code == "context_length_exceeded"


def test_asynchronous_clients(server):
    async def run():
        async with server.async_openai() as client:
            whole, streamed = await asyncio.gather(client.responses.create(input="Hello", **ARGUMENTS), stream(client))
            assert whole.output_text == streamed

    async def stream(client) -> str:
        async with client.responses.stream(input="Hello", **ARGUMENTS) as stream:
            async for _ in stream:
                pass
            return (await stream.get_final_response()).output_text

    asyncio.run(run())
