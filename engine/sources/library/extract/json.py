"""JSON as lines that people can read and cite: as it is written where that is so, else laid out anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.clean import clean
from engine.sources.library.extract.base import Extracted, build
from engine.sources.library.extract.decode import decode

_LONG = 500
"""Characters of a line from which on nobody reads it."""

_WIDTH = 100
_TOKEN = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|[{}\[\],:]|\s+|[^"{}\[\],:\s]+')
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\u[0-9a-fA-F]{4})+)")


def extract_json(data: bytes) -> Extracted:
    """One JSON value. Text that is none is taken as it is: what JSON would be wrong is still text."""
    text = decode(data)
    if any(len(line) > _LONG for line in text.split("\n")):
        text = "".join(_lay_out(text))
    return build("", clean(_ESCAPED.sub(_spell, text)), ())


def extract_jsonl(data: bytes) -> Extracted:
    """One JSON value on each line; its number stays what it is in the file."""
    return build("", clean(_ESCAPED.sub(_spell, decode(data))), ())


def _spell(match: re.Match[str]) -> str:
    r"""The characters that ``\u00e9`` and the like stand for, where a line can hold them."""
    letters = bytes.fromhex(match[2].replace("\\u", "")).decode("utf-16-be", errors="replace")
    return match[1] + letters if letters.isprintable() and not {'"', "\\"} & set(letters) else match[0]


def _lay_out(text: str) -> Iterator[str]:
    """A new line for each element near the top, and wherever a line has become long. No piece is changed."""
    depth = column = 0
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece.isspace():
            continue
        if piece in "}]":
            depth = max(0, depth - 1)
        yield piece
        column += len(piece)
        if piece in "{[":
            depth += 1
        if (piece in "{[," and (depth <= 2 or column > _WIDTH)) or (piece == "," and column > _WIDTH):
            indent = "  " * min(depth, 20)
            yield f"\n{indent}"
            column = len(indent)
        elif piece in ",:":
            yield " "
    yield "\n"
