"""reStructuredText: the text as it is written, with its section titles found."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.clean import clean_line
from engine.sources.library.extract.base import Extracted, Heading, build
from engine.sources.library.extract.decode import decode

_LINE = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*$")
_ROLE = re.compile(r"(?::[\w:.+-]+:)?`([^`<>]*?)(?:\s*<[^`<>]*>)?`_{0,2}")
_MARKUP = re.compile(r"\*\*|``|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|\|")


def extract_rst(data: bytes) -> Extracted:
    """Titles are lines with an underline, and maybe an overline, of one punctuation character repeated."""
    text = decode(data)
    headings = list(_headings(text))
    return build(headings[0].text if headings else "", text, headings)


def _headings(text: str) -> Iterator[Heading]:
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    styles: list[tuple[str, bool]] = []  # the document's own order of styles is its order of levels
    for number in range(1, len(lines)):
        under, title = lines[number].rstrip(), lines[number - 1].rstrip()
        if not _LINE.match(under) or not title.strip() or _LINE.match(title) or len(under) < len(title.strip()):
            continue
        before = lines[number - 2].rstrip() if number > 1 else ""
        over = before == under
        if (before.strip() and not over) or (title[0].isspace() and not over):
            continue
        if not (words := _plain(title)):
            continue
        style = (under[0], over)
        if style not in styles:
            styles.append(style)
        first = number - 2 if over else number - 1
        yield Heading(starts[first], starts[number] + len(under), styles.index(style) + 1, words)


def _plain(words: str) -> str:
    """A title without its inline markup."""
    return clean_line(_MARKUP.sub("", _ROLE.sub(r"\1", words.replace("``", ""))), 200)
