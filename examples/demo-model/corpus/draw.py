"""Drawing with a held-out part: `Draw` wraps a seeded generator and a split.

Every list that a skill draws entities from has a part that training never sees, chosen by a hash of the entity, so
that the evaluation asks about names, tools and phrasings that were not trained on. The split is a property of the
entity alone, hence the same in every process.
"""

import random
import zlib

TRAIN, EVAL = "train", "eval"


def held_out(key, one_in=10):
    """Whether `key` belongs to the evaluation only."""
    return zlib.crc32(key.encode()) % one_in == 3


_PARTS = {}


def parts(items):
    """(train, eval) halves of a list of strings; lists too short to divide serve both."""
    key = id(items)
    hit = _PARTS.get(key)
    if hit is None or hit[0] is not items:
        evaluation = [x for x in items if held_out(x)]
        train = [x for x in items if not held_out(x)]
        if len(evaluation) < 2:
            train = evaluation = list(items)
        hit = _PARTS[key] = (items, train, evaluation)
    return hit[1], hit[2]


class Draw(random.Random):
    """A `random.Random` that knows its split."""

    def __init__(self, seed, split=TRAIN):
        super().__init__(seed)
        self.split = split

    def of(self, items):
        """One item, without a split: function words, phrasings that must all be known."""
        return items[int(self.random() * len(items))]

    def new(self, items):
        """One item of the split's own part: entities."""
        train, evaluation = parts(items)
        return self.of(train if self.split == TRAIN else evaluation)

    def chance(self, p):
        return self.random() < p

    def between(self, a, b):
        """Integer in a..=b."""
        return a + int(self.random() * (b - a + 1))

    def some(self, items, n):
        """`n` different items of the split's part (all of it when it has fewer)."""
        train, evaluation = parts(items)
        pool = train if self.split == TRAIN else evaluation
        if len(pool) < n:
            pool = items
        return self.sample(pool, min(n, len(pool)))

    def allowed(self, key):
        """Whether this split may use the combination named by `key`."""
        return held_out(key) == (self.split == EVAL)
