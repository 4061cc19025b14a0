"""How often a library finds what it is known to hold: sentences of its own are searched for by half of their rarer words.

That is easier than a real question, which uses words of its own, so the figure is rather too good than too bad. It is
measured when somebody wants it, in a second or two, and remembered until the library has changed a lot.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from engine.words import content_words

MOST = 50
"""Sentences that are searched for."""

SHOWN = 5
"""The document must be among so many hits: that is what a model is shown."""

_PER_DOCUMENT = 5
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]")
_CHANGED = 0.2
"""A library with so many more or fewer chunks, as a share, is measured anew."""


@dataclass(frozen=True)
class Recall:
    """Of ``asked`` sentences ``found`` led back to their document, in a library of so many ``chunks``."""

    found: int
    asked: int
    chunks: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.found / self.asked

    def holds(self, chunks: int) -> bool:
        """Whether it still tells something of a library with so many chunks."""
        return abs(chunks - self.chunks) <= self.chunks * _CHANGED

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def from_json(text: str) -> Recall | None:
    """What :meth:`Recall.to_json` wrote; None for anything else."""
    try:
        values = json.loads(text)
        recall = Recall(int(values["found"]), int(values["asked"]), int(values["chunks"]))
    except (ValueError, TypeError, KeyError):
        return None
    return recall if recall.asked > 0 and 0 <= recall.found <= recall.asked else None


def known_items(uris: Sequence[str], text: Callable[[str], str]) -> list[tuple[str, str]]:
    """Queries and the document each must lead to: from documents spread over the library, at most :data:`MOST`."""
    step = max(1, len(uris) / MOST)
    chosen = [uris[int(place * step)] for place in range(min(MOST, len(uris)))]
    pages = {uri: text(uri) for uri in chosen}
    spread = Counter(word for page in pages.values() for word in set(content_words(page)))
    each = min(_PER_DOCUMENT, -(-MOST // max(1, len(chosen))))
    items: list[tuple[str, str]] = []
    for uri in chosen:
        sentences = dict.fromkeys(match[0].strip() for match in _SENTENCE.finditer(pages[uri]))
        queries = [query for sentence in sentences if (query := _query(sentence, spread))]
        queries.sort(key=lambda query: sum(spread[word] for word in query.split()) / len(query.split()))
        items += [(query, uri) for query in queries[:each]]
    return items[:MOST]


def _query(sentence: str, spread: Counter[str]) -> str:
    """Half of a sentence's words, the rarer ones, as they stand; empty where it has too few."""
    words = list(dict.fromkeys(content_words(sentence)))
    if not 6 <= len(words) <= 40:
        return ""
    rare = set(sorted(words, key=lambda word: (spread[word], word))[: len(words) // 2])
    return " ".join(word for word in words if word in rare)
