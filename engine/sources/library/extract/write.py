"""Text as it is made of a document that is none: its lines, and where headings and pages begin."""

from __future__ import annotations

from collections.abc import Iterable

from engine.clean import clean, clean_line
from engine.sources.library.extract.base import MOST_TEXT, Extracted, Heading, Unreadable, build


class Writer:
    """Lines in the order of the document. Raises Unreadable where they become more than a document may have."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._gap = False  # an empty line is due before the next one
        self._headings: list[Heading] = []
        self._pages: list[int] = []
        self._notes: list[str] = []

    def line(self, text: str) -> None:
        """One line; white space at its end, and line ends within, are taken out."""
        self._put(f"{clean(' '.join(text.splitlines())).rstrip()}\n")

    def lines(self, text: str) -> None:
        """Text that has lines of its own, as it is but for empty lines at its ends."""
        text = clean(text.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
        if text.strip():
            self._put(f"{text}\n")

    def gap(self) -> None:
        """An empty line between what was written and what will be."""
        self._gap = True

    def heading(self, level: int, words: str, *, shown: bool = True) -> None:
        """A heading, with the marks that Markdown has for it; or, if it is not ``shown``, only its place.

        ``level`` 1 is the outermost; 0 stands above all.
        """
        words = clean_line(words, 200)
        if not words:
            return
        self.gap()
        self._open()
        start = self._length
        if shown:
            self.line(f"{'#' * max(1, level)} {words}")
            self.gap()
        self._headings.append(Heading(start, max(start, self._length - 1), level, words))

    def part(self, text: str, headings: Iterable[Heading]) -> None:
        """A text that was made elsewhere, clean and in lines, with its headings."""
        if text.strip():
            self._open()
            at = self._length
            self._headings += [Heading(at + each.start, at + each.end, each.level, each.text) for each in headings]
            self._put(text if text.endswith("\n") else f"{text}\n")

    def page(self) -> None:
        """What follows is on a new page."""
        self.gap()
        self._open()
        self._pages.append(self._length)

    def note(self, sentence: str) -> None:
        """Say what is missing from the text."""
        self._notes.append(clean_line(sentence))

    def finish(self, title: str = "") -> Extracted:
        """The document. Without a title of its own, it has that of its first outermost heading."""
        top = min((each.level for each in self._headings), default=0)
        named = next((each.text for each in self._headings if each.level == top), "")
        text = "".join(self._pieces)
        return build(clean_line(title) or named, text, self._headings, self._pages, self._notes)

    def _open(self) -> None:
        """Write the empty line that is due."""
        due, self._gap = self._gap and self._length and self._pieces[-1] != "\n", False
        if due:
            self._put("\n")

    def _put(self, piece: str) -> None:
        self._open()
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > MOST_TEXT:
            limit = f"{MOST_TEXT // 1_000_000} million"
            raise Unreadable(f"It has more than {limit} characters of text.", "Split it into smaller files.")
