"""Several hosts, one pool: the same tokens over one to four stages, through every API and any host."""

import asyncio
import subprocess

import anthropic
import ollama
import openai
import pytest

from conftest import Server, binary, until
from pool import Pool, ready, stages_of, status

STAGES = {"whole": 1, "two": 2, "three": 3, "four": 4}
DIVIDED = ["two", "three", "four"]
QUESTION = [{"role": "user", "content": "Tell me a story about a reef."}]


@pytest.fixture(scope="module")
def pool():
    # Busy is not lost: nothing is killed here.
    pool = Pool(4, STAGES, patience_ms=20_000)
    yield pool
    pool.stop()


def chat(node: Server, model: str, seed: int | None = None, stream: bool = True, tokens: int = 40) -> str:
    client = node.openai()
    sampled = {"temperature": 1.0, "seed": seed} if seed is not None else {"temperature": 0}
    asked = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=tokens, stream=stream, **sampled)
    if not stream:
        return asked.choices[0].message.content
    return "".join(chunk.choices[0].delta.content or "" for chunk in asked if chunk.choices)


def completion(node: Server, model: str, prompt: str, **more) -> str:
    asked = node.openai().completions.create(model=model, prompt=prompt, max_tokens=24, temperature=0, **more)
    return asked.choices[0].text


def responses(node: Server, model: str) -> str:
    stream = node.openai().responses.create(
        model=model, input=QUESTION, temperature=0, max_output_tokens=40, stream=True,
    )
    return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def claude(node: Server, model: str) -> str:
    client = anthropic.Anthropic(base_url=node.url, api_key="unused", max_retries=0, timeout=120)
    with client.messages.stream(model=model, messages=QUESTION, max_tokens=40, extra_body={"temperature": 0}) as stream:
        return "".join(stream.text_stream)


def ollama_chat(node: Server, model: str) -> str:
    client = ollama.Client(host=node.url, timeout=120)
    options = {"temperature": 0, "num_predict": 40}
    parts = client.chat(model=model, messages=QUESTION, options=options, stream=True)
    return "".join(part.message.content or "" for part in parts)


def test_all_hosts_see_all(pool):
    seen = [sorted(ready(node)) for node in pool.nodes]
    assert len(seen[0]) == 4
    assert all(other == seen[0] for other in seen)
    status_of_first = status(pool.nodes[0])
    until(
        lambda: all(
            member["link"]["round_trip"] for member in status(pool.nodes[0])["members"]
            if member["id"] != status_of_first["node"]
        ),
        what="every way is measured",
    )


@pytest.mark.parametrize("model", DIVIDED)
def test_stages_draw_what_one_host_draws(pool, model):
    """Greedy and seeded, whole and streamed, whichever host is asked."""
    for node in (pool.nodes[0], pool.nodes[3]):
        for seed in (None, 7):
            expected = chat(pool.nodes[1], "whole", seed)
            assert chat(node, model, seed) == expected
            assert chat(node, model, seed, stream=False) == expected
    held = stages_of(pool.nodes[0], model)
    until(lambda: len(stages_of(pool.nodes[0], model)) == STAGES[model], what="the stages are seen")
    held = stages_of(pool.nodes[0], model)
    assert len(set(held.values())) == STAGES[model], held


@pytest.mark.parametrize("ask", [responses, claude, ollama_chat])
def test_every_dialect_streams_the_same_from_every_host(pool, ask):
    expected = ask(pool.nodes[0], "whole")
    assert expected
    for node in pool.nodes:
        assert ask(node, "three") == expected


def test_sixteen_streams_at_once(pool):
    async def run(model):
        async def one(index):
            node = pool.nodes[index % 4]
            async with node.async_openai() as client:
                stream = await client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": f"Count from {index}."}], stream=True,
                    max_tokens=32, temperature=1.0, seed=index,
                )
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

        return await asyncio.gather(*(one(index) for index in range(16)))

    expected = asyncio.run(run("whole"))
    assert asyncio.run(run("four")) == expected
    assert len(set(expected)) > 8


def test_prefixes_and_choices_are_shared_over_stages(pool):
    """Several choices fork one prompt, and a longer prompt goes on where a shorter one was."""
    prompt = "Once upon a time there was a reef, and on the reef there lived a small fish. " * 6
    for text in (prompt, prompt + "One day"):
        assert completion(pool.nodes[0], "three", text) == completion(pool.nodes[0], "whole", text)

    def choices(model):
        made = pool.nodes[2].openai().chat.completions.create(
            model=model, messages=QUESTION, max_tokens=16, n=3, temperature=1.0, seed=5,
        )
        return [choice.message.content for choice in made.choices]

    assert choices("three") == choices("whole")


def test_a_model_of_another_host_is_listed_and_answers(pool, tmp_path):
    """A host without any model of its own is a way to all of them."""
    bare = pool.add(models=str(tmp_path))
    try:
        pool.settle()
    finally:
        pool.nodes.remove(bare)
    client = bare.openai()
    until(lambda: "three" in [model.id for model in client.models.list()], what="the list has the others' models")
    assert chat(bare, "three") == chat(pool.nodes[0], "whole")
    with pytest.raises(openai.NotFoundError, match="nobody-has-it"):
        chat(bare, "nobody-has-it")
    assert bare.stop() == 0
    pool.settle()


def test_the_command_shows_nodes_and_stages(pool):
    node = pool.nodes[0]
    chat(node, "two")
    until(lambda: len(stages_of(node, "two")) == 2, what="the stages are seen")
    shown = subprocess.run(
        [str(binary()), "cluster", "status", "--listen", node.url.removeprefix("http://")],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout
    for word in (pool.name, "ready (this one)", "ROUND TRIP", "LINK", "loopback", "LAYERS", "two"):
        assert word in shown, shown
