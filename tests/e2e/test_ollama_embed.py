"""Embeddings with the official `ollama` package."""

import math

import ollama
import pytest

from conftest import MODEL, Server

LONG = "word " * 6000  # beyond the model's context


@pytest.fixture()
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url, timeout=120)


def test_a_batch_is_unit_vectors_each_as_if_alone(client):
    texts = ["A small boat.", "A small ship.", "1 + 1 = 2"]
    batch = client.embed(model=MODEL, input=texts)
    assert len(batch.embeddings) == 3 and batch.model == MODEL
    for text, vector in zip(texts, batch.embeddings):
        assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-5)
        alone = client.embed(model=MODEL, input=text)
        assert alone.embeddings == [vector]
    counts = [client.embed(model=MODEL, input=text).prompt_eval_count for text in texts]
    assert batch.prompt_eval_count == sum(counts) > 0
    assert batch.total_duration >= batch.load_duration


def test_dimensions_are_the_first_ones_at_length_one(client):
    whole = client.embed(model=MODEL, input="A small boat.").embeddings[0]
    short = client.embed(model=MODEL, input="A small boat.", dimensions=8).embeddings[0]
    length = math.hypot(*whole[:8])
    assert short == pytest.approx([value / length for value in whole[:8]], abs=1e-5)
    with pytest.raises(ollama.ResponseError, match="dimensions"):
        client.embed(model=MODEL, input="x", dimensions=100_000)


def test_what_is_too_long_is_cut_or_refused(client):
    cut = client.embed(model=MODEL, input=[LONG, "A small boat."])
    assert len(cut.embeddings) == 2
    assert cut.embeddings[0] == client.embed(model=MODEL, input=LONG + "and more", truncate=True).embeddings[0]
    with pytest.raises(ollama.ResponseError, match="the input length exceeds the context length"):
        client.embed(model=MODEL, input=LONG, truncate=False)


def test_nothing_to_embed_is_no_error(client):
    assert client.embed(model=MODEL, input=[]).embeddings == []
    # With nothing said it loads the model.
    assert client.embed(model=MODEL, input="").embeddings == []


def test_the_older_route_is_not_normalised(client):
    one = client.embeddings(model=MODEL, prompt="A small boat.").embedding
    unit = client.embed(model=MODEL, input="A small boat.").embeddings[0]
    length = math.hypot(*one)
    assert length != pytest.approx(1.0, abs=1e-3)
    assert unit == pytest.approx([value / length for value in one], abs=1e-5)


def test_a_model_says_what_it_can_do(client):
    shown = client.show(MODEL).capabilities
    assert set(shown) == {"completion", "tools", "thinking"}, "from the model's own template and tokenizer"
