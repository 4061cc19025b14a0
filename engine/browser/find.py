"""Finds words in a text wherever its lines happen to break."""

from __future__ import annotations

import re

MOST = 50


def find(text: str, pattern: str) -> tuple[tuple[int, int], ...]:
    """Line ranges (1-based, inclusive) in which the words of ``pattern`` stand, at most 50. Case and white space, line
    breaks included, do not matter.
    """
    words = pattern.split()
    if not words:
        return ()
    expression = re.compile(r"\s+".join(re.escape(word) for word in words), re.IGNORECASE)
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
