"""Tool calls and structured output, with the embedded model writing them."""

import json

import evaluate
from conftest import MODEL

WEATHER = evaluate.TOOLS["get_weather"]
INVOICE = evaluate.TOOLS["send_invoice"]


def ask(client, messages, **more):
    return client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=300, **more)


def test_a_tool_call_and_its_result_make_a_round_trip(client):
    messages = [{"role": "user", "content": "What's the weather like in Paris today?"}]
    first = ask(client, messages, tools=[WEATHER]).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert call.function.name == "get_weather" and json.loads(call.function.arguments) == {"location": "Paris"}
    messages += [
        first.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"temperature": 21, "sky": "cloudy"})},
    ]
    second = ask(client, messages, tools=[WEATHER]).choices[0]
    assert second.finish_reason == "stop" and not second.message.tool_calls
    assert "21" in second.message.content


def test_an_opaque_token_reaches_the_tool_letter_for_letter(client):
    question = "Send the invoice INV-2291 over 120 euros to PII_EMAIL_1_k7q"
    name, arguments = "", ""
    for chunk in ask(client, [{"role": "user", "content": question}], tools=[INVOICE, WEATHER], stream=True):
        for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            name += delta.function.name or ""
            arguments += delta.function.arguments or ""
    assert name == "send_invoice"
    assert json.loads(arguments) == {"email": "PII_EMAIL_1_k7q", "invoice_number": "INV-2291", "amount": 120}


def test_tools_do_not_force_a_call(client):
    reply = ask(client, [{"role": "user", "content": "Hello!"}], tools=[WEATHER]).choices[0]
    assert reply.finish_reason == "stop" and not reply.message.tool_calls and reply.message.content


def test_a_schema_is_kept_and_filled(client):
    keys = ("name", "email")
    schema = {"type": "object", "properties": {k: {"type": "string"} for k in keys}, "required": list(keys), "additionalProperties": False}
    message = 'Extract the name and email from: "Hi, this is Marta Lopez, write me at marta@lopez.es please". Return JSON.'
    reply = ask(client, [{"role": "user", "content": message}],
                response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}})
    assert json.loads(reply.choices[0].message.content) == {"name": "Marta Lopez", "email": "marta@lopez.es"}
