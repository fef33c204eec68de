"""Requests whose body was compressed on its way: the official clients behind a transport that does it, and bodies that
are not what their `Content-Encoding` says. Codex sends zstd; proxies and HTTP libraries send gzip and deflate."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.error
import urllib.request
import zlib

import anthropic
import httpx2
import openai
import pytest

from conftest import MODEL

HELLO = [{"role": "user", "content": "Hello"}]
LIMIT = 32 << 20

# One request of each API, as small as it goes.
REQUESTS = {
    "/v1/chat/completions": {"model": MODEL, "messages": HELLO, "max_tokens": 1},
    "/v1/responses": {"model": MODEL, "input": "Hello", "max_output_tokens": 16, "store": False},
    "/v1/messages": {"model": MODEL, "messages": HELLO, "max_tokens": 1},
    "/api/chat": {"model": MODEL, "messages": HELLO, "stream": False, "options": {"num_predict": 1}},
}


def zstd(data: bytes) -> bytes:
    """A zstd frame (RFC 8878) whose blocks are stored as they are: no Python before 3.14 has an encoder."""
    blocks = [data[at:at + 65536] for at in range(0, len(data), 65536)] or [b""]
    frame = b"\x28\xb5\x2f\xfd\x00\x38"
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        frame += (len(block) << 3 | last).to_bytes(3, "little") + block
    return frame


def zstd_bomb(size: int) -> bytes:
    """A zstd frame of blocks that repeat one byte, 128 KiB from four bytes each."""
    blocks = [(131072 << 3 | 1 << 1 | (at + 131072 >= size)).to_bytes(3, "little") + b" " for at in range(0, size, 131072)]
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(blocks)


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd}


def send(url: str, body: bytes, coding: str):
    request = urllib.request.Request(
        url, data=body, headers={"content-type": "application/json", "content-encoding": coding}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def message_of(path: str, body: dict) -> str:
    """The error's sentence, after a look at the shape that the API gives its errors."""
    if path.startswith("/api/"):
        assert set(body) == {"error"}
        return body["error"]
    if path == "/v1/messages":
        assert body["type"] == "error" and set(body["error"]) == {"type", "message"}
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]["message"]


class Compressing(httpx2.HTTPTransport):
    """Encodes every request's body on its way out."""

    def __init__(self, coding: str):
        super().__init__()
        self.coding = coding

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = ENCODERS[self.coding](request.read())
        headers = [(k, v) for k, v in request.headers.multi_items() if k.lower() != "content-length"]
        headers.append(("content-encoding", self.coding))
        return super().handle_request(httpx2.Request(request.method, request.url, headers=headers, content=body))


@pytest.mark.parametrize("coding", ENCODERS)
def test_an_official_client_that_compresses_reads_the_same_answer(server, client, coding):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "What is a dialect?"}], "max_tokens": 12, "temperature": 0}
    plain = client.chat.completions.create(**asked).choices[0].message.content
    assert plain
    compressing = server.openai(http_client=openai.DefaultHttpxClient(transport=Compressing(coding)))
    assert compressing.chat.completions.create(**asked).choices[0].message.content == plain
    chunks = compressing.chat.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == plain
    claude = anthropic.Anthropic(
        base_url=server.url, api_key="unused", max_retries=0,
        http_client=anthropic.DefaultHttpxClient(transport=Compressing(coding)),
    )
    counted = claude.messages.count_tokens(model=MODEL, messages=asked["messages"])
    assert counted.input_tokens > 0


# A request as the reference implementation of zstd encodes it: matches, Huffman trees, a checksum.
REFERENCE = base64.b64decode(
    "KLUv/QQA5QQAQogbHlCltg1EWTHZhIUa3RGzrcoTk6gsEkXze4qxJzOzw89zMBQIA0XgXCGil68yCRUdg60PReJc5UOU2pq0n7Sm"
    "tR1gvRMRhV1xNwKU8STvPtHszXhpd82XW74FonR3qHNfiUjyegrscmsiyn3ilS8RAABTBNEJIiaIRBCdIGJWjdyDFdpkYOAARkMI"
    "Qqisgl8V3GaYoILsBKoMCVx2YA=="
)


def test_what_the_reference_implementation_of_zstd_encoded_is_read(server):
    status, body = send(f"{server.url}/v1/chat/completions", REFERENCE, "zstd")
    assert status == 200 and body["usage"]["completion_tokens"] == 2, body


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("coding", ENCODERS)
def test_every_dialect_reads_an_encoded_body(server, path, coding):
    body = json.dumps(REQUESTS[path]).encode()
    status, answer = send(server.url + path, ENCODERS[coding](body), coding)
    assert status == 200, answer
    # One coding over another, the outer one last.
    status, answer = send(server.url + path, gzip.compress(ENCODERS[coding](body)), f"{coding}, gzip")
    assert status == 200, answer


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_too_large_in_the_dialects_own_words(server, path, coding):
    bomb = gzip.compress(b" " * (LIMIT + 1)) if coding == "gzip" else zstd_bomb(LIMIT + 1)
    assert len(bomb) < 100_000
    status, body = send(server.url + path, bomb, coding)
    assert status == 413 and str(LIMIT) in message_of(path, body), body
    if path == "/v1/messages":
        assert body["error"]["type"] == "request_too_large"


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("coding", ENCODERS)
def test_a_body_that_is_not_what_it_says_is_a_400(server, path, coding):
    whole = ENCODERS[coding](json.dumps(REQUESTS[path]).encode())
    plain = json.dumps(REQUESTS[path]).encode()
    for wrong in [whole[:-1], whole[: len(whole) // 2], whole + b"garbage", plain]:
        status, body = send(server.url + path, wrong, coding)
        said = message_of(path, body)
        assert status == 400 and coding in said and "Content-Encoding" in said, body


@pytest.mark.parametrize("path", REQUESTS)
def test_a_coding_that_nobody_can_undo_is_named_with_those_that_can(server, path):
    status, body = send(server.url + path, b"???", "gzip, br")
    said = message_of(path, body)
    assert status == 400 and '"br"' in said and "zstd" in said, body
    status, body = send(server.url + path, b"???", "gzip, gzip, gzip, gzip")
    assert status == 400 and "Content-Encoding" in message_of(path, body), body
