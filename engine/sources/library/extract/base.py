"""What an extractor makes of a file, and the small tools that they share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engine.errors import LibraryError

MOST_TEXT = 50_000_000
"""Characters of text a document may have: as many as the largest text file."""


@dataclass(frozen=True)
class Section:
    """The text from the offset ``start`` to the next section stands under these headings, outermost first."""

    start: int
    trail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heading:
    """A heading at the offsets ``start`` to ``end``, with its underline if it has one; ``level`` 1 is the outermost."""

    start: int
    end: int
    level: int
    text: str


@dataclass(frozen=True)
class Extracted:
    """A document as it is kept. ``text`` is canonical: clean, lines end with LF alone, and every offset counts in it.

    ``sections`` are in order and the first starts at 0. ``title`` is empty where the document names none.
    ``pages``: where each page, slide, sheet, cell or mail begins, in order; an empty one begins where the next does.
    Empty for kinds that have none. ``notes`` say what is missing from the text and why, in sentences for a person.
    """

    title: str
    text: str
    sections: tuple[Section, ...]
    pages: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def page_at(pages: Sequence[int], offset: int) -> int:
    """The 1-based page an offset is on, 0 where the document has no pages."""
    return max(1, bisect_right(pages, offset)) if pages else 0


class Extractor(Protocol):
    """Turns the bytes of one file into text. Raises NotTextError or Unreadable where that cannot be done."""

    def __call__(self, data: bytes) -> Extracted: ...


class NotTextError(ValueError):
    """The bytes are not a text. The message says why, in words for a person."""


class Unreadable(LibraryError):
    """No text can be made of one file: damaged, protected, not what its name says, or too much. The hint says what helps."""


def build(
    title: str,
    text: str,
    headings: Iterable[Heading],
    pages: Sequence[int] = (),
    notes: Sequence[str] = (),
) -> Extracted:
    """The document cut into sections at its headings.

    A heading with nothing but a deeper heading under it joins that one: alone it would be a section without content.
    """
    sections = [Section(0)]
    above: list[Heading] = []
    content = 0  # where the last section's own text begins, after its heading
    for heading in headings:
        deeper = not above or heading.level > above[-1].level
        while above and above[-1].level >= heading.level:
            above.pop()
        above.append(heading)
        start = heading.start
        if deeper and not text[content:start].strip():
            start = sections.pop().start
        elif not text[sections[-1].start : start].strip():
            start = sections.pop().start  # nothing at all stands there
        sections.append(Section(start, tuple(each.text for each in above)))
        content = heading.end
    return Extracted(title, text, tuple(sections), tuple(pages), tuple(notes))


def paged(extracted: Extracted, word: str) -> Extracted:
    """The document with its pages as outermost headings, ``word`` and number, so that a place in it names its page."""
    if not word or not extracted.pages or not extracted.sections:
        return extracted
    trails = {section.start: section.trail for section in extracted.sections}
    sections, trail = [], extracted.sections[0].trail
    for start in sorted({*trails, *(page for page in extracted.pages if page < len(extracted.text))}):
        trail = trails.get(start, trail)
        number = page_at(extracted.pages, start)
        sections.append(Section(start, (f"{word} {number}", *trail) if number else trail))
    return replace(extracted, sections=tuple(sections))
