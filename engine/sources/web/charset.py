"""Which encoding a page is in: servers and pages say so, and are often wrong."""

from __future__ import annotations

import codecs
import re

from engine.clean import clean
from engine.sources.library.extract.base import NotTextError

_META = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

_READ_AS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
}
"""What pages that name the one are written in, as every browser takes them."""

_NEVER = frozenset({"utf-7", "unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "mbcs", "oem"})
"""Encodings to Python that no page is written in; some could hide one text in another."""

_STATEFUL = ("iso2022", "hz")
_LOOKED_AT = 100_000


def decode_page(data: bytes, said: str = "") -> str:
    """The text of a page, its lines ended by LF alone, clean. ``said`` is the encoding that the server names, if any.

    A byte order mark decides. Text that is valid UTF-8 is UTF-8, whatever is said of it: no other text looks like that
    by accident. Then the server is believed, then the page, then statistics. Raises NotTextError for binary data.
    """
    text = data.decode(_encoding(data, said), errors="replace")
    if "\0" in text:
        raise NotTextError("it holds binary data")
    return clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def _encoding(data: bytes, said: str) -> str:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    meta = _META.search(data[:2048])
    declared = [_known(said), _known(meta[1].decode("ascii") if meta else "")]
    for name in declared:
        if name.startswith(("utf-16", "utf-32", *_STATEFUL)) and _fits(data, name):
            return name  # these can look like UTF-8 or ASCII and be something else
    if _fits(data, "utf-8"):
        return "utf-8"
    for name in declared:
        if name and _fits(data, name):
            return name
    return _detected(data) or next((name for name in declared if name), "cp1252")


def _known(name: str) -> str:
    """Python's name of the encoding that a page of this name is read in; empty where there is none."""
    try:
        known = codecs.lookup(name.strip()).name
        "".encode(known)  # not all that Python looks up there is an encoding of text
    except (LookupError, ValueError, UnicodeError):
        return ""
    return "" if known in _NEVER else _READ_AS.get(known, known)


def _fits(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except (UnicodeError, ValueError):
        return False
    return True


def _detected(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_LOOKED_AT]).best()
    return best.encoding if best is not None else ""
