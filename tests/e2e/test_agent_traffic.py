"""What agent tools and chat surfaces send, in the shape they send it, with its volatile and unknown parts: Claude Code
against Messages, Codex against Responses over HTTP and WebSocket, Open WebUI against Ollama.

The bodies have the keys, roles and tool kinds of captured requests; their texts are short, because the demo model's
context is. The real agents run in tests/third-party.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid

import pytest
import websockets.sync.client

from conftest import MODEL, Server


def send(server: Server, path: str, body: dict | None = None, **headers: str):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data, headers={"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def events(text: str) -> list[dict]:
    """The events of a stream, each with its `event:` line agreeing with its type."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if not lines:
            continue
        name, data = lines
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


# Claude Code -------------------------------------------------------------------------------------------------------

BETAS = ",".join([
    "claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27", "advanced-tool-use-2025-11-20",
    "mid-conversation-tool-changes-2026-07-01", "thinking-token-count-2026-05-13", "effort-2025-11-24",
])
CLAUDE_HEADERS = {
    "anthropic-version": "2023-06-01", "anthropic-beta": BETAS, "x-api-key": "unused", "x-app": "cli",
    "x-stainless-retry-count": "0", "x-stainless-timeout": "600", "user-agent": "claude-cli/2.1.330 (external, cli)",
}
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def claude_tool(name: str, *fields: str, **more) -> dict:
    schema = {"$schema": DRAFT, "type": "object", "properties": {field: {"type": "string"} for field in fields},
              "required": list(fields), "additionalProperties": False}
    return {"name": name, "description": f"{name} for the working folder.", "input_schema": schema, **more}


def claude_code(session: str, messages: list, **change) -> dict:
    return {
        "model": MODEL, "max_tokens": 32000, "stream": True, "messages": messages,
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.330.{session}; cc_entrypoint=cli; cch=00000;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Work carefully and say little. " * 20, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "tools": [
            claude_tool("Bash", "command"), claude_tool("Read", "file_path"), claude_tool("Edit", "file_path", "old_string", "new_string"),
            claude_tool("WebFetch", "url", defer_loading=True), claude_tool("TodoWrite", "todos", cache_control={"type": "ephemeral"}),
        ],
        "metadata": {"user_id": json.dumps({"device_id": "d", "session_id": str(uuid.uuid4())})},
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        **change,
    }


FIRST = [
    {"role": "user", "content": [{"type": "text", "text": "<system-reminder>Today is Thursday.</system-reminder>"},
                                 {"type": "text", "text": "What is the weather in Tunis?", "cache_control": {"type": "ephemeral"}}]},
    {"role": "system", "content": "Answer in English."},
]


def usage_of(text: str) -> dict:
    (start,) = [event for event in events(text) if event["type"] == "message_start"]
    return start["message"]["usage"]


