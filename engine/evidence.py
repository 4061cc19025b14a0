"""Which of the lines that were read bear on a question. Lexical and exact: what is offered is what stands there."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.browser.pages import Page, PagePool
from engine.words import stems

_HEADING = re.compile(r"\s{0,3}(#{1,6}\s|[=~^\"'*+-]{4,}\s*$)")
_ITEM = re.compile(r"\s*([-*+•]|\d{1,3}[.)])\s+|\s*\|")
_MOST_LINES = 8


@dataclass(frozen=True)
class Passage:
    """Whole lines of a page. ``relevance``, 0 to 1: the share of the question's words, weighed by rarity, it holds."""

    cursor: int
    uri: str
    title: str
    path: str
    first: int
    last: int
    text: str
    relevance: float


def passages(question: str, pool: PagePool, *, limit: int = 4) -> tuple[Passage, ...]:
    """The passages of what was shown that bear on a question, best first; none that shares no word with it.

    A word counts the more, the fewer of the passages read have it. A heading counts for the passages below it, but
    is not part of them.
    """
    wanted = stems(question)
    read = [(page, block, stems(f"{page.title} {heading} {block.text}")) for page, heading, block in _read(pool)]
    if not wanted or not read:
        return ()
    spread = Counter(word for _, _, found in read for word in found & wanted)
    weight = {word: math.log(1 + len(read) / (1 + spread[word])) + 0.1 for word in wanted}
    total = sum(weight.values())
    ranked = sorted(
        (
            Passage(
                page.cursor,
                page.uri,
                page.title,
                page.path,
                block.first,
                block.last,
                block.text,
                sum(weight[word] for word in found & wanted) / total,
            )
            for page, block, found in read
            if found & wanted
        ),
        key=lambda passage: (-passage.relevance, len(passage.text)),
    )
    return tuple(ranked[:limit])


@dataclass(frozen=True)
class _Block:
    first: int
    last: int
    text: str


def _read(pool: PagePool) -> Iterator[tuple[Page, str, _Block]]:
    """Every block of lines that was shown, once, with its page and the heading it stands under."""
    done: set[tuple[str, int]] = set()
    for seen in pool.seen():
        page = pool.get(seen.cursor)
        for heading, block in _blocks(page.lines):
            if seen.first <= block.first and block.last <= seen.last and (page.uri, block.first) not in done:
                done.add((page.uri, block.first))
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
