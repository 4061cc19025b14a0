"""What is typed to find a session: words, and tags as ``#tag``. And how the place that was found is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.clean import clean

_TAG = 40
"""Characters of a tag."""

_NO_TAG = re.compile(r"[^\w.+/-]+")

BEGIN, END = "\ue000", "\ue001"
"""Put around each hit by the full-text search. Text in the journal has no such characters: ``clean`` replaces them."""

_BEFORE, _AFTER = 60, 180
"""Characters of a snippet shown before the first hit, and in all after it."""


@dataclass(frozen=True)
class Query:
    """All ``words`` must occur, and the session must have a tag that begins with each of ``tags``."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def parse(text: str) -> Query:
    """What is typed, taken apart. Nothing in it is an operator but the ``#`` before a tag."""
    typed = clean(text).replace('"', " ").casefold().split()
    tags = tuple(tag for word in typed if word.startswith("#") and (tag := word.lstrip("#")))
    return Query(tuple(word for word in typed if not word.startswith("#")), tags)


def tag_names(given: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept: small letters, digits and ``_.+/-`` alone, each once, in order."""
    found = (_NO_TAG.sub("-", clean(each).casefold()).strip("-")[:_TAG].strip("-") for each in given)
    return tuple(sorted({tag for tag in found if tag}))


def shown(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A snippet as one line, and where in it the hits are, as spans of characters."""
    text, spans, start = "", [], 0
    for piece in _one_line(marked).split(BEGIN):
        hit, end, rest = piece.partition(END)
        if end:
            spans.append((len(text), len(text) + len(hit)))
        text += hit + rest
    if spans and spans[0][0] > _BEFORE:
        start = text.index(" ", spans[0][0] - _BEFORE) + 1 if " " in text[spans[0][0] - _BEFORE : spans[0][0]] else 0
    cut = text[start : start + _BEFORE + _AFTER]
    lead = 1 if start else 0
    kept = tuple(
        (first - start + lead, min(last - start, len(cut)) + lead) for first, last in spans if first - start < len(cut)
    )
    return f"{'…' * lead}{cut}{'…' if start + len(cut) < len(text) else ''}", kept


def _one_line(text: str) -> str:
    return " ".join(text.split())
