"""What schemathesis may not choose: the model, and how much of it one request uses."""

import json
import os

import schemathesis

MODEL = os.environ["ATOLL_MODEL"]
# The names under which the APIs limit an answer.
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict):
        return
    if "model" in body:
        body["model"] = MODEL
    for name in LIMITS:
        if isinstance(body.get(name), int):
            body[name] = max(0, min(body[name], 8))
    if isinstance(body.get("n"), int):
        body["n"] = max(1, min(body["n"], 2))
    options = body.get("options")
    if isinstance(options, dict):
        options["num_predict"] = 8


@schemathesis.deserializer("application/x-ndjson")
def last_line(context, response):
    """The descriptions have one schema for every line; the last has the most fields."""
    return json.loads(response.content.decode().splitlines()[-1])
