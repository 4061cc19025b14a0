"""Finds words in a text wherever its lines happen to break."""

from __future__ import annotations

import re

MOST = 50


def find(text: str, pattern: str) -> tuple[tuple[int, int], ...]:
    """Line ranges (1-based, inclusive) in which the words of ``pattern`` stand, at most 50. Case and white space, line
    breaks included, do not matter.
    """
    if not pattern.strip():
        return ()
    expression = _expression(pattern)
    ranges: list[tuple[int, int]] = []
    line, at = 1, 0
    for match in expression.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        found = (line, line + text.count("\n", match.start(), match.end()))
        if not ranges or found != ranges[-1]:
            ranges.append(found)
        if len(ranges) == MOST:
            break
    return tuple(ranges)


def column(text: str, pattern: str) -> int:
    """The offset in ``text`` at which the words of ``pattern`` first stand; 0 where they do not."""
    match = _expression(pattern).search(text)
    return match.start() if match else 0


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(r"\s+".join(re.escape(word) for word in pattern.split()), re.IGNORECASE)
