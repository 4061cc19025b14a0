"""Which of the lines that were read bear on a question. What is offered is exactly what stands there."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.browser.pages import Page, PagePool
from engine.words import stems

_HEADING = re.compile(r"\s{0,3}(#{1,6}\s|[=~^\"'*+-]{4,}\s*$)")
_ITEM = re.compile(r"\s*([-*+•]|\d{1,3}[.)])\s+|\s*\|")
_WORD = re.compile(r"\w")
_MOST_LINES = 8


RELEVANT = 0.33
"""The score below which a passage is no evidence. Over our own guide, passages that answer a question score 0.41 and
more, the best ones for questions that the guide does not answer 0.21 and less."""

_COMPARED = 32
"""Passages compared by meaning, the best by words first: each costs about 10 ms."""

Similarity = Callable[[str, Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class Passage:
    """Whole lines of a page. ``score``, 0 to 1: how much they bear on the question."""

    cursor: int
    uri: str
    title: str
    path: str
    first: int
    last: int
    text: str
    score: float


def passages(question: str, pool: PagePool, similarity: Similarity, *, limit: int = 4) -> tuple[Passage, ...]:
    """The passages of what was shown that bear on a question, best first.

    The score is one third words, the share of the question's content words that the passage holds, rare ones
    counting more, and two thirds meaning; words alone where ``similarity`` gives nothing. Title and heading count
    for the passages below them, but are not part of them.
    """
    wanted = stems(question)
    read = [(page, block, f"{page.title}\n{heading}\n{block.text}") for page, heading, block in _read(pool)]
    if not wanted or not read:
        return ()
    found = [stems(context) & wanted for _, _, context in read]
    spread = Counter(word for words in found for word in words)
    weight = {word: math.log(1 + len(read) / (1 + spread[word])) + 0.1 for word in wanted}
    # fsum: a set has no order, and the score must not depend on one
    by_words = [math.fsum(weight[word] for word in words) / math.fsum(weight.values()) for words in found]
    nearest = sorted(range(len(read)), key=lambda place: -by_words[place])[:_COMPARED]
    near = similarity(question, [read[place][2] for place in nearest])
    scores = {place: by_words[place] for place in nearest}
    for place, cosine in zip(nearest, near, strict=False):
        scores[place] = min(1.0, (by_words[place] + 2 * max(0.0, cosine)) / 3)  # a cosine may be a hair above 1
    return tuple(
        Passage(page.cursor, page.uri, page.title, page.path, block.first, block.last, block.text, scores[place])
        for place in sorted(scores, key=lambda place: -scores[place])[:limit]
        for page, block, _ in [read[place]]
        if scores[place] > 0
    )


@dataclass(frozen=True)
class _Block:
    first: int
    last: int
    text: str


def _read(pool: PagePool) -> Iterator[tuple[Page, str, _Block]]:
    """Every block of lines that was shown, once, with its page and the heading it stands under; no rules of tables."""
    shown: dict[tuple[str, str], tuple[Page, set[int]]] = {}
    for seen in pool.seen():
        page = pool.get(seen.cursor)
        # One document may be read in several views, and a paragraph may end in the next one.
        _, lines = shown.setdefault((page.uri, page.text), (page, set()))
        lines.update(range(seen.first, seen.last + 1))
    for page, lines in shown.values():
        for heading, block in _blocks(page.lines):
            if lines.issuperset(range(block.first, block.last + 1)) and _WORD.search(block.text):
                yield page, heading, block


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, _Block]]:
    """Paragraphs, list items and table rows, each under the nearest heading above. Long ones come in parts."""
    heading, start = "", 0
    for number, line in enumerate([*lines, ""], start=1):
        ends = not line.strip() or _HEADING.match(line) or _ITEM.match(line) or number - start >= _MOST_LINES
        if start and ends:
            yield heading, _Block(start, number - 1, "\n".join(lines[start - 1 : number - 1]))
            start = 0
        if _HEADING.match(line):
            heading = line.strip(" #=~^\"'*+-") or lines[number - 2].strip() if number > 1 else line.strip(" #")
        elif line.strip() and not start:
            start = number
