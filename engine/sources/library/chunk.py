"""A document cut into chunks that fit the embedder, each an exact slice of the text.

Pure: how many tokens there are is told by the offsets at which tokens start, so nothing here knows a tokenizer.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.sources.library.extract.base import Section

VERSION = 1
"""Raised when the same text is cut in another way; documents are then cut again."""

TARGET = 200
"""Tokens that paragraphs are packed up to."""

HARD = 240
"""Tokens no chunk exceeds. The embedder reads 256, two of them its own, and silently drops what is over."""

_CHARS_PER_TOKEN = 10
"""A token counts as at least this many characters, so that a line of base64 (one unknown word) is cut too."""

_BOUNDARIES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\n\s*\n",  # paragraphs
        r"\n",
        r"[.!?;:][\"')\]]*\s|[。！？；]",  # sentences
        r"\s",
    )
)


@dataclass(frozen=True)
class Chunk:
    """``text[start:end]`` of the document, on the 1-based lines ``first``..``last``, under the headings ``trail``."""

    start: int
    end: int
    first: int
    last: int
    trail: tuple[str, ...]
    tokens: int


def chunk(text: str, sections: Sequence[Section], token_starts: Sequence[int]) -> tuple[Chunk, ...]:
    """Cut ``text`` at its sections, then pack paragraphs to TARGET tokens; never over HARD.

    ``token_starts``: the offset of each token of the whole text, in order. Every character that is not white
    space is in exactly one chunk; chunks neither begin nor end with white space.
    """
    cutter = _Cutter(text, token_starts)
    newlines = [match.start() for match in re.finditer("\n", text)]
    chunks = []
    ends = [section.start for section in sections[1:]] + [len(text)]
    for section, section_end in zip(sections, ends, strict=True):
        for start, end in cutter.cut(section.start, section_end, 0):
            start, end = _trim(text, start, end)
            if start < end:
                first, last = bisect_left(newlines, start) + 1, bisect_left(newlines, end) + 1
                chunks.append(Chunk(start, end, first, last, section.trail, cutter.tokens(start, end)))
    return tuple(chunks)


class _Cutter:
    def __init__(self, text: str, token_starts: Sequence[int]) -> None:
        self._text = text
        self._starts = token_starts

    def tokens(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def size(self, start: int, end: int) -> int:
        """Tokens, or what the characters would be in very long tokens if that is more."""
        return max(self.tokens(start, end), -(-(end - start) // _CHARS_PER_TOKEN))

    def cut(self, start: int, end: int, level: int) -> Iterator[tuple[int, int]]:
        """Spans that together are ``start``..``end``, cut at the boundaries of this level and, where needed, deeper."""
        if self.size(start, end) <= (TARGET if level == 0 else HARD):
            yield start, end
            return
        if level == len(_BOUNDARIES):
            yield from self._cut_anywhere(start, end)
            return
        begin = at = start  # the span being packed, and how far it reaches
        for unit_end in self._unit_ends(start, end, level):
            if self.size(begin, unit_end) > TARGET:
                if begin < at:
                    yield begin, at
                    begin = at
                if self.size(begin, unit_end) > TARGET:
                    yield from self.cut(begin, unit_end, level + 1)
                    begin = unit_end
            at = unit_end
        if begin < end:
            yield begin, end

    def _unit_ends(self, start: int, end: int, level: int) -> Iterator[int]:
        last = start
        for match in _BOUNDARIES[level].finditer(self._text, start, end):
            if match.end() > last:
                last = match.end()
                yield last
        if last < end:
            yield end

    def _cut_anywhere(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        while start < end:
            token = bisect_right(self._starts, start) + TARGET - 1
            stop = min(end, start + TARGET * _CHARS_PER_TOKEN)
            if token < len(self._starts):
                stop = min(stop, max(self._starts[token], start + 1))
            yield start, stop
            start = stop


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its ends."""
    piece = text[start:end]
    stripped = piece.strip()
    start += len(piece) - len(piece.lstrip())
    return start, start + len(stripped)