def test_claude_code_completes_a_turn_with_a_tool_and_finds_its_cache_again(server: Server):
    path = "/v1/messages?beta=true"
    status, text, headers = send(server, path, claude_code("0e0", FIRST), **CLAUDE_HEADERS)
    assert status == 200, text
    assert headers["request-id"]
    heard = events(text)
    assert heard[0]["type"] == "message_start" and heard[-1]["type"] == "message_stop"
    assert heard[-2]["delta"]["stop_reason"] in ("end_turn", "tool_use", "max_tokens")

    # The next session: another version suffix in the first system block, the same conversation gone on.
    again = [
        *FIRST,
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "", "signature": "bm90IG91cnM="},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "weather Tunis"}, "caller": {"type": "direct"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sunny, 21 degrees"}], "is_error": False},
            {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral"}},
        ]},
    ]
    status, text, _ = send(server, path, claude_code("d01", again, max_tokens=8), **CLAUDE_HEADERS)
    assert status == 200, text
    usage = usage_of(text)
    assert usage["cache_read_input_tokens"] > 200, f"the first session's prefix is found: {usage}"
    counted = claude_code("e55", again)
    for key in ("max_tokens", "stream", "metadata"):
        counted.pop(key)
    status, text, _ = send(server, "/v1/messages/count_tokens?beta=true", counted, **CLAUDE_HEADERS)
    assert status == 200 and json.loads(text) == {
        "input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]}


def test_claude_code_is_told_of_an_overflow_in_the_words_it_looks_for(server: Server):
    long = [{"role": "user", "content": "word " * 20000}]
    status, text, headers = send(server, "/v1/messages?beta=true", claude_code("0e0", long), **CLAUDE_HEADERS)
    error = json.loads(text)
    assert status == 400 and set(error) == {"type", "error", "request_id"} and error["request_id"] == headers["request-id"]
    assert error["error"]["message"].startswith("prompt is too long: ") and error["error"]["message"].endswith(" maximum")


def test_claude_code_asks_for_models_and_for_a_session_title(server: Server):
    status, text, _ = send(server, "/v1/models?limit=1000", None, **CLAUDE_HEADERS)
    assert status == 200 and MODEL in [model["id"] for model in json.loads(text)["data"]]
    title = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False}
    body = claude_code("0e0", [{"role": "user", "content": "Hello"}], tools=[], thinking={"type": "disabled"}, max_tokens=200,
                       output_config={"format": {"type": "json_schema", "schema": title}}, temperature=0)
    status, text, _ = send(server, "/v1/messages?beta=true", body, **CLAUDE_HEADERS)
    assert status == 200, text
    said = "".join(event["delta"].get("text", "") for event in events(text) if event["type"] == "content_block_delta")
    assert isinstance(json.loads(said)["title"], str)


# Codex -------------------------------------------------------------------------------------------------------------

GRAMMAR = 'start: "*** Begin Patch" LF "*** End Patch" LF?\n%import common.LF\n'
CODEX_HEADERS = {"originator": "codex_exec", "x-codex-beta-features": "remote_compaction_v2", "accept": "text/event-stream",
                 "authorization": "Bearer unused"}


def codex_function(name: str, *fields: str, **more) -> dict:
    return {"type": "function", "name": name, "description": f"{name}.", "strict": False, "parameters": {
        "type": "object", "properties": {field: {"type": "string"} for field in fields}, "required": list(fields[:1]),
        "additionalProperties": False}, **more}


def told(role: str, text: str) -> dict:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


CODEX_INPUT = [
    told("developer", "<permissions>Sandboxed.</permissions>"),
    told("developer", "You are a coding agent. Say little."),
    told("user", "<environment_context><cwd>/work</cwd></environment_context>"),
    told("user", "What is the weather in Tunis?"),
]


