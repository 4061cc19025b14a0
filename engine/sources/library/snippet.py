"""The few lines of a hit that show best why it was found. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from engine.sources.library.query import holds, parse
from engine.words import stem, stems, words


@dataclass(frozen=True)
class Snippet:
    """Some text on one line; ``line`` is the 1-based line of the document on which it begins."""

    line: int
    text: str


def snippet(text: str, first: int, query: str, width: int = 240) -> Snippet:
    """At most about ``width`` characters of ``text``, which begins on line ``first``: those with most of the query.

    A phrase or a name counts for more than a word; where nothing of the query stands, it is the beginning.
    """
    pieces = _pieces(text)
    asked = parse(query)
    wanted = stems(asked.text) or frozenset(stem(word) for word in words(asked.text))
    literal = [holds(each) for each in (*asked.phrases, *asked.names)]
    found: dict[int, frozenset[object]] = {}
    for place, (start, end) in enumerate(pieces):
        here = frozenset(stem(word) for word in words(text[start:end])) & wanted
        if here:
            found[place] = here
    starts = [start for start, _ in pieces]
    for pattern in literal:
        for match in pattern.finditer(text):
            place = max(0, bisect_right(starts, match.start()) - 1)
            found[place] = found.get(place, frozenset()) | {(pattern.pattern, weight) for weight in range(3)}
    begin, end = _best(pieces, found, width)
    if begin >= end:
        return Snippet(first, "")
    start, stop = pieces[begin][0], pieces[end - 1][1]
    shown = " ".join(text[start:stop].split())
    shown = shown if len(shown) <= width else shown[: width - 1] + "…"
    shown = ("… " if text[:start].strip() else "") + shown + (" …" if text[stop:].strip() else "")
    return Snippet(first + text.count("\n", 0, start), shown)


def _pieces(text: str) -> list[tuple[int, int]]:
    """The words of the text by their offsets, white space apart."""
    pieces, start = [], -1
    for place, char in enumerate(text + " "):
        if char.isspace():
            if start >= 0:
                pieces.append((start, place))
            start = -1
        elif start < 0:
            start = place
    return pieces


def _best(pieces: list[tuple[int, int]], found: dict[int, frozenset[object]], width: int) -> tuple[int, int]:
    """The window of ``width`` characters with most of the query, closest together, with a little before it."""
    best, window = (0, 0), (0, _reach(pieces, 0, width))
    for place in sorted(found):
        begin = place
        while begin > 0 and pieces[place][0] - pieces[begin - 1][0] <= width // 6:
            begin -= 1
        end = _reach(pieces, begin, width)
        here = [each for each in found if place <= each < end]
        if here:
            parts = frozenset[object]().union(*(found[each] for each in here))
            worth = (len(parts), pieces[place][0] - pieces[max(here)][1])
            if worth > best or best == (0, 0):
                best, window = worth, (begin, end)
    return window


def _reach(pieces: list[tuple[int, int]], begin: int, width: int) -> int:
    """Where a window that begins at a piece ends: one piece at least, and no more characters than ``width``."""
    end = begin
    while end < len(pieces) and (end == begin or pieces[end][1] - pieces[begin][0] <= width):
        end += 1
    return end
