"""Tables as text: the file as it is, with the names of its columns as the heading of every row."""

from __future__ import annotations

from engine.clean import clean_line
from engine.sources.library.extract.base import Extracted, Section
from engine.sources.library.extract.decode import decode

_SEPARATORS = ("\t", ";", ",", "|")
_LONGEST = 4000
"""Characters of the first line that are looked at."""


def extract_csv(data: bytes) -> Extracted:
    """CSV and TSV. Lines are those of the file, so a row is named by its line."""
    text = decode(data)
    names = _columns(text[:_LONGEST].split("\n", 1)[0])
    return Extracted("", text, (Section(0, (names,) if names else ()),))


def _columns(line: str) -> str:
    """The names of the columns, if the first line is one of names: two or more, all different, none a number."""
    separator = max(_SEPARATORS, key=line.count)
    cells = [each.strip().strip('"').strip() for each in line.split(separator)]
    named = len(cells) > 1 and all(cells) and len(set(cells)) == len(cells)
    if not named or any(each.lstrip("+-").replace(".", "", 1).replace(",", "", 1).isdecimal() for each in cells):
        return ""
    return clean_line(" | ".join(cells), 200)
