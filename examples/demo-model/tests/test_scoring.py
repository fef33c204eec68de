"""The judge: right answers pass, near misses do not."""

from corpus import scoring

score = scoring.score


def case(check, answer=""):
    return {"check": check, "answer": answer}


def test_exact_allows_outer_white_space_only():
    c = case({"kind": "exact"}, "PII_EMAIL_1_k7q")
    assert score(c, " PII_EMAIL_1_k7q\n")
    assert not score(c, "PII_EMAIL_1_k7Q")
    assert not score(c, "PII_EMAIL_1_k7q.")


def test_contains_wants_every_string():
    c = case({"kind": "contains", "all": ["a1", "b2"]})
    assert score(c, "x a1 y b2")
    assert not score(c, "x a1 y")


def test_length_and_lines_are_bounded():
    assert not score(case({"kind": "contains", "all": [], "length": (5, 9)}), "abc")
    assert score(case({"kind": "contains", "all": [], "lines": 3}), "a\nb\nc")
    assert not score(case({"kind": "contains", "all": [], "lines": 3}), "a\nb")


def test_calls_compare_names_order_and_values():
    check = {"kind": "calls", "calls": [["f", {"a": 1, "b": "x"}]]}
    good = '<tool_call>\n{"name": "f", "arguments": {"b": "x", "a": 1.0}}\n</tool_call>'
    assert score(case(check), good)
    assert score(case(check), "", [["f", {"a": 1, "b": "x"}]])
    assert not score(case(check), good.replace('"x"', '"y"'))
    assert not score(case(check), good + "\n" + good)
    assert not score(case(check), good.replace("</tool_call>", ""))
    assert not score(case(check), "f(a=1)")


def test_a_call_is_no_answer():
    text = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    assert not score(case({"kind": "contains", "all": []}), text)
    assert not score(case({"kind": "contains", "all": []}), "<tool_call>\nbroken")


def test_json_compares_values_not_spelling():
    check = {"kind": "json", "value": {"n": 3, "u": True, "l": ["a"], "z": None}}
    assert score(case(check), '{"u": true, "l": ["a"], "n": 3.0, "z": null}')
    assert not score(case(check), '{"u": 1, "l": ["a"], "n": 3, "z": null}')
    assert not score(case(check), '{"u": true, "l": ["a"], "n": 3}')
    assert not score(case(check), "not json")


def test_json_shapes():
    check = {"kind": "json", "value": None, "shape": {"name": str, "price": float}}
    assert score(case(check), '{"name": "x", "price": 3}')
    assert not score(case(check), '{"name": 3, "price": 3}')
    assert not score(case(check), '{"name": "x"}')
    assert score(case({"kind": "json", "value": None, "shape": [str, str]}), '["a", "b"]')


def test_members_must_be_different_and_known():
    check = {"kind": "members", "of": ["red", "blue", "green"], "count": 2}
    assert score(case(check), "Red and blue.")
    assert score(case(check), "- red\n- green")
    assert not score(case(check), "Red and red.")
    assert not score(case(check), "Red and mauve.")


def test_facts_tolerate_a_word_but_not_another_fact():
    check = {"kind": "fact", "key": "row"}
    assert score(case(check), "A row is one sequence's part of a step.")
    assert not score(case(check), "A step is one pass of a batch through the model.")
    assert not score(case(check), "I do not know.")
