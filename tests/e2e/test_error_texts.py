"""What a developer reads when a request is wrong: the place is the client's own, the sentence names it once, and what the
originals allow is no error."""

from __future__ import annotations

import anthropic
import ollama
import openai
import pytest

from conftest import MODEL

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PNG}"
QUESTION = [{"role": "user", "content": "What is a dialect?"}]
BEFORE = [{"role": "user", "content": "Look."}, {"role": "assistant", "content": "At what?"}]


@pytest.fixture()
def claude(server):
    return anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=120)


def refused(call) -> openai.BadRequestError | anthropic.BadRequestError:
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as caught:
        call()
    return caught.value


def said(error: anthropic.BadRequestError) -> str:
    return error.response.json()["error"]["message"]


def test_responses_names_the_part_of_its_own_input(client):
    picture = {"type": "input_image", "image_url": URL, "detail": "auto"}
    look = {"role": "user", "content": [{"type": "input_text", "text": "This."}, picture]}
    called = [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
              {"type": "function_call_output", "call_id": "c", "output": [picture]}]
    for items, place in [([*BEFORE, look], "input[2].content[1]"), ([*BEFORE, *called], "input[3].output")]:
        error = refused(lambda: client.responses.create(model=MODEL, instructions="Be brief.", input=items))
        assert (error.param, error.code) == (place, "unsupported_value")
    # The conversation so far is not the client's to count.
    first = client.responses.create(model=MODEL, input="Hello", max_output_tokens=16)
    error = refused(lambda: client.responses.create(model=MODEL, previous_response_id=first.id, input=[look]))
    assert error.param == "input[0].content[1]"
    lost = {"type": "item_reference", "id": f"msg_{'0' * 32}_0"}
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model=MODEL, input=[*BEFORE, lost])
    assert caught.value.param == "input[2].id"
    schema = {"type": "json_schema", "name": "a", "schema": {"$ref": "#/nowhere"}}
    error = refused(lambda: client.responses.create(model=MODEL, input="x", text={"format": schema}))
    assert error.param == "text.format.schema" and error.body["message"].startswith("text.format.schema: ")


def test_chat_names_the_part_of_its_own_messages(client):
    look = {"role": "user", "content": [{"type": "text", "text": "This."}, {"type": "image_url", "image_url": {"url": URL}}]}
    error = refused(lambda: client.chat.completions.create(model=MODEL, messages=[*BEFORE, look]))
    assert error.param == "messages[2].content[1]"


def test_claude_says_where_as_the_original_does(claude):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    look = {"role": "user", "content": [{"type": "text", "text": "This."}, picture]}
    ask = {"model": MODEL, "max_tokens": 4}
    for change, begin in [
        ({"system": "Be brief.", "messages": [*BEFORE, look]}, "messages.2.content.1: "),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text: Field required"),
        ({"messages": QUESTION, "tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
        ({"messages": QUESTION, "extra_body": {"temperature": 2}}, "temperature: Input should be "),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role: Input should be "),
        ({"messages": QUESTION, "output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#/x"}}}},
         "output_config.format.schema: "),
    ]:
        error = refused(lambda: claude.messages.create(**ask, **change))
        assert said(error).startswith(begin), said(error)


def test_no_sentence_names_its_field_twice(server, client, claude):
    long = ["x" * 2000]
    bad = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "string", "pattern": "(?=a)("}}}
    texts = [error.body["message"] for error in (
        refused(lambda: client.chat.completions.create(**{"model": MODEL, "messages": QUESTION, **change})) for change in (
            {"response_format": bad}, {"stop": long}, {"n": 128}, {"logit_bias": {"999999": 1}}, {"temperature": 9},
            {"extra_body": {"min_p": 7}}, {"messages": [*QUESTION, {"role": "assistant", "content": None}]},
        )
    )]
    texts.append(refused(lambda: client.completions.create(model=MODEL, prompt="")).body["message"])
    texts.append(refused(lambda: client.embeddings.create(model=MODEL, input=["a", ""])).body["message"])
    host = ollama.Client(server.url)
    for change in ({"options": {"repeat_penalty": -1}}, {"format": {"$ref": "#/x"}}):
        with pytest.raises(ollama.ResponseError) as caught:
            host.chat(MODEL, QUESTION, **change)
        texts.append(caught.value.error)
    assert "input[1]" in texts[8] and "repeat_penalty" in texts[9] and "format" in texts[10]
    for text in texts:
        words = text.replace(":", " ").split()
        assert "\n" not in text and all(one != two for one, two in zip(words, words[1:])), text
        assert "repetition_penalty" not in text and "continue_final_message" not in text and "choices:" not in text


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_nucleus_of_nothing_is_the_likeliest_token(server, client, claude, temperature):
    """`top_p: 0` is within every original's range. However the dice fall, the answer is the one without dice."""
    greedy = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=8, temperature=0)
    greedy = greedy.choices[0].message.content
    more = {"temperature": temperature, "top_p": 0}
    chat = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=8, **more)
    assert chat.choices[0].message.content == greedy
    answer = client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=8, **more)
    assert answer.output_text == greedy
    message = claude.messages.create(model=MODEL, messages=QUESTION, max_tokens=8, extra_body={**more, "top_k": 0})
    assert message.content[0].text == greedy
    told = ollama.Client(server.url).chat(MODEL, QUESTION, think=False, options={"num_predict": 8, "top_k": 0, **more})
    assert told.message.content == greedy


def test_documents_that_are_text_reach_the_model(claude):
    """As in the original; a model that reads pictures or PDF is not needed for them."""
    document = {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "word " * 50}}
    found = {"type": "search_result", "source": "https://example.com", "title": "Found", "content": [{"type": "text", "text": "word " * 50}]}
    plain = claude.messages.count_tokens(model=MODEL, messages=QUESTION).input_tokens
    for block in (document, found):
        content = [block, {"type": "text", "text": "What is it about?"}]
        counted = claude.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": content}])
        assert counted.input_tokens > plain + 50
        answer = claude.messages.create(model=MODEL, max_tokens=4, messages=[{"role": "user", "content": content}])
        assert answer.usage.input_tokens + answer.usage.cache_read_input_tokens + answer.usage.cache_creation_input_tokens == counted.input_tokens


def test_an_answer_that_is_not_stored_has_an_id_like_the_others(client):
    for store in (True, False):
        answer = client.responses.create(model=MODEL, input="Hello", store=store, max_output_tokens=16)
        assert len(answer.id) == len("resp_") + 32 and answer.id.count("_") == 1
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.retrieve(answer.id)
    assert answer.id in caught.value.body["message"]
