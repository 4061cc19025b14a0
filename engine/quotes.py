"""When one text quotes another: passages of words in a row. Arithmetic shared by the what-ifs and the screens."""

from __future__ import annotations

import re
from collections.abc import Iterator

QUOTED = 6
"""Words in a row that are a quotation. Fewer are met by chance, and in any page on the subject."""

Passage = tuple[str, ...]

_WORD = re.compile(r"\w+")
_NOT_SAID = re.compile(r"(?m)^L\d+: |\[\d+:L\d+(?:-L\d+)?\]")
"""Numbers of lines and citations: written around the words."""


def passages(text: str) -> Iterator[Passage]:
    """Every run of ``QUOTED`` words of a text, in order."""
    words = _WORD.findall(_NOT_SAID.sub(" ", text).casefold())
    return zip(*(words[start:] for start in range(QUOTED)), strict=False)
