"""Keys on the command line and at the running server, as the official client meets them."""

import json
import os
import subprocess

import openai
import pytest

from conftest import MODEL, Server, binary, until

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture()
def keys(tmp_path):
    """A file of keys; calls `atoll keys` on it."""
    env = {"ATOLL_KEYS": str(tmp_path / "keys.json")}

    def run(*args: str) -> str:
        done = subprocess.run(
            [str(binary()), "keys", *args], env={**os.environ, **env}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run.env = env
    return run


def client(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=120)


def say(client: openai.OpenAI):
    return client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=4)


def test_a_key_lets_in_until_it_is_revoked(keys):
    first = keys("create", "first")
    server = Server("--require-key", env=keys.env)
    try:
        assert say(client(server, first)).choices
        for wrong in ("unused", first[:-1]):
            with pytest.raises(openai.AuthenticationError) as refused:
                say(client(server, wrong))
            assert refused.value.code == "invalid_api_key"

        # Made while the server runs.
        second = keys("create", "second", "--model", "other-*")

        def known():
            try:
                say(client(server, second))
            except openai.PermissionDeniedError:
                return True
            except openai.AuthenticationError:
                return False

        until(known, what="the second key is known, and not for this model")
        assert client(server, second).models.list().data == []

        keys("revoke", "first")

        def gone():
            try:
                say(client(server, first))
            except openai.AuthenticationError:
                return True

        until(gone, what="the revoked key is refused")
        listed = json.loads(keys("list", "--json"))
        assert [key["name"] for key in listed] == ["second"]
        assert second not in keys("list") and first not in server.log() and second not in server.log()
    finally:
        server.stop()


def test_quotas_are_told_in_headers_and_errors(keys):
    key = keys("create", "ci", "--requests-per-minute", "1", "--tokens-per-minute", "300")
    server = Server("--require-key", env=keys.env)
    try:
        raw = client(server, key).chat.completions.with_raw_response
        reply = raw.create(model=MODEL, messages=HELLO, max_tokens=4)
        assert reply.headers["x-ratelimit-limit-requests"] == "1"
        assert reply.headers["x-ratelimit-remaining-requests"] == "0"
        for ask in (say, lambda client: client.responses.create(model=MODEL, input="Hello", max_output_tokens=4)):
            with pytest.raises(openai.RateLimitError) as refused:
                ask(client(server, key))
            headers = refused.value.response.headers
            assert 1 <= int(headers["retry-after"]) <= 60
            assert int(headers["x-ratelimit-remaining-tokens"]) < 300
            assert refused.value.code == "rate_limit_exceeded"
    finally:
        server.stop()


def test_asking_for_keys_without_having_any_is_refused_at_the_start(tmp_path):
    env = {**os.environ, "ATOLL_KEYS": str(tmp_path / "none.json")}
    done = subprocess.run(
        [str(binary()), "serve", "--listen", "127.0.0.1:0", "--require-key"],
        env=env, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode != 0 and "atoll keys create" in done.stderr


def test_every_api_is_refused_in_its_own_shape(keys):
    import anthropic
    import ollama

    key = keys("create", "user", "--requests-per-minute", "2")
    server = Server("--require-key", env=keys.env)

    def claude(key: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0, timeout=120)

    def message(client: anthropic.Anthropic):
        return client.messages.create(model=MODEL, max_tokens=4, messages=HELLO, extra_body={"temperature": 0})

    try:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            message(claude("wrong"))
        assert refused.value.response.json()["error"]["type"] == "authentication_error"
        assert refused.value.request_id
        # `x-api-key`, as this client sends it.
        assert message(claude(key)).content
        with pytest.raises(ollama.ResponseError, match="administrator") as forbidden:
            ollama.Client(host=server.url, headers={"authorization": f"Bearer {key}"}).pull("reef/tiny")
        assert forbidden.value.status_code == 403
        with pytest.raises(anthropic.RateLimitError) as limited:
            message(claude(key))
        assert limited.value.response.json()["error"]["type"] == "rate_limit_error"
        assert int(limited.value.response.headers["retry-after"]) >= 1
    finally:
        server.stop()
