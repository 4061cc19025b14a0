"""JSON as models write it: fenced, with single quotes, bare names, comments, or several values in a row."""

from __future__ import annotations

import json
import re
from typing import Any

_MOST_LENIENT = 2_000
"""Characters that are read with all lenience: no call is longer, and reading like that takes its time."""

_FENCED = re.compile(r"\A\s*```[\w-]*\s*\n(.*?)(?:```\s*)?\Z", re.DOTALL)
_BETWEEN = re.compile(r"[\s,;]*")
_DECODER = json.JSONDecoder(strict=False, parse_constant=str)


def loads(text: str) -> Any:
    """The value that ``text`` is. Raises ValueError. What JSON has no numbers for stays a word."""
    read = values(text)
    if len(read) != 1:
        raise ValueError("not one value")
    return read[0]


def values(text: str) -> list[Any]:
    """The values that ``text`` is made of, one at least. Raises ValueError."""
    text = unfenced(text)
    try:
        return list(_strict(text))
    except (ValueError, RecursionError) as error:
        if len(text) > _MOST_LENIENT:
            raise ValueError(str(error)) from None
    import json5

    try:
        return [json5.loads(text, parse_constant=str)]
    except (ValueError, RecursionError) as error:
        raise ValueError(str(error)) from None


def unfenced(text: str) -> str:
    """Without the code fence around it, if there is one."""
    fenced = _FENCED.match(text)
    return fenced[1] if fenced else text


def _strict(text: str) -> list[Any]:
    read: list[Any] = []
    place = _after(text, 0)
    while place < len(text) or not read:
        value, place = _DECODER.raw_decode(text, place)
        read.append(value)
        place = _after(text, place)
    return read


def _after(text: str, place: int) -> int:
    between = _BETWEEN.match(text, place)
    return between.end() if between else place


def dumps(value: Any, marks: tuple[str, ...] = ()) -> str:
    """``value`` as JSON on one line, in which no mark can be found: one within a string has its first sign escaped."""
    text = json.dumps(value, ensure_ascii=False)
    for mark in marks:
        text = text.replace(mark, f"\\u{ord(mark[0]):04x}{mark[1:]}")
    return text
