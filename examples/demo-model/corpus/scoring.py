"""Is an answer right? `score(case, text, calls)` -> bool. Pure, so that it can be tested."""

import difflib
import json

from . import atoll


def parse_calls(text):
    """Tool calls in a raw answer: list of [name, arguments], or None where one does not parse."""
    out = []
    for piece in text.split("<tool_call>")[1:]:
        body, end, _ = piece.partition("</tool_call>")
        if not end:
            return None
        try:
            value = json.loads(body)
            out.append([value["name"], value["arguments"]])
        except (ValueError, KeyError, TypeError):
            return None
    return out


def same(a, b):
    """Equality of JSON values; 1 and 1.0 are the same, True and 1 are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) < 1e-9
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def closest_fact(text):
    """Key of the Atoll fact whose answer is nearest to the text, or None."""
    best, key = 0.8, None
    for fact in atoll.FACTS:
        for answer in fact["answers"]:
            matcher = difflib.SequenceMatcher(None, answer, text, autojunk=False)
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (r := matcher.ratio()) > best:
                best, key = r, fact["key"]
    return key


def score(case, text, calls=None):
    """`text` is the answer without its end mark; `calls` the parsed tool calls, or None to read them from the text."""
    check = case["check"]
    kind = check["kind"]
    if calls is None:
        calls = parse_calls(text)
    if kind == "calls":
        return calls is not None and len(calls) == len(check["calls"]) and all(a[0] == b[0] and same(a[1], b[1]) for a, b in zip(calls, check["calls"]))
    if calls is None or calls:
        return False
    text = text.strip()
    if kind == "exact":
        return text == case["answer"].strip()
    if kind == "contains":
        if "length" in check and not check["length"][0] <= len(text) <= check["length"][1]:
            return False
        if "lines" in check and text.count("\n") + 1 != check["lines"]:
            return False
        return all(part in text for part in check["all"])
    if kind == "any_of":
        low = text.lower()
        return all(part in text for part in check["all"]) and (not check["any"] or any(part.lower() in low for part in check["any"]))
    if kind == "one_of":
        return text in check["any"]
    if kind == "fact":
        return closest_fact(text) == check["key"]
    if kind == "members":
        # A name may hold a comma of its own: Washington, D.C.
        for name in check["of"]:
            if ", " in name:
                text = text.replace(name, name.replace(", ", " "))
        items = [i.strip(" -.").lower() for i in text.replace(" and ", "\n").replace(", ", "\n").split("\n")]
        pool = {p.lower().rstrip(".").replace(", ", " ") for p in check["of"]}
        return len(set(items)) == check["count"] and all(i in pool for i in items)
    if kind == "json":
        try:
            value = json.loads(text)
        except ValueError:
            return False
        shape = check.get("shape")
        if isinstance(shape, list):
            return isinstance(value, list) and [type(v) for v in value] == shape
        if shape:
            return isinstance(value, dict) and set(value) == {*shape} and all(isinstance(v, shape[k]) or shape[k] is float and isinstance(v, int) for k, v in value.items())
        return same(value, check["value"])
    raise ValueError(kind)
