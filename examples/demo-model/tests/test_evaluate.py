"""The evaluation around the scoring: what goes over the wire, and the table in the model card."""

import json
import pathlib

import pytest

import evaluate
from corpus import mixture

HERE = pathlib.Path(__file__).resolve().parent.parent


def test_calls_and_results_go_over_the_wire_with_matching_ids():
    cases = [c for c in mixture.cases(1, 10, ["tools"]) if any(m["role"] == "tool" for m in c["messages"])]
    assert cases
    for case in cases:
        called, answered = [], []
        for sent, meant in zip(evaluate.wire_messages(case), case["messages"], strict=True):
            assert sent["role"] == meant["role"] and "reasoning_content" not in sent
            for call, wanted in zip(sent.get("tool_calls") or [], meant.get("tool_calls") or [], strict=True):
                assert json.loads(call["function"]["arguments"]) == wanted["function"]["arguments"]
                called.append(call["id"])
            if sent["role"] == "tool":
                answered.append(sent["tool_call_id"])
        assert called == answered and len(set(called)) == len(called)


def test_every_hand_written_case_can_be_scored():
    cases = evaluate.newcomer()
    assert len(cases) > 80
    for case in cases:
        check = case["check"]
        assert check.get("calls") or check.get("any") or check.get("all"), "a check that nothing can fail"


def test_the_table_replaces_the_one_before():
    card = f"a\n{evaluate.BEGIN}\nold\n{evaluate.END}\nb"
    once = evaluate.in_card(card, "| new |")
    assert once == f"a\n{evaluate.BEGIN}\n| new |\n{evaluate.END}\nb"
    assert evaluate.in_card(once, "| new |") == once
    with pytest.raises(ValueError, match="accuracy"):
        evaluate.in_card("no marks", "| new |")


def test_the_card_that_ships_names_every_skill():
    card = (HERE / "card.md").read_text(encoding="utf-8")
    assert (HERE.parent.parent / "models" / "atoll-demo" / "README.md").read_text(encoding="utf-8") == card
    for skill in [*mixture.EVALUATION, *(c["skill"] for c in evaluate.newcomer()), "stops by itself"]:
        assert f"| {skill} |" in card, skill
