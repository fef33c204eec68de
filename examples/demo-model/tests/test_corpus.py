"""The corpus: repeatable, well formed, and apart from the evaluation."""

import json

import pytest

from corpus import atoll, mixture, render, scoring, tools
from corpus import words as W
from corpus.draw import EVAL, Draw, held_out, parts


def test_the_same_seed_gives_the_same_corpus():
    first = [render.text(c) for c in mixture.stream(9, 200)]
    assert first == [render.text(c) for c in mixture.stream(9, 200)]
    assert first != [render.text(c) for c in mixture.stream(10, 200)]


def test_workers_share_one_corpus():
    """Worker w of n makes conversations w, w + n, ...: together they make the corpus once."""
    whole = [render.text(c) for c in mixture.stream(9, 60)]
    for worker in range(3):
        assert [render.text(c) for c in mixture.stream(9, 60, start=worker, step=3)] == whole[worker::3]


def test_conversations_are_well_formed():
    for c in mixture.stream(3, 1500):
        roles = [m["role"] for m in c["messages"]]
        if roles[0] == "system":
            roles = roles[1:]
        assert roles[0] == "user" and roles[-1] == "assistant"
        for a, b in zip(roles, roles[1:]):
            assert (a, b) in {("user", "assistant"), ("assistant", "user"), ("assistant", "tool"), ("tool", "tool"), ("tool", "assistant")}
        text = render.text(c)
        assert text.count("<|im_start|>") == text.count("<|im_end|>")
        assert any(learnt for _, learnt in render.segments(c))
        for m in c["messages"]:
            assert "<|im_" not in m["content"]


def check(value, schema):
    """As much of JSON Schema as the corpus uses."""
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert isinstance(value, tuple(x for n in named for x in (kinds[n] if isinstance(kinds[n], tuple) else (kinds[n],)))), (value, schema)
    if isinstance(value, bool):
        assert "boolean" in named
    if "enum" in schema:
        assert value in schema["enum"]
    if isinstance(value, list):
        for v in value:
            check(v, schema["items"])
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"])
        for k, v in value.items():
            check(v, schema["properties"][k])


def test_tool_calls_are_valid_under_their_schemas():
    calls = 0
    for c in mixture.stream(4, 3000):
        schemas = {t["function"]["name"]: t["function"] for t in c.get("tools") or []}
        for m in c["messages"]:
            for call in m.get("tool_calls") or []:
                f = call["function"]
                assert f["name"] in schemas
                check(f["arguments"], schemas[f["name"]]["parameters"])
                calls += 1
    assert calls > 500


def test_every_string_argument_was_in_the_conversation():
    """A call that needed a value nobody gave could only be learnt by guessing."""
    for c in mixture.stream(6, 2000):
        said = "\n".join(m["content"] for m in c["messages"] if m["role"] == "user")
        offered = json.dumps(c.get("tools") or [], ensure_ascii=False)
        for m in c["messages"]:
            for call in m.get("tool_calls") or []:
                for v in call["function"]["arguments"].values():
                    for s in v if isinstance(v, list) else [v]:
                        if isinstance(s, str):
                            assert s.lower() in said.lower() or f'"{s}"' in offered, (s, said)


def test_json_answers_parse_and_hold_the_right_values():
    for case in mixture.cases(1, 40, ["JSON"]):
        assert scoring.score(case, case["answer"]), case


def test_the_reference_answer_of_every_case_is_right():
    for case in mixture.cases(2, 25):
        if case["check"]["kind"] == "calls":
            answer = "\n".join(render.call_text(n, a) for n, a in case["check"]["calls"])
        else:
            answer = case["answer"]
        assert scoring.score(case, answer), case


@pytest.mark.parametrize("items", [W.FIRST, W.LAST, W.CITY, W.TOPIC, W.PRODUCT, W.FIRST_AR, W.LAST_AR])
def test_held_out_entities_are_apart(items):
    train, evaluation = parts(items)
    assert train and evaluation and not set(train) & set(evaluation)
    assert set(train) | set(evaluation) == set(items)
    d, e = Draw(1), Draw(1, EVAL)
    assert {d.new(items) for _ in range(2000)} <= set(train)
    assert {e.new(items) for _ in range(500)} <= set(evaluation)


def test_held_out_questions_about_atoll_are_never_trained():
    held = {q.lower().rstrip("?. ") for f in atoll.FACTS for q in f["held"]}
    trained = {q.lower().rstrip("?. ") for f in atoll.FACTS for q in f["questions"]}
    assert not held & trained
    d = Draw(8)
    for _ in range(20000):
        assert atoll.ask(d)[0].lower().rstrip("?. ") not in held


def test_composed_tools_of_the_evaluation_are_never_trained():
    d = Draw(2)
    for _ in range(500):
        t = tools.Composed(d)
        assert not held_out(f"{t.verb}_{t.obj}")
    e = Draw(2, EVAL)
    for _ in range(200):
        t = tools.Composed(e)
        assert held_out(f"{t.verb}_{t.obj}")


def test_there_are_enough_facts_with_enough_phrasings():
    assert len(atoll.FACTS) >= 100
    assert len({f["key"] for f in atoll.FACTS}) == len(atoll.FACTS)
    for f in atoll.FACTS:
        assert f["answers"] and f["held"] and len(f["questions"]) >= 5, f["key"]
        for a in f["answers"]:
            for m in f["must"]:
                assert any(x.lower() in a.lower() for x in m.split("|")), (f["key"], m)


def test_facts_can_be_told_apart():
    for f in atoll.FACTS:
        for a in f["answers"]:
            assert scoring.closest_fact(a) == f["key"]
