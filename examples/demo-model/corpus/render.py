"""Conversation -> text, exactly as `chat_template.jinja` renders it, with the part to be learnt marked.

A plain Python twin of the template, because a corpus of a billion tokens cannot afford Jinja.
`tests/test_template.py` holds the two equal.
"""

import json

TOOLS_HEAD = "# Tools\n\nYou can call these functions:\n<tools>"
TOOLS_TAIL = (
    "\n</tools>\n\nTo call one, answer with its name and its arguments as JSON:\n"
    '<tool_call>\n{"name": "...", "arguments": {...}}\n</tool_call>'
)
EMPTY_THINK = "<think>\n\n</think>\n\n"


def dumps(value):
    """JSON the way the Hugging Face `tojson` filter writes it."""
    return json.dumps(value, ensure_ascii=False)


def call_text(name, arguments):
    """One tool call as the assistant writes it."""
    if not isinstance(arguments, str):
        arguments = dumps(arguments)
    return '<tool_call>\n{"name": "' + name + '", "arguments": ' + arguments + "}\n</tool_call>"


def assistant_body(message):
    """Content and calls of an assistant message, as the template lays them out."""
    body = message.get("content") or ""
    for call in message.get("tool_calls") or []:
        f = call.get("function") or call
        body += ("\n" if body else "") + call_text(f["name"], f["arguments"])
    return body


def segments(conversation, tool_dumps=dumps):
    """List of `(text, learnt)`; the texts joined are the rendered conversation.

    `tool_dumps` lets the corpus vary the white space and key order of tool schemas, which differ
    between template engines.
    """
    messages = conversation["messages"]
    tools = conversation.get("tools")
    out, plain = [], []
    start = 0
    has_system = bool(messages) and messages[0]["role"] == "system"
    if tools:
        plain.append("<|im_start|>system\n")
        if has_system:
            plain.append(messages[0]["content"] + "\n\n")
        plain.append(TOOLS_HEAD)
        for tool in tools:
            plain.append("\n" + tool_dumps(tool))
        plain.append(TOOLS_TAIL + "<|im_end|>\n")
    elif has_system:
        plain.append("<|im_start|>system\n" + messages[0]["content"] + "<|im_end|>\n")
    if has_system:
        start = 1
    last_user = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=-1)
    in_results = False
    for i in range(start, len(messages)):
        m = messages[i]
        role = m["role"]
        if in_results and role != "tool":
            plain.append("<|im_end|>\n")
            in_results = False
        if role in ("user", "system"):
            plain.append(f"<|im_start|>{role}\n" + m["content"] + "<|im_end|>\n")
        elif role == "tool":
            if not in_results:
                plain.append("<|im_start|>user")
                in_results = True
            plain.append("\n<tool_response>\n" + m["content"] + "\n</tool_response>")
        else:
            plain.append("<|im_start|>assistant\n")
            body = assistant_body(m)
            reasoning = m.get("reasoning_content")
            if reasoning and i > last_user:
                learnt = "<think>\n" + reasoning + "\n</think>\n\n" + body + "<|im_end|>"
            else:
                plain.append(EMPTY_THINK)
                learnt = body + "<|im_end|>"
            out.append(("".join(plain), False))
            out.append((learnt, not m.get("skip_loss", False)))
            plain = ["\n"]
    if in_results:
        plain.append("<|im_end|>\n")
    if plain:
        out.append(("".join(plain), False))
    return out


def text(conversation, tool_dumps=dumps):
    """The whole rendered conversation."""
    return "".join(t for t, _ in segments(conversation, tool_dumps))
