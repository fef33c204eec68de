"""Rows of training: documents are packed whole, and the right positions are learnt."""

import train


def test_documents_stay_whole_and_targets_follow():
    def source():
        n = 0
        while True:
            n += 1
            length = 3 + n * 7 % 40
            yield [n % 6000 + 1] * length, [False] * (length // 2) + [True] * (length - length // 2)

    made = train.rows(source(), 128, shelf=8)
    for _ in range(50):
        tokens, flags, doc = next(made)
        for number in set(doc.tolist()) - {0}:
            places = (doc == number).nonzero()[0]
            assert places[-1] - places[0] + 1 == len(places)
            assert len(set(tokens[places].tolist())) == 1
            # A position is learnt when the token after it, in the same document, is the assistant's.
            assert not flags[places[-1]]
            assert flags[places].sum() == len(places) - len(places) // 2
        assert not flags[doc == 0].any()


def test_padding_is_rare():
    d = train.documents(1, 0, Words(), 4096)
    made = train.rows(d, 4096)
    filled = [(next(made)[2] > 0).mean() for _ in range(8)]
    assert sum(filled) / len(filled) > 0.97


class Words:
    """A stand-in tokenizer: one token for four characters."""

    def encode(self, text, add_special_tokens=False):
        class Ids:
            ids = [1] * (len(text) // 4 + 1)

        return Ids()
