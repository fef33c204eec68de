"""The tokenizer: reversible, and cutting a string the same way wherever it stands."""

import pathlib

import pytest
import tokenizers

from corpus import mixture, render
from corpus import strings as S
from corpus.draw import Draw

FILE = pathlib.Path(__file__).resolve().parent.parent / "tokenizer" / "tokenizer.json"


@pytest.fixture(scope="module")
def tok():
    return tokenizers.Tokenizer.from_file(str(FILE))


def test_round_trip(tok):
    d = Draw(3)
    samples = [render.text(c) for c in mixture.stream(3, 100)] + [S.noise(d) for _ in range(300)] + ["", " ", "\n\n", "a\r\nb\t c", "naïve façade ✓ 🙂 漢字"]
    for text in samples:
        assert tok.decode(tok.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


def test_parts_encoded_apart_are_the_whole(tok):
    """Training encodes prompt and answer apart; a server encodes the prompt whole."""
    for c in mixture.stream(4, 200):
        apart = [i for text, _ in render.segments(c) for i in tok.encode(text, add_special_tokens=False).ids]
        assert apart == tok.encode(render.text(c), add_special_tokens=False).ids


def test_digits_stand_alone(tok):
    assert [t.lstrip("Ġ") for t in tok.encode("2026-11").tokens] == ["2", "0", "2", "6", "-", "1", "1"]


def test_a_space_changes_the_first_piece_only(tok):
    d = Draw(5)
    for _ in range(500):
        word = S.pseudoword(d)
        bare = tok.encode(word).tokens
        spaced = tok.encode(" " + word).tokens
        quoted = tok.encode('"' + word + '"').tokens[1:-1]
        assert quoted == bare
        joined = spaced if spaced[0] != "Ġ" else spaced[1:]
        assert [joined[0].lstrip("Ġ"), *joined[1:]] == bare, word


def test_marks_are_single_tokens(tok):
    for mark in ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"):
        assert len(tok.encode(mark).ids) == 1
