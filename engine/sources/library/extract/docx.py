"""Word documents: paragraphs, headings by their style, lists, tables as lines, notes at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.sources.library.extract.base import Extracted
from engine.sources.library.extract.package import Event, Package
from engine.sources.library.extract.write import Writer

_HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)
_MOST_ABOVE = 20
_LEFT_OUT = frozenset(("moveFrom", "del"))


def extract_docx(data: bytes) -> Extracted:
    """The text of a Word document as it reads with all changes accepted, without page headers and footers."""
    package = Package(data, "Word document")
    main = package.main()
    parts = {each.kind: each.member for each in package.relations(main).values()}
    body = _Body(_styles(package.events(parts.get("styles", ""))))
    for event in package.events(main):
        body.take(event)
    for kind in ("footnote", "endnote"):
        body.take_notes(kind, package.events(parts.get(f"{kind}s", "")))
    return body.writer.finish(package.title() or body.title)


@dataclass
class _Style:
    level: int = -1  # of a heading; 0 is the title of the document
    item: bool = False  # of a list
    above: str = ""


def _styles(events: Iterable[Event]) -> dict[str, _Style]:
    """The styles of paragraphs, with what they inherit."""
    styles: dict[str, _Style] = {}
    style = _Style()
    for event in events:
        if event.what != "start":
            continue
        value = event.attributes.get("val", "")
        match event.name:
            case "style":
                style = styles.setdefault(event.attributes.get("styleId", ""), _Style())
            case "name" if heading := _HEADING.match(value):
                style.level = int(heading[1])
            case "name" if value.lower() == "title":
                style.level = 0
            case "basedOn":
                style.above = value
            case "outlineLvl" if style.level < 0:
                style.level = _outline(value)
            case "numPr":
                style.item = True
    return {name: _inherited(styles, name) for name in styles}


def _inherited(styles: dict[str, _Style], name: str) -> _Style:
    """A style, with the level and the list of the nearest one above it that has them."""
    level, item = -1, False
    seen: set[str] = set()
    while name in styles and name not in seen and len(seen) < _MOST_ABOVE:
        seen.add(name)
        level = styles[name].level if level < 0 else level
        item |= styles[name].item
        name = styles[name].above
    return _Style(level, item)


def _outline(value: str) -> int:
    """The heading level of an outline level, which counts from 0; 9 is body text."""
    return int(value) + 1 if value in tuple("012345678") else -1


@dataclass
class _Paragraph:
    words: list[str] = field(default_factory=list)
    level: int = -1
    indent: int = -1  # of a list item


class _Body:
    """Paragraphs as they come. One may stand in another: a text box in the line that holds it."""

    def __init__(self, styles: dict[str, _Style]) -> None:
        self.writer = Writer()
        self.title = ""
        self._styles = styles
        self._open: list[_Paragraph] = []
        self._cells: list[str] = []
        self._cell: list[str] = []
        self._tables = 0  # how deep in tables
        self._left_out = 0  # how deep in what was deleted
        self._in_text = False
        self._item = False  # the last paragraph was a list item
        self._numbers: dict[tuple[str, str], int] = {}  # of notes, in the order in which they are referred to

    def take(self, event: Event) -> None:
        """One step of the document."""
        what, name, attributes = event
        if what == "text":
            if self._in_text and self._open and not self._left_out:
                self._open[-1].words.append(name)
        elif name in _LEFT_OUT:
            self._left_out += 1 if what == "start" else -1
        elif self._left_out:
            return
        elif name == "t":
            self._in_text = what == "start"
        elif what == "start":
            self._start(name, attributes.get("val", ""), attributes.get("id", ""))
        else:
            self._end(name)

    def take_notes(self, kind: str, events: Iterable[Event]) -> None:
        """The notes that the text refers to, one a line."""
        self.writer.gap()
        self._tables, self._open = 0, []
        for event in events:
            what, name, attributes = event
            if what == "text" or name != kind:
                if self._open and name == "p":
                    self._open[-1].words.append(" ")
                elif self._open:
                    self.take(event)
            elif what == "start" and (kind, attributes.get("id", "")) in self._numbers:
                self._open = [_Paragraph([f"[{self._numbers[kind, attributes['id']]}] "])]
            elif self._open:
                self.writer.line(" ".join("".join(self._open.pop().words).split()))

    def _start(self, name: str, value: str, ident: str) -> None:
        match name:
            case "p":
                self._open.append(_Paragraph())
            case "tbl":
                self._tables += 1
                if self._tables == 1:
                    self.writer.gap()
            case "tr" if self._tables == 1:
                self._cells = []
            case "tc" if self._tables == 1:
                self._cell = []
        if not self._open:
            return
        paragraph = self._open[-1]
        match name:
            case "pStyle":
                style = self._styles.get(value, _Style())
                paragraph.level, paragraph.indent = style.level, 0 if style.item else -1
            case "outlineLvl":
                paragraph.level = _outline(value)
            case "ilvl":
                paragraph.indent = int(value) if value.isdecimal() and len(value) < 3 else 0
            case "numPr":
                paragraph.indent = max(0, paragraph.indent)
            case "tab" | "br" | "cr":
                paragraph.words.append(" " if name == "tab" else "\n")
            case "noBreakHyphen":
                paragraph.words.append("-")
            case "footnoteReference" | "endnoteReference":
                key = (name.removesuffix("Reference"), ident)
                number = self._numbers.setdefault(key, len(self._numbers) + 1)
                paragraph.words.append(f"[{number}]")

    def _end(self, name: str) -> None:
        match name:
            case "p" if self._open:
                self._put(self._open.pop())
            case "tc" if self._tables == 1:
                self._cells.append(" ".join(self._cell))
            case "tr" if self._tables == 1:
                if any(self._cells):
                    self.writer.line(" | ".join(self._cells))
            case "tbl":
                self._tables -= 1
                if self._tables == 0:
                    self.writer.gap()

    def _put(self, paragraph: _Paragraph) -> None:
        lines = [" ".join(line.split()) for line in "".join(paragraph.words).split("\n")]
        lines = [line for line in lines if line]
        if not lines:
            return
        if self._tables:
            self._cell += lines
        elif paragraph.level >= 0:
            words = " ".join(lines)
            self.title = self.title or (words if paragraph.level == 0 else "")
            self.writer.heading(paragraph.level, words)
            self._item = False
        else:
            item = paragraph.indent >= 0
            if not (item and self._item):
                self.writer.gap()
            self._item = item
            mark = "  " * min(paragraph.indent, 9) + "- " if item else ""
            for line in lines:
                self.writer.line(mark + line)
                mark = " " * len(mark)
            if not item:
                self.writer.gap()
