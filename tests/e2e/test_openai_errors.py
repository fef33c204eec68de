"""Every class of error reaches the official client as its own typed exception, in OpenAI's shape."""

import json
import urllib.error
import urllib.request

import openai
import pytest

from conftest import MODEL

HELLO = [{"role": "user", "content": "Hello"}]


def body_of(error: openai.APIStatusError) -> dict:
    body = error.response.json()["error"]
    assert set(body) == {"message", "type", "param", "code"}
    assert body["message"]
    return body


def test_unknown_model_is_404(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    body = body_of(caught.value)
    assert body["code"] == "model_not_found" and "no-such-model" in body["message"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.5}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000000}, "n"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": 7}, "stop"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"0": 101}}, "logit_bias"),
        ({"logit_bias": {"99999999": 1}}, "logit_bias"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "nonsense"}]}]}, "messages[0].content[0]"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_invalid_arguments_name_the_parameter(server, change, param):
    request = {"model": MODEL, "messages": HELLO, "max_tokens": 4, **change}
    with pytest.raises(openai.BadRequestError) as caught:
        server.openai().post("/chat/completions", body=request, cast_to=object)
    body = body_of(caught.value)
    assert body["type"] == "invalid_request_error"
    assert body["param"] and body["param"].startswith(param.split("[")[0]), body


def test_an_image_is_refused_not_ignored(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ]}],
        )
    assert "image" in body_of(caught.value)["message"].lower()


def test_context_overflow_has_its_code(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 200000}])
    assert body_of(caught.value)["code"] == "context_length_exceeded"


def raw(url: str, data: bytes | None, method: str = "POST", headers: dict | None = None):
    request = urllib.request.Request(url, data=data, method=method,
                                     headers={"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read() or b"null"), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null"), error.headers


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": 5}', b"[" * 100000])
def test_a_broken_body_is_a_400(server, data):
    status, body, _ = raw(f"{server.url}/v1/chat/completions", data)
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"


def test_a_missing_field_says_which(server):
    status, body, _ = raw(f"{server.url}/v1/chat/completions", json.dumps({"messages": HELLO}).encode())
    assert status == 400 and body["error"]["param"] == "model"


def test_unknown_route_and_method(server):
    status, body, _ = raw(f"{server.url}/proxy/v1/chat/completions", b"{}")
    assert status == 404 and "Did you mean /v1/chat/completions?" in body["error"]["message"] and body["routes"]
    status, _, headers = raw(f"{server.url}/v1/chat/completions", None, method="DELETE")
    assert status == 405 and "POST" in headers["allow"]


@pytest.mark.parametrize("call", [
    lambda client: client.files.list(),
    lambda client: client.files.create(file=b"x", purpose="user_data"),
    lambda client: client.batches.list(),
    lambda client: client.conversations.create(),
    lambda client: client.images.generate(prompt="x"),
    lambda client: client.moderations.create(input="x"),
    lambda client: client.chat.completions.retrieve("chatcmpl-x"),
    lambda client: client.with_options(base_url=f"{client.base_url}v1").models.list(),
])
def test_what_this_host_does_not_have_is_a_404_of_the_api(client, call):
    with pytest.raises(openai.NotFoundError) as caught:
        call(client)
    body = body_of(caught.value)
    assert set(caught.value.response.json()) == {"error"} and body["type"] == "invalid_request_error"
    assert "/v1/" in body["message"]


def test_a_body_over_the_limit_is_413(server):
    status, body, _ = raw(f"{server.url}/v1/chat/completions", b" " * (40 * 1024 * 1024))
    assert status == 413 and body["error"]["message"]


def test_every_answer_has_a_request_id(server, client):
    reply = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, max_tokens=1)
    assert reply.headers["x-request-id"]
    _, _, headers = raw(f"{server.url}/v1/chat/completions", b"{")
    assert headers["x-request-id"]


def test_unknown_fields_are_tolerated(server):
    request = {"model": MODEL, "messages": HELLO, "max_tokens": 2, "client_metadata": {"a": 1}, "zzz": [1]}
    status, body, _ = raw(f"{server.url}/v1/chat/completions", json.dumps(request).encode())
    assert status == 200 and body["choices"]


def test_a_foreign_host_header_is_refused(server):
    """A web page that rebinds its name to the loopback address must not reach the host."""
    status, _, _ = raw(f"{server.url}/v1/models", None, method="GET", headers={"host": "evil.example"})
    assert status == 403
