"""The policy itself: plain Python that knows no host, so that it can be tested anywhere."""

import re
from dataclasses import dataclass


@dataclass
class Match:
    topic: str
    # In bytes of the text as UTF-8.
    start: int
    end: int


class Policy:
    def __init__(self, settings: dict):
        self.message: str = settings["message"]
        self.patterns = {
            topic: re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)
            for topic, words in settings["topics"].items()
            if words
        }

    def match(self, text: str) -> Match | None:
        """The first topic that the text touches."""
        for topic, pattern in self.patterns.items():
            if found := pattern.search(text):
                start = len(text[: found.start()].encode())
                return Match(topic, start, start + len(found.group().encode()))
        return None
