"""Presentations: each slide is a page under its title, with its tables and the speaker's notes."""

from __future__ import annotations

from engine.sources.library.extract.base import Extracted
from engine.sources.library.extract.package import Package
from engine.sources.library.extract.write import Writer

_TITLES = frozenset(("title", "ctrTitle"))
_FURNITURE = frozenset(("dt", "ftr", "sldNum", "hdr", "sldImg"))
"""Placeholders that say the same on every slide."""


def extract_pptx(data: bytes) -> Extracted:
    """The text of the slides in the order in which they are shown, hidden ones too."""
    package = Package(data, "presentation")
    main = package.main()
    targets = package.relations(main)
    order = [
        event.attributes.get("r:id", "")
        for event in package.events(main)
        if event.what == "start" and event.name == "sldId"
    ]
    writer = Writer()
    for number, slide in enumerate((targets[each].member for each in order if each in targets), start=1):
        writer.page()
        title, lines = _slide(package, slide)
        writer.heading(1, title or f"Slide {number}", shown=bool(title))
        for line in lines:
            writer.line(line)
        for notes in package.related(slide, "notesSlide"):
            writer.gap()
            for index, line in enumerate(_slide(package, notes)[1]):
                writer.line(line if index else f"Notes: {line}")
    return writer.finish(package.title())


def _slide(package: Package, name: str) -> tuple[str, list[str]]:
    """The title and the lines of a slide."""
    title: list[str] = []
    lines: list[str] = []
    words: list[str] = []
    cells: list[str] = []
    cell: list[str] = []
    role, in_text, in_table = "", False, False
    for what, tag, attributes in package.events(name):
        if what == "text":
            if in_text:
                words.append(tag)
            continue
        starts = what == "start"
        match tag:
            case "sp":
                role = ""
            case "ph" if starts:
                role = attributes.get("type", "")
            case "t":
                in_text = starts
            case "tab" | "br" if starts:
                words.append(" ")
            case "tbl":
                in_table = starts
            case "tr":
                if not starts and any(cells):
                    lines.append(" | ".join(cells))
                cells = []
            case "tc":
                if not starts:
                    cells.append(" ".join(cell))
                cell = []
            case "p":
                line = " ".join("".join(words).split())
                words = []
                if not starts and line and role not in _FURNITURE:
                    (cell if in_table else title if role in _TITLES else lines).append(line)
    return " ".join(title), lines
