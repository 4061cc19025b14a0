"""The one place where outside text becomes safe to keep and to show.

A terminal obeys control characters in the text it is given, wherever that text came from, and bidirectional
controls can make a line read as something it is not. Both are made visible here, character for character, so
that offsets into the text stay what they were.
"""

from __future__ import annotations

import unicodedata

_REPLACEMENT = "\ufffd"


class _Table(dict[int, int | None]):
    """A translation table that decides about each character the first time it is met."""

    def __missing__(self, code: int) -> int:
        self[code] = visible = _visible(code)
        return visible


def _visible(code: int) -> int:
    if code in (0x09, 0x0A):
        return code
    if code < 0x20:
        return 0x2400 + code  # the control picture of the character: ESC becomes ␛
    if code == 0x7F:
        return 0x2421
    if code in (0x2028, 0x2029, 0x0085):
        return 0x2424  # line breaks to some programs and not to others would make line numbers disagree
    category = unicodedata.category(chr(code))
    if category in ("Cc", "Cs", "Cn", "Co") or (category == "Cf" and code not in _HARMLESS_FORMAT):
        return ord(_REPLACEMENT)
    return code


_HARMLESS_FORMAT = frozenset({0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF})
"""Soft hyphen, zero-width space, joiners and BOM: they hide nothing but themselves, and some scripts need them."""

_TABLE = _Table()


def clean(text: str) -> str:
    """``text`` with everything a terminal could act on made visible; exactly as long as before.

    Newline and tab stay. Other C0 controls become their pictures, DEL becomes ␡; C1 controls, bidi and tag
    controls, lone surrogates, private and unassigned characters become U+FFFD.
    """
    return text.translate(_TABLE)


def clean_line(text: str, limit: int = 300) -> str:
    """One safe line for titles, paths and labels: white space folded, cut to ``limit`` characters with an ellipsis."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
