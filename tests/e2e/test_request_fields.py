"""Every field that the official packages know is honoured, refused by name, or named in `x-atoll-ignored`.

The tables below say which; the packages say what there is, so a field that a new version adds fails here until
somebody has decided. What honouring a field does is tested where it is done: `plugins/*/src`, and the other files here.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import anthropic.types as claude
import ollama._types as ollama
import openai.types as openai
import pytest

from conftest import MODEL, Server

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CLAUDE_TOOL = {"name": "f", "description": "d", "input_schema": SCHEMA}

HONOURED, REFUSED, IGNORED = "honoured", "refused", "ignored"


class Api:
    """One request type: where it goes, its smallest body, the fields its package knows, and what becomes of each."""

    def __init__(self, path: str, smallest: dict, known: set[str], table: dict, errors):
        self.path, self.smallest, self.known, self.table, self.errors = path, smallest, known, table, errors


def openai_param(error: dict) -> str:
    return error["error"]["param"]


def claude_message(error: dict) -> str:
    return error["error"]["message"]


def ollama_message(error: dict) -> str:
    return error["error"]


# Each field: a value (or several fields at once, as an object under the field's name in braces), and what becomes of it.
SAMPLING = {
    "frequency_penalty": [(0.5, HONOURED), (3, REFUSED), ("x", REFUSED)],
    "presence_penalty": [(0.5, HONOURED), (-3, REFUSED)],
    "logit_bias": [({"5": -100}, HONOURED), ({"x": 1}, REFUSED), ({"5": 101}, REFUSED)],
    "temperature": [(0.5, HONOURED), (2.5, REFUSED)],
    "top_p": [(0.5, HONOURED), (1.5, REFUSED)],
    "seed": [(7, HONOURED), ("x", REFUSED)],
    "stop": [("x", HONOURED), (["x", "y"], HONOURED), (7, REFUSED)],
    "n": [(2, HONOURED), (0, REFUSED)],
    "user": [("u", HONOURED), (7, REFUSED)],
    "stream_options": [({"include_usage": True}, REFUSED)],
    "model": [("", REFUSED), (7, REFUSED)],
}

CHAT = Api(
    "/v1/chat/completions",
    {"model": MODEL, "messages": HELLO, "max_tokens": 2},
    set(openai.chat.completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"},
    {
        **SAMPLING,
        "messages": [([], REFUSED), ([{"role": "wizard", "content": "x"}], REFUSED)],
        "stream": [("x", REFUSED)],
        "audio": [({"voice": "alloy", "format": "mp3"}, IGNORED)],
        "modalities": [(["text"], HONOURED), (["text", "audio"], REFUSED)],
        "function_call": [({"functions": [FUNCTION], "function_call": "none"}, HONOURED), ("auto", IGNORED)],
        "functions": [([FUNCTION], HONOURED), ([{}], REFUSED)],
        "logprobs": [(True, HONOURED), (7, REFUSED)],
        "top_logprobs": [({"logprobs": True, "top_logprobs": 3}, HONOURED), (3, REFUSED), ({"logprobs": True, "top_logprobs": 21}, REFUSED)],
        "max_completion_tokens": [(2, HONOURED), (-2, REFUSED)],
        "max_tokens": [(0, HONOURED), ("x", REFUSED)],
        "metadata": [({"a": "b"}, HONOURED), ({"a": 7}, REFUSED)],
        "moderation": [({"model": "x"}, IGNORED)],
        "parallel_tool_calls": [({"tools": [TOOL], "parallel_tool_calls": False}, HONOURED), ("x", REFUSED)],
        "prediction": [({"type": "content", "content": "x"}, IGNORED)],
        "prompt_cache_key": [("k", HONOURED)],
        "prompt_cache_options": [({"ttl": "5m"}, HONOURED)],
        "prompt_cache_retention": [("24h", HONOURED)],
        "reasoning_effort": [("low", HONOURED), ("none", HONOURED), ("extreme", REFUSED)],
        "response_format": [
            ({"type": "json_object"}, HONOURED),
            ({"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}, HONOURED),
            ({"type": "yaml"}, REFUSED),
            ({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "$ref": "#/nowhere"}}}, REFUSED),
        ],
        "safety_identifier": [("s", HONOURED)],
        "service_tier": [("flex", IGNORED)],
        "store": [(True, IGNORED)],
        "tool_choice": [({"tools": [TOOL], "tool_choice": "required"}, HONOURED), ("required", REFUSED), ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, REFUSED)],
        "tools": [([TOOL], HONOURED), ([{"type": "function"}], REFUSED)],
        "verbosity": [("low", IGNORED)],
        "web_search_options": [({}, IGNORED)],
    },
    openai_param,
)

COMPLETIONS = Api(
    "/v1/completions",
    {"model": MODEL, "prompt": "Hello", "max_tokens": 2},
    set(openai.completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"},
    {
        **SAMPLING,
        "stream": [(7, REFUSED)],
        "prompt": [(["a", "b"], HONOURED), ([5, 6], HONOURED), ([[5], [6]], HONOURED), ([], REFUSED), ({}, REFUSED)],
        "best_of": [(1, HONOURED), ({"n": 2, "best_of": 1}, REFUSED), (2, HONOURED), ({"best_of": 2, "stream": True}, REFUSED)],
        "echo": [(True, HONOURED), ({"echo": True, "logprobs": 1}, REFUSED)],
        "logprobs": [(3, HONOURED), (21, REFUSED)],
        "max_tokens": [(0, HONOURED)],
        "suffix": [("", HONOURED), ("the end", REFUSED)],
    },
    openai_param,
)

EMBEDDINGS = Api(
    "/v1/embeddings",
    {"model": MODEL, "input": "Hello"},
    set(openai.embedding_create_params.EmbeddingCreateParams.__annotations__),
    {
        "model": [("", REFUSED)],
        "input": [(["a", "b"], HONOURED), ([5, 6], HONOURED), ([[5], [6]], HONOURED), ([], REFUSED)],
        "dimensions": [(8, HONOURED), (0, REFUSED), (100_000, REFUSED)],
        "encoding_format": [("base64", HONOURED), ("int8", REFUSED)],
        "user": [("u", IGNORED)],
    },
    openai_param,
)

CLAUDE_SHARED = {
    "cache_control": [({"type": "ephemeral"}, HONOURED)],
    "messages": [([], REFUSED), ([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%"}}]}], REFUSED)],
    "model": [(7, REFUSED)],
    "output_config": [({"effort": "low"}, HONOURED), ({"format": {"type": "json_schema", "schema": SCHEMA}}, HONOURED), ({"format": {"type": "yaml"}}, REFUSED)],
    "speed": [("fast", IGNORED)],
    "system": [("Be brief.", HONOURED), ([{"type": "text", "text": "x"}], HONOURED), ([{"type": "image"}], REFUSED)],
    "thinking": [({"type": "adaptive"}, HONOURED), ({"type": "disabled"}, HONOURED), ({"type": "enabled", "budget_tokens": 5}, REFUSED)],
    "tool_choice": [({"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}}, HONOURED), ({"tools": [CLAUDE_TOOL], "tool_choice": {"type": "tool", "name": "g"}}, REFUSED)],
    "tools": [([CLAUDE_TOOL], HONOURED), ([{"name": "f"}], REFUSED), ([CLAUDE_TOOL, CLAUDE_TOOL], REFUSED)],
    "user_profile_id": [("u", IGNORED)],
    "workspace_id": [("w", IGNORED)],
}

MESSAGES = Api(
    "/v1/messages",
    {"model": MODEL, "messages": HELLO, "max_tokens": 2},
    set(claude.message_create_params.MessageCreateParamsBase.__annotations__) | {"stream"},
    {
        **CLAUDE_SHARED,
        "stream": [(7, REFUSED)],
        "container": [("c", IGNORED)],
        "diagnostics": [({"previous_message_id": "m"}, IGNORED)],
        "inference_geo": [("eu", IGNORED)],
        "max_tokens": [(0, HONOURED), (-1, REFUSED)],
        "metadata": [({"user_id": "u"}, HONOURED), ({"user_id": 7}, REFUSED)],
        "service_tier": [("auto", IGNORED)],
        "stop_sequences": [(["x"], HONOURED), ([""], REFUSED)],
    },
    claude_message,
)

COUNT_TOKENS = Api(
    "/v1/messages/count_tokens",
    {"model": MODEL, "messages": HELLO},
    set(claude.message_count_tokens_params.MessageCountTokensParams.__annotations__),
    CLAUDE_SHARED,
    claude_message,
)

OLLAMA_SHARED = {
    "model": [("", REFUSED)],
    "format": [("json", HONOURED), ("", HONOURED), (SCHEMA, HONOURED), ("yaml", REFUSED)],
    "keep_alive": [("5m", HONOURED), (300, HONOURED), ("soon", REFUSED)],
    "logprobs": [(True, HONOURED)],
    "top_logprobs": [({"logprobs": True, "top_logprobs": 3}, HONOURED), ({"logprobs": True, "top_logprobs": 21}, REFUSED)],
    "options": [("x", REFUSED)],
    "stream": [("x", REFUSED)],
    "think": [(True, HONOURED), ("low", HONOURED), (False, HONOURED), ("extreme", REFUSED)],
    # Known to the server and not to the package.
    "truncate": [(False, HONOURED), ("x", REFUSED)],
    "shift": [(False, HONOURED), ("x", REFUSED)],
}
PACKAGE_LACKS = {"truncate", "shift"}
FEW = {"num_predict": 2}

OLLAMA_CHAT = Api(
    "/api/chat",
    {"model": MODEL, "messages": HELLO, "stream": False, "options": FEW},
    set(ollama.ChatRequest.model_fields) | PACKAGE_LACKS,
    {
        **OLLAMA_SHARED,
        "messages": [([{"role": "wizard", "content": "x"}], REFUSED), ([{"role": "user", "content": "x", "images": ["%"]}], REFUSED)],
        "tools": [([TOOL], HONOURED), ([{"type": "function"}], REFUSED)],
    },
    ollama_message,
)

OLLAMA_GENERATE = Api(
    "/api/generate",
    {"model": MODEL, "prompt": "Hello", "stream": False, "options": FEW},
    set(ollama.GenerateRequest.model_fields) | PACKAGE_LACKS,
    {
        **OLLAMA_SHARED,
        "prompt": [(7, REFUSED)],
        "context": [([], HONOURED), ([1, 2], REFUSED)],
        "images": [([], HONOURED), (["%"], REFUSED)],
        "raw": [(True, HONOURED), ({"raw": True, "system": "x"}, REFUSED)],
        "suffix": [("", HONOURED), ("the end", REFUSED)],
        "system": [("Be brief.", HONOURED)],
        "template": [("{{ .Prompt }}", HONOURED), ("{{ range .Messages }}{{ end }}", REFUSED)],
        # For models that make pictures.
        "width": [(64, IGNORED)],
        "height": [(64, IGNORED)],
        "steps": [(4, IGNORED)],
    },
    ollama_message,
)

OLLAMA_EMBED = Api(
    "/api/embed",
    {"model": MODEL, "input": "Hello"},
    set(ollama.EmbedRequest.model_fields),
    {
        "model": [("", REFUSED)],
        "input": [(["a", "b"], HONOURED), (7, REFUSED)],
        "dimensions": [(8, HONOURED), (100_000, REFUSED)],
        "keep_alive": [("5m", HONOURED), ("soon", REFUSED)],
        "options": [({"num_ctx": 64}, IGNORED)],
        "truncate": [(False, HONOURED), ("x", REFUSED)],
    },
    ollama_message,
)

APIS = [CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, COUNT_TOKENS, OLLAMA_CHAT, OLLAMA_GENERATE, OLLAMA_EMBED]


def post(server: Server, path: str, body: dict):
    data = json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def check(server: Server, api: Api, field: str, value, outcome: str) -> None:
    more = value if isinstance(value, dict) and field in value else {field: value}
    status, text, headers = post(server, api.path, {**api.smallest, **more})
    said = f"{api.path} {more}: {status} {text[:300]!r} {headers.get('x-atoll-ignored')}"
    ignored = (headers.get("x-atoll-ignored") or "").split(", ")
    if outcome == REFUSED:
        assert status in (400, 404), said
        place = api.errors(json.loads(text))
        # Ollama names the field only where it has something to say about it.
        if api.errors is not ollama_message:
            assert any(name.split("_")[-1] in place for name in more), said
        return
    assert status == 200, said
    assert (field in ignored) == (outcome == IGNORED), said


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.path)
def test_every_field_is_honoured_refused_or_named(server, api):
    assert api.known <= set(api.table), f"nobody decided on {api.known - set(api.table)}"
    for field, samples in api.table.items():
        for value, outcome in samples:
            check(server, api, field, value, outcome)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.path)
def test_what_nobody_knows_is_tolerated_and_named(server, api):
    check(server, api, "some_new_field", {"a": [1]}, IGNORED)


OPTIONS = {
    "frequency_penalty": (0.5, HONOURED), "presence_penalty": (0.5, HONOURED), "repeat_penalty": (1.1, HONOURED),
    "repeat_last_n": (16, HONOURED), "temperature": (0.5, HONOURED), "top_k": (5, HONOURED), "top_p": (0.5, HONOURED),
    "seed": (7, HONOURED), "stop": (["x"], HONOURED), "num_predict": (2, HONOURED), "num_ctx": (512, HONOURED),
    "num_keep": (4, HONOURED), "typical_p": (0.5, REFUSED),
    # Of the process that runs a model in the original, or gone from it.
    **dict.fromkeys(["num_batch", "num_gpu", "main_gpu", "num_thread"], (1, IGNORED)),
    **dict.fromkeys(["numa", "use_mmap", "use_mlock", "low_vram", "f16_kv", "logits_all", "vocab_only", "embedding_only"], (True, IGNORED)),
    **dict.fromkeys(["mirostat", "mirostat_tau", "mirostat_eta", "tfs_z"], (1, IGNORED)),
    "penalize_newline": (True, IGNORED),
}


def test_every_option_of_ollama_is_honoured_refused_or_named(server):
    assert set(ollama.Options.model_fields) == set(OPTIONS)
    for name, (value, outcome) in OPTIONS.items():
        body = {**OLLAMA_CHAT.smallest, "options": {**FEW, name: value}}
        status, text, headers = post(server, "/api/chat", body)
        said = f"{name}: {status} {text[:300]!r}"
        assert status == (400 if outcome == REFUSED else 200), said
        assert (headers.get("x-atoll-ignored") == "options") == (outcome == IGNORED), said