def codex(items: list, **change) -> dict:
    return {
        "model": MODEL, "stream": True, "input": items,
        "tools": [
            codex_function("exec_command", "cmd", "workdir"),
            codex_function("update_plan", "plan"),
            codex_function("view_image", "path"),
            {"type": "custom", "name": "apply_patch", "description": "Edits files.",
             "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR}},
            {"type": "namespace", "name": "mcp__notes", "description": "Notes.", "tools": [codex_function("search", "query")]},
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto", "parallel_tool_calls": True, "reasoning": {"summary": "auto"}, "store": False,
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": str(uuid.uuid4()),
        "client_metadata": {"x-codex-installation-id": "i", "x-codex-turn-metadata": "{}"},
        **change,
    }


def codex_answer(heard: list[dict]) -> dict:
    """The final response of a stream, which Codex could follow."""
    assert [event["sequence_number"] for event in heard] == list(range(len(heard)))
    assert heard[0]["type"] == "response.created" and heard[0]["response"]["id"]
    added = [event for event in heard if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in heard if event["type"] == "response.output_item.done"]
    assert heard[-1]["type"] in ("response.completed", "response.incomplete"), heard[-1]
    response = heard[-1]["response"]
    assert done == response["output"] and len(added) == len(done)
    assert response["usage"]["total_tokens"] == response["usage"]["input_tokens"] + response["usage"]["output_tokens"]
    assert "cached_tokens" in response["usage"]["input_tokens_details"]
    return response


def test_codex_completes_two_turns_over_http(server: Server):
    status, text, headers = send(server, "/v1/responses", codex(CODEX_INPUT, max_output_tokens=200), **CODEX_HEADERS)
    assert status == 200, text
    # The search is the original service's own; that it is not there is said, not refused.
    assert "tools.web_search" in headers["x-atoll-ignored"]
    first = codex_answer(events(text))
    assert first["store"] is False
    # Codex sends the whole conversation again, with what it got and what the tools said.
    items = [
        *CODEX_INPUT,
        *[{key: value for key, value in item.items() if key not in ("id", "status")} for item in first["output"]],
        {"type": "function_call", "call_id": "call_a", "name": "exec_command", "arguments": '{"cmd": "weather Tunis"}'},
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny, 21 degrees"},
        {"type": "custom_tool_call", "call_id": "call_b", "name": "apply_patch", "input": "*** Begin Patch\n*** End Patch\n"},
        {"type": "custom_tool_call_output", "call_id": "call_b", "output": "Done"},
        {"type": "function_call", "call_id": "call_c", "namespace": "mcp__notes", "name": "search", "arguments": '{"query": "x"}'},
        {"type": "function_call_output", "call_id": "call_c", "output": [{"type": "input_text", "text": "nothing"}]},
        told("user", "Thank you."),
    ]
    status, text, _ = send(server, "/v1/responses", codex(items, max_output_tokens=60), **CODEX_HEADERS)
    assert status == 200, text
    second = codex_answer(events(text))
    assert second["usage"]["input_tokens_details"]["cached_tokens"] > 100, "the first turn's prompt is found"
    status, _, _ = send(server, f"/v1/responses/{second['id']}")
    assert status == 404, "what was not to be stored is not"


def test_codex_brings_its_tools_as_an_item_when_it_knows_the_model(server: Server):
    """What it sends for models whose description it has."""
    body = codex([], max_output_tokens=200, temperature=0, parallel_tool_calls=False, text={"verbosity": "low"},
                 reasoning={"effort": "none", "context": "all_turns"}, tool_choice={"type": "function", "name": "wait"})
    tools = [{"type": "namespace", "name": "functions", "description": "", "tools": [
        {"type": "custom", "name": "exec", "description": "Runs it.", "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR}},
        codex_function("wait", "cell_id"),
    ]}]
    body.pop("tools")
    body["input"] = [{"type": "additional_tools", "id": "at_1", "role": "developer", "tools": tools}, *CODEX_INPUT]
    status, text, headers = send(server, "/v1/responses", body, **CODEX_HEADERS)
    assert status == 200, text
    ignored = headers["x-atoll-ignored"].split(", ")
    assert {"reasoning.context", "text.verbosity", "client_metadata", "tools.functions__exec.format"} <= set(ignored)
    assert not [name for name in ignored if name.startswith("input.")]
    (call,) = [item for item in codex_answer(events(text))["output"] if item["type"] == "function_call"]
    assert (call["namespace"], call["name"]) == ("functions", "wait") and "cell_id" in json.loads(call["arguments"])


@pytest.mark.parametrize(("name", "choice"), [
    ("apply_patch", {"type": "custom", "name": "apply_patch"}),
    ("search", {"type": "function", "name": "search"}),
])
def test_codex_gets_custom_and_namespaced_calls_in_their_own_items(server: Server, name: str, choice: dict):
    body = codex(CODEX_INPUT, tool_choice=choice, parallel_tool_calls=False, max_output_tokens=200, temperature=0)
    status, text, headers = send(server, "/v1/responses", body, **CODEX_HEADERS)
    assert status == 200, text
    heard = events(text)
    (call,) = [item for item in codex_answer(heard)["output"] if item["type"].endswith("_call")]
    assert call["name"] == name
    if name == "apply_patch":
        # The model is told of the grammar, and nothing is made of what it does with it: that is said.
        assert "tools.apply_patch.format" in headers["x-atoll-ignored"]
        assert call["type"] == "custom_tool_call" and call["input"]
        deltas = [event["delta"] for event in heard if event["type"] == "response.custom_tool_call_input.delta"]
        assert "".join(deltas) == call["input"]
    else:
        assert call["type"] == "function_call" and call["namespace"] == "mcp__notes" and "query" in json.loads(call["arguments"])


def test_codex_warms_up_a_socket_and_goes_on_in_it(server: Server):
    url = f"ws://127.0.0.1:{server.port}/v1/responses"
    headers = {"openai-beta": "responses_websockets=2026-02-06", "authorization": "Bearer unused"}

    def turn(socket, **change) -> dict:
        body = codex(CODEX_INPUT, **change)
        body.pop("stream")
        socket.send(json.dumps({"type": "response.create", **body}))
        heard = []
        while not heard or heard[-1]["type"] not in ("response.completed", "response.incomplete", "response.failed", "error"):
            heard.append(json.loads(socket.recv(timeout=120)))
        return codex_answer(heard)

    with websockets.sync.client.connect(url, additional_headers=headers) as socket:
        # Instructions nobody else has, so that only the warm-up can have read them.
        mine = f"Remember the session {uuid.uuid4()}. " + "Say little. " * 30
        warm = turn(socket, instructions=mine, generate=False)
        assert warm["output"] == [] and warm["usage"]["output_tokens"] == 0
        said = turn(socket, instructions=mine, max_output_tokens=24, input=CODEX_INPUT)
        assert said["usage"]["input_tokens"] == warm["usage"]["input_tokens"]
        assert said["usage"]["input_tokens_details"]["cached_tokens"] > 100, "the prompt was read ahead"
        last = turn(socket, instructions=mine, max_output_tokens=8, previous_response_id=said["id"], input=[told("user", "And?")])
        assert last["previous_response_id"] == said["id"]
        assert last["usage"]["input_tokens_details"]["cached_tokens"] > 100


def test_codex_is_told_of_an_overflow_by_its_code(server: Server):
    status, text, _ = send(server, "/v1/responses", codex([told("user", "word " * 20000)]), **CODEX_HEADERS)
    assert status == 400 and json.loads(text)["error"]["code"] == "context_length_exceeded"


# Open WebUI --------------------------------------------------------------------------------------------------------


def test_open_webui_finds_the_models_and_chats(server: Server):
    name = f"{MODEL}:latest"
    status, text, _ = send(server, "/api/version")
    assert status == 200 and len(json.loads(text)["version"].split(".")) == 3
    status, text, _ = send(server, "/api/tags")
    (entry,) = [model for model in json.loads(text)["models"] if model["model"] == name]
    assert {"name", "modified_at", "size", "digest", "details"} <= set(entry)
    body = {
        "model": name, "stream": True, "keep_alive": "7m", "think": False, "format": "",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello", "images": []}],
        "options": {"temperature": 0, "num_predict": 24, "num_ctx": 2048, "repeat_penalty": 1.1, "stop": [], "num_gpu": 1},
        # What the surface adds for itself.
        "metadata": {"chat_id": "c", "session_id": "s"}, "params": {}, "chat_id": "c", "id": "m",
    }
    status, text, headers = send(server, "/api/chat", body)
    assert status == 200 and headers["content-type"].startswith("application/x-ndjson")
    *parts, last = [json.loads(line) for line in text.splitlines()]
    assert parts and all(not part["done"] and part["model"] == name for part in parts)
    assert last["done"] and last["done_reason"] in ("stop", "length") and last["eval_count"] > 0
    for known in ("metadata", "params", "options"):
        assert known in headers["x-atoll-ignored"]
    status, text, _ = send(server, "/api/ps")
    (running,) = [model for model in json.loads(text)["models"] if model["model"] == name]
    assert running["expires_at"] and running["size"] > 0
    # Its task model for titles asks without a stream and reads JSON out of the answer; its unload button asks this:
    status, text, _ = send(server, "/api/generate", {"model": name, "keep_alive": 0, "stream": False})
    assert status == 200 and json.loads(text)["done_reason"] == "unload"
    status, text, _ = send(server, "/api/ps")
    assert name not in [model["model"] for model in json.loads(text)["models"]]
    # Its other connection type, on the same port.
    status, text, _ = send(server, "/v1/models", authorization="Bearer ")
    assert status == 200 and MODEL in [model["id"] for model in json.loads(text)["data"]]
