"""Train the byte-level BPE tokenizer of atoll-demo.

    python train_tokenizer.py --out tokenizer [--vocab 6144] [--conversations 40000]

What is unusual, and why: copying a string letter for letter is this model's first duty, so a string
must be cut into the same pieces wherever it stands. Two rules give that.

* Digits are single tokens and punctuation never joins letters, so `PII_EMAIL_1_k7q` has one spelling.
* Merges that glue a leading space to a piece come after every other merge. A word is therefore cut
  first, without regard to what stands before it, and only its first piece may then absorb the space:
  `zarrouk`, `"zarrouk` and ` zarrouk` differ in one token at most.
"""

import argparse
import collections
import json
import pathlib

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
#: Letters with their marks (an optional space before), one digit, runs of punctuation, line ends, spaces.
PATTERN = r" ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"
#: The same without the leading space, for the first of the two passes.
PATTERN_BARE = r"[\p{L}\p{M}]+|\p{N}|[^\s\p{L}\p{M}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"
SPACE = "Ġ"


def train(texts, vocab_size):
    """Returns tokenizer.json as a dict with exactly `vocab_size` entries, added tokens included."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = list(texts)
    extra = len(SPECIAL) + len(ADDED)
    room = vocab_size - extra
    space_merges = room // 4
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN_BARE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=room - space_merges,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=2,
        max_token_length=16,
    )
    tok.train_from_iterator(texts, trainer)
    state = json.loads(tok.to_str())
    vocab = state["model"]["vocab"]
    merges = [m if isinstance(m, list) else m.split(" ") for m in state["model"]["merges"]]

    # Second pass: which pieces most often follow a space.
    spaced = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    words = collections.Counter()
    for text in texts[: max(1, len(texts) // 2)]:
        for piece, _ in spaced.pre_tokenize_str(text):
            if len(piece) > 1 and piece[0] == " " and not piece.isspace():
                words[piece[1:]] += 1
    first = collections.Counter()
    for word, n in words.items():
        first[tok.encode(word).tokens[0]] += n
    for piece, _ in first.most_common():
        if len(vocab) >= room:
            break
        if SPACE + piece not in vocab:
            merges.append([SPACE, piece])
            vocab[SPACE + piece] = len(vocab)
    added = []
    for i, content in enumerate(SPECIAL + ADDED):
        added.append(
            {
                "id": len(vocab) + i,
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": content in SPECIAL,
            }
        )
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.decoder = decoders.ByteLevel()
    final = json.loads(tok.to_str())
    final["model"]["vocab"] = vocab
    final["model"]["merges"] = merges
    final["added_tokens"] = added
    if len(vocab) + extra != vocab_size:
        raise SystemExit(f"corpus too small: {len(vocab) + extra} of {vocab_size} tokens")
    return final


def write(final, folder):
    """Writes tokenizer.json and tokenizer_config.json."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(
        json.dumps(final, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in final["added_tokens"]
        },
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 4096,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="tokenizer")
    parser.add_argument("--vocab", type=int, default=6144)
    parser.add_argument("--conversations", type=int, default=40000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--text", nargs="*", help="train on these files instead of the corpus")
    args = parser.parse_args()
    if args.text:
        texts = [line for f in args.text for line in pathlib.Path(f).read_text().splitlines(True)]
    else:
        from corpus import mixture, render

        texts = []
        for conversation in mixture.stream(args.seed, args.conversations):
            for text, _ in render.segments(conversation):
                for mark in SPECIAL + ADDED:
                    text = text.replace(mark, "\n")
                texts.append(text)
    write(train(texts, args.vocab), args.out)


if __name__ == "__main__":
    main()
