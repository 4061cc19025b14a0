"""PDF: the text of each page, with the document's own outline as headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any

from engine.clean import clean, clean_line
from engine.sources.library.extract.base import MOST_TEXT, Extracted, Heading, Unreadable, build
from engine.sources.library.extract.package import not_a

_LOCK = Lock()
"""PDFium is not to be used by two threads."""

_ENCRYPTED = 4
_MOST_HEADINGS, _MOST_LINES = 10_000, 200
"""Entries of the outline that are read, and lines that are looked at to find each."""

_MOST_OBJECTS = 1000
_HYPHEN = re.compile(r"(.?)[\ufffe\x02](?=(.?))")
"""PDFium joins a word that was split at the end of a line, and marks where the hyphen was."""

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
"""One glyph for several letters, as fonts have them: nobody types them into a search."""


def extract_pdf(data: bytes) -> Extracted:
    """Page by page. Raises Unreadable for one that is protected, damaged, or only pictures of text."""
    if b"%PDF" not in data[:1024]:
        raise not_a("PDF", data)
    import pypdfium2 as pdfium

    with _LOCK:
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            if error.err_code == _ENCRYPTED:
                hint = "Save it without one in a PDF viewer (print it to a new PDF), and index again."
                raise Unreadable("It is protected with a password.", hint) from error
            raise not_a("PDF", b"") from error
        try:
            return _read(document)
        except pdfium.PdfiumError as error:
            raise not_a("PDF", b"") from error
        finally:
            document.close()


def _read(document: Any) -> Extracted:
    pieces: list[str] = []
    pages: list[int] = []
    pictures: list[int] = []
    damaged: list[int] = []
    drawn = False
    length = 0
    for number in range(1, len(document) + 1):
        pages.append(length)
        page = _page(document, number - 1)
        if page.text:
            pieces.append(f"{page.text}\n\n")
            length += len(pieces[-1])
        elif page.damaged:
            damaged.append(number)
        elif page.picture:
            pictures.append(number)
        drawn |= page.drawn
        if length > MOST_TEXT:
            limit = f"{MOST_TEXT // 1_000_000} million"
            raise Unreadable(f"It has more than {limit} characters of text.", "Split it into smaller files.")
    if len(damaged) == len(pages):
        raise not_a("PDF", b"")
    if drawn and not pieces:
        many = f"its {len(pages):,} pages hold" if len(pages) > 1 else "its page holds"
        raise Unreadable(
            f"There is no text in it: {many} only pictures, as a scanner makes them.",
            "Make it searchable with a program for text recognition (OCR), such as OCRmyPDF, and index again.",
        )
    text = "".join(pieces)
    title = clean_line(document.get_metadata_value("Title"))
    notes = [*_note("only pictures, as a scanner makes them", pictures), *_note("damaged", damaged)]
    return build(title, text, _headings(document, text, pages), pages, notes)


@dataclass(frozen=True)
class _Page:
    text: str = ""
    drawn: bool = False  # it has no text, but is not blank
    picture: bool = False
    damaged: bool = False


def _page(document: Any, index: int) -> _Page:
    """One page. Nothing of it is kept in memory after that."""
    import pypdfium2 as pdfium

    try:
        with closing(document[index]) as page:
            with closing(page.get_textpage()) as words:
                text = words.get_text_bounded()
            if not text.strip():
                kinds = {each.type for each in islice(page.get_objects(max_depth=3), _MOST_OBJECTS)}
                return _Page(drawn=bool(kinds), picture=pdfium.raw.FPDF_PAGEOBJ_IMAGE in kinds)
    except pdfium.PdfiumError:
        return _Page(damaged=True)
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_LIGATURES)
    text = _HYPHEN.sub(_join, text)
    return _Page(clean("\n".join(line.rstrip() for line in text.split("\n"))).strip("\n "))


def _join(match: re.Match[str]) -> str:
    """A split word as one, unless its hyphen was there before: between digits, and in front of a capital letter."""
    before, after = match[1], match[2]
    split = before.isalpha() and (after.islower() or (before.isupper() and after.isupper()))
    return before if split else f"{before}-"


def _headings(document: Any, text: str, pages: Sequence[int]) -> list[Heading]:
    """The entries of the outline, each where its words begin a line on its page, or else where the page begins."""
    headings: list[Heading] = []
    for level, words, index in _outline(document, len(pages)):
        page, page_end = pages[index], pages[index + 1] if index + 1 < len(pages) else len(text)
        after = max(page, headings[-1].end + (headings[-1].end > headings[-1].start)) if headings else page
        start, end = _line_of(words, text, after, page_end) or (after, after)
        if start < len(text) and (not headings or start >= headings[-1].start):
            headings.append(Heading(start, end, level, words))
    return headings


def _outline(document: Any, pages: int) -> Iterator[tuple[int, str, int]]:
    """Level from 1, words and index of the page, in the order of the pages."""
    entries = []
    for count, each in enumerate(document.get_toc()):
        if count == _MOST_HEADINGS:
            break
        target = each.get_dest()
        index = target.get_index() if target is not None else None
        words = clean_line(each.get_title(), 200)
        if words and index is not None and 0 <= index < pages:
            entries.append((each.level + 1, words, index))
    yield from sorted(entries, key=lambda entry: entry[2])  # stable: the outline's order within a page


def _line_of(words: str, text: str, start: int, end: int) -> tuple[int, int] | None:
    """Where a line of ``text`` begins that says ``words``, whatever white space and number it has."""
    wanted = _bare(words)
    for _ in range(_MOST_LINES):
        if start >= end:
            break
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        line = _bare(text[start : min(stop, start + 300)])
        if line and line == wanted:
            return start, stop
        if wanted and line.endswith(wanted) and (len(wanted) > 3 or line[: -len(wanted)].isdecimal()):
            return start, stop
        start = stop + 1
    return None


def _bare(words: str) -> str:
    return re.sub(r"[\W_]+", "", words).lower()


def _note(what: str, numbers: Sequence[int]) -> Iterator[str]:
    """One sentence about the pages that are not in the text."""
    if numbers:
        spans: list[str] = []
        at = 0
        while at < len(numbers):
            end = at
            while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
                end += 1
            spans.append(f"{numbers[at]}" if at == end else f"{numbers[at]}-{numbers[end]}")
            at = end + 1
        told = ", ".join(spans[:20]) + (" and others" if len(spans) > 20 else "")
        many = "pages" if len(numbers) > 1 else "page"
        yield f"There is no text from {len(numbers):,} {many} ({what}): {told}."
