"""Bytes to text: which encoding, which line ends, nothing a terminal could act on."""

from __future__ import annotations

import codecs

from engine.clean import clean
from engine.sources.library.extract.base import NotTextError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that one's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_SNIFFED = 8192
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\v\f\r\b\x1b") | {0x7F}
_MOST_CONTROLS = 0.05

_GOOD_FOR_BAD = 20
"""Letters beyond ASCII that are right in UTF-8, for each place that is not: no other encoding looks so by chance."""

_GUESSED = 32768
_FOREIGN = 0.3
"""The share of bytes beyond ASCII from which on a text is in other than Latin letters. Those measured have 0.1 or 0.7."""


def is_binary(data: bytes) -> bool:
    """Whether the beginning of a file holds what no text has: a NUL, or control characters in number."""
    head = data[:_SNIFFED]
    if any(head.startswith(mark) for mark, _ in _MARKS):
        return False
    return 0 in head or sum(byte in _CONTROLS for byte in head) > _MOST_CONTROLS * len(head)


def decode(data: bytes, declared: str = "") -> str:
    """The canonical text of a file: decoded, its lines ended by LF alone, clean.

    A byte order mark decides; then the encoding the file itself declares; then UTF-8, even with some damage. Of what
    is left, text with few letters beyond ASCII was most likely written on Windows in the west; for other scripts the
    encoding is guessed by which letters follow each other. Raises NotTextError for binary data.
    """
    if is_binary(data):
        raise NotTextError("it holds binary data")
    return clean(_decode(data, declared).replace("\r\n", "\n").replace("\r", "\n"))


def _decode(data: bytes, declared: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    for encoding in (declared, "utf-8"):
        try:
            if encoding:
                return data.decode(encoding)
        except (LookupError, ValueError):  # an encoding nobody knows, or not this one
            continue
    text = data.decode("utf-8", errors="replace")
    damage = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) > _GOOD_FOR_BAD * damage:
        return text
    for encoding in (_guess(data[:_GUESSED]), "cp1252"):
        try:
            if encoding:
                return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")


def _guess(data: bytes) -> str:
    """The encoding of a text that is mostly not in Latin letters, empty where it is or nothing can be told.

    For Latin letters with accents a guess was wrong more often than Windows-1252 is.
    """
    if sum(byte > 0x7F for byte in data) < _FOREIGN * len(data):
        return ""
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    return best.encoding if best is not None else ""
