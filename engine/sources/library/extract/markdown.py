"""Markdown: the text as it is written, with its headings found."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.clean import clean_line
from engine.sources.library.extract.base import Extracted, Heading, build
from engine.sources.library.extract.decode import decode

_LONGEST = 1000
"""Characters of a line that are looked at. No heading is longer, and the time on a hostile line stays bounded."""

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_NOT_A_PARAGRAPH = re.compile(r"(?: {4}|\t| {0,3}(?:[-*+>|]|#{1,6}[ \t]|\d+[.)][ \t]))")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?=[\w-]+[ \t]*:)(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE | re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\n]*\)|\[[^\[\]\n]*\])")
_MARKUP = re.compile(r"`+|\*\*|__|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)|<[^<>\n]*>|\{#[^{}\n]*\}")


def extract_markdown(data: bytes) -> Extracted:
    """Markdown with ATX and Setext headings. Its title: the front matter's, else the first heading of level 1."""
    text = decode(data)
    front = _FRONT_MATTER.match(text)
    headings = list(find_headings(text, front.end() if front else 0))
    named = _FRONT_TITLE.search(front[1]) if front else None
    title = clean_line(named[2]) if named else next((each.text for each in headings if each.level == 1), "")
    return build(title, text, headings)


def find_headings(text: str, start: int = 0) -> Iterator[Heading]:
    """The headings of a clean text from ``start`` on."""
    fence = ""
    above, above_at = "", start  # the line before this one, where it may be the text of a Setext heading
    at = start
    for line in text[start:].split("\n"):
        end = at + len(line)
        line = line[:_LONGEST]
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            above = ""
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence, above = mark[1], ""
        elif atx := _ATX.match(line):
            if words := _plain(atx[2] or ""):
                yield Heading(at, end, len(atx[1]), words)
            above = ""
        elif above and (under := _SETEXT.match(line)):
            if words := _plain(above):
                yield Heading(above_at, end, 1 if under[1][0] == "=" else 2, words)
            above = ""
        else:
            above = "" if not line.strip() or _NOT_A_PARAGRAPH.match(line) else line
            above_at = at
        at = end + 1


def _plain(words: str) -> str:
    """The words of a heading without their markup."""
    return clean_line(_MARKUP.sub("", _LINK.sub(r"\1", words)), 200)
