"""The Python renderer of the corpus and the Jinja template that ships must give the same text, byte for byte."""

import json
import pathlib

import jinja2.sandbox
import minijinja as mj
import pytest

from corpus import mixture, render

HERE = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE = (HERE / "chat_template.jinja").read_text(encoding="utf-8")


def jinja():
    """The way transformers sets up a chat template."""
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda x, **_: json.dumps(x, ensure_ascii=False)
    template = env.from_string(TEMPLATE)
    return lambda **kw: template.render(**kw)


def minijinja():
    """The engine that Atoll uses, by its Python package."""
    env = mj.Environment(trim_blocks=True, lstrip_blocks=True, auto_escape_callback=lambda name: False)
    env.add_filter("tojson", lambda x, **_: json.dumps(x, ensure_ascii=False))
    env.add_template("chat", TEMPLATE)
    return lambda **kw: env.render_template("chat", **kw)


@pytest.fixture(params=[jinja, minijinja], ids=["jinja2", "minijinja"])
def template(request):
    return request.param()


def test_the_renderer_is_the_template(template):
    for conversation in mixture.stream(5, 600):
        kw = {"messages": conversation["messages"]}
        if conversation.get("tools"):
            kw["tools"] = conversation["tools"]
        assert template(**kw) == render.text(conversation)


def test_generation_prompt_opens_or_closes_the_thought(template):
    messages = [{"role": "user", "content": "Hello"}]
    start = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert template(messages=messages, add_generation_prompt=True) == start + render.EMPTY_THINK
    assert template(messages=messages, add_generation_prompt=True, enable_thinking=False) == start + render.EMPTY_THINK
    assert template(messages=messages, add_generation_prompt=True, enable_thinking=True) == start


def test_a_turn_continues_its_prompt(template):
    """What was prompt and answer in one turn is a prefix of the next turn's prompt, so a prefix cache can keep it."""
    first = [{"role": "user", "content": "Hello"}]
    prompt = template(messages=first, add_generation_prompt=True)
    later = first + [{"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Bye"}]
    assert template(messages=later, add_generation_prompt=True).startswith(prompt + "Hi!<|im_end|>\n")


def test_content_parts_missing_content_and_string_arguments(template):
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "w", "arguments": '{"city": "Tunis"}'}}]},
        {"role": "tool", "content": "sunny"},
    ]
    text = template(messages=messages)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWeather?<|im_end|>\n")
    assert '<tool_call>\n{"name": "w", "arguments": {"city": "Tunis"}}\n</tool_call><|im_end|>' in text
    assert text.endswith("<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n")


def test_system_messages_inside_a_conversation_are_kept(template):
    messages = [{"role": "user", "content": "a"}, {"role": "system", "content": "note"}, {"role": "user", "content": "b"}]
    assert "<|im_start|>system\nnote<|im_end|>\n" in template(messages=messages)
