"""Embeddings with the official `openai` package."""

import math

import openai
import pytest

from conftest import MODEL


def test_embeddings_are_unit_vectors_in_either_encoding(client):
    texts = ["A small boat.", "A small ship.", "1 + 1 = 2"]
    packed = client.embeddings.create(model=MODEL, input=texts)
    plain = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    assert packed.usage.prompt_tokens == plain.usage.prompt_tokens > 0
    for one, other in zip(packed.data, plain.data):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert math.hypot(*one.embedding) == pytest.approx(1.0, abs=1e-5)
    # In a batch or alone: the same vector.
    alone = client.embeddings.create(model=MODEL, input=texts[1], encoding_format="float").data[0].embedding
    assert alone == plain.data[1].embedding
    short = client.embeddings.create(model=MODEL, input=texts[0], dimensions=8).data[0].embedding
    assert len(short) == 8 and math.hypot(*short) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=MODEL, input="x", dimensions=100_000)
    assert refused.value.param == "dimensions"
