"""Tools and structured output with the official `openai` package."""

import enum
import json

import anthropic
import openai
import pydantic
import pytest

from conftest import MODEL

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Tunis", "Sfax"]}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
PING = {"type": "function", "function": {"name": "ping", "parameters": {"type": "object", "properties": {},
                                                                       "additionalProperties": False}}}
ASK = [{"role": "user", "content": "What is the weather in Tunis?"}]


def check(call):
    assert call.id.startswith("call_") and call.type == "function"
    arguments = json.loads(call.function.arguments)
    if call.function.name == "get_weather":
        assert arguments["city"] in ("Tunis", "Sfax") and 1 <= arguments["days"] <= 7
    else:
        assert call.function.name == "ping" and arguments == {}


@pytest.mark.parametrize("seed", range(4))
def test_a_demanded_call_is_made_and_valid(client, seed):
    arguments = dict(model=MODEL, messages=ASK, tools=[WEATHER, PING], tool_choice="required", seed=seed,
                     parallel_tool_calls=False, temperature=1.5, max_tokens=200)
    reply = client.chat.completions.create(**arguments)
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert len(choice.message.tool_calls) == 1
    check(choice.message.tool_calls[0])
    with client.chat.completions.stream(**arguments) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    streamed, whole = final.message.tool_calls[0].function, choice.message.tool_calls[0].function
    assert (streamed.name, streamed.arguments) == (whole.name, whole.arguments)


def test_a_named_tool_is_the_one_that_is_called(client):
    for name in ("get_weather", "ping"):
        choice = {"type": "function", "function": {"name": name}}
        reply = client.chat.completions.create(model=MODEL, messages=ASK, tools=[WEATHER, PING], tool_choice=choice,
                                               max_tokens=200, temperature=1.0, seed=1)
        calls = reply.choices[0].message.tool_calls
        assert [call.function.name for call in calls] == [name]
        check(calls[0])


def test_a_result_goes_back_and_none_forbids_calls(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}
    messages = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "pong"}]
    reply = client.chat.completions.create(model=MODEL, messages=messages, tools=[PING], tool_choice="none", max_tokens=20)
    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].message.content is not None


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_under_a_schema_parses_and_validates(client, seed):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "colour": {"enum": ["red", "green"]},
            "scores": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 3},
        },
        "required": ["name", "colour", "scores"],
        "additionalProperties": False,
    }
    reply = client.chat.completions.create(
        model=MODEL, messages=ASK, temperature=1.5, seed=seed, max_tokens=300,
        response_format={"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}},
    )
    assert reply.choices[0].finish_reason == "stop"
    thing = json.loads(reply.choices[0].message.content)
    assert set(thing) == {"name", "colour", "scores"} and thing["colour"] in ("red", "green")
    assert len(thing["name"]) <= 12 and len(thing["scores"]) <= 3
    assert all(0 <= score <= 9 for score in thing["scores"])


def test_a_schema_that_cannot_be_kept_is_refused_with_the_reason(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model=MODEL, messages=ASK,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {"type": "string"}}}},
        )
    assert refused.value.param == "response_format" and "cannot be enforced" in refused.value.message


def test_the_best_of_several_is_the_likeliest_of_them(client):
    """Candidates are those that `n` of the same seed would be; the best by the mean log probability of their tokens come
    first, and all are paid for."""
    asked = {"model": MODEL, "prompt": ["The sea", "A boat"], "max_tokens": 6, "temperature": 1.0, "seed": 11}
    all_of_them = client.completions.create(**asked, n=5, logprobs=0)
    texts, scores = {}, {}
    for choice in all_of_them.choices:
        logprobs = choice.logprobs.token_logprobs
        texts[choice.index] = choice.text
        scores[choice.index] = sum(logprobs) / len(logprobs) if logprobs else float("-inf")
    expected = []
    for prompt in range(2):
        places = sorted(range(prompt * 5, prompt * 5 + 5), key=lambda place: -scores[place])
        expected += [texts[place] for place in places[:2]]
    best = client.completions.create(**asked, n=2, best_of=5)
    assert [choice.index for choice in best.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in best.choices] == expected
    assert all(choice.logprobs is None for choice in best.choices)
    assert best.usage.completion_tokens == all_of_them.usage.completion_tokens


class Colour(str, enum.Enum):
    red = "red"
    blue = "blue"


class Paint(pydantic.BaseModel):
    colour: Colour
    second: Colour
    shiny: bool


class Order(pydantic.BaseModel):
    paint: Paint
    urgent: bool


def test_tools_whose_schemas_refer_to_parts_of_themselves(server, client):
    """What every schema generator writes for a model inside a model: the arguments are enforced all the same, alone and
    beside another tool, in each API. The white space of arguments is bounded, and so are they."""
    ask = [{"role": "user", "content": "Order some paint."}]
    schema = Order.model_json_schema()
    assert "$defs" in schema and "$ref" in json.dumps(schema)
    order = openai.pydantic_function_tool(Order, name="order")
    for tools in ([order], [WEATHER, order]):
        reply = client.chat.completions.parse(
            model=MODEL, messages=ask, tools=tools, temperature=0, max_tokens=2000,
            tool_choice={"type": "function", "function": {"name": "order"}})
        assert isinstance(reply.choices[0].message.tool_calls[0].function.parsed_arguments, Order)
        # Nothing is demanded, and nothing refused.
        client.chat.completions.create(model=MODEL, messages=ask, tools=tools, temperature=0, max_tokens=2)
    told = {"type": "function", "name": "order", "parameters": order["function"]["parameters"], "strict": True}
    answer = client.responses.create(model=MODEL, input=ask, tools=[told], tool_choice="required", temperature=0, max_output_tokens=2000)
    Order.model_validate_json(answer.output[-1].arguments)
    claude = anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=120)
    message = claude.messages.create(
        model=MODEL, messages=ask, max_tokens=2000, extra_body={"temperature": 0}, tool_choice={"type": "any"},
        tools=[{"name": "order", "input_schema": schema}])
    Order.model_validate(message.content[-1].input)
