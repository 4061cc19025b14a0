"""A whole document, line by line, with its real line numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from engine.clean import clean
from tui import keys


class Document(ScrollView, can_focus=True):
    """Numbered lines; long ones are folded at the width. Only the lines in sight are ever drawn.

    ``cited`` holds 1-based line ranges to mark.
    """

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SCROLLS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {"document--number", "document--cited", "document--found"}

    def __init__(self, text: str, cited: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__()
        self._lines = clean(text).expandtabs(4).split("\n")
        self._cited = tuple(cited)
        self._words = ""
        self._rows: list[tuple[int, str]] = []
        self._starts: list[int] = []
        self._width = 0

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────

    @property
    def found(self) -> list[int]:
        """The 1-based lines that have the words looked for."""
        if not self._words:
            return []
        return [number for number, text in enumerate(self._lines, 1) if self._words in text.casefold()]

    @property
    def top(self) -> int:
        """The 1-based line at the top of the screen."""
        return self._rows[min(round(self.scroll_y), len(self._rows) - 1)][0] if self._rows else 1

    def look_for(self, words: str) -> None:
        """Mark these words wherever they are; empty marks none."""
        self._words = words.casefold()
        self.refresh()

    def go_to(self, number: int, above: int = 2) -> None:
        """Scroll so that the 1-based line is near the top, with some lines above it."""
        if self._starts:
            row = self._starts[max(0, min(number, len(self._lines)) - 1)]
            self.scroll_to(y=max(0, row - above), animate=False)

    def text_of(self, ranges: Sequence[tuple[int, int]]) -> str:
        """The text of these line ranges."""
        return "\n".join("\n".join(self._lines[first - 1 : last]) for first, last in ranges)

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _gutter(self) -> int:
        return len(str(len(self._lines))) + 3

    def on_resize(self) -> None:
        self._fold()

    def _fold(self) -> None:
        width = max(10, self.scrollable_content_region.width - self._gutter)
        if width == self._width:
            return
        top = self.top
        self._width, self._rows, self._starts = width, [], []
        for number, text in enumerate(self._lines, 1):
            self._starts.append(len(self._rows))
            if len(text) <= width and cell_len(text) <= width:
                self._rows.append((number, text))
            else:
                self._rows += [(number, part.plain.rstrip()) for part in Content(text).wrap(width)]
        self.virtual_size = Size(0, len(self._rows))
        self.go_to(top, above=0)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        index = y + round(self.scroll_y)
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        number, text = self._rows[index]
        cited = any(first <= number <= last for first, last in self._cited)
        body = Text(text, no_wrap=True, end="")
        body.stylize(self.get_component_rich_style("document--cited") if cited else self.rich_style)
        for start, end in self._marks(text):
            body.stylize(self.get_component_rich_style("document--found"), start, end)
        if (selection := self.text_selection) is not None and (span := selection.get_span(index)) is not None:
            body.stylize(self.screen.get_component_rich_style("screen--selection"), *_ending(span, len(text)))
        shown = Strip(body.render(self.app.console)).extend_cell_length(width - self._gutter, Style.null())
        label = number if self._starts[number - 1] == index else ""
        gutter = f"{label:>{self._gutter - 3}} {'▌' if cited else ' '} "
        numbered = Strip([Segment(gutter, self.get_component_rich_style("document--number"))])
        return Strip.join([numbered, shown.apply_offsets(0, index)]).crop(0, width).apply_style(self.rich_style)

    def _marks(self, text: str) -> list[tuple[int, int]]:
        marks, low, start = [], text.casefold(), 0
        while self._words and (start := low.find(self._words, start)) >= 0:
            marks.append((start, start + len(self._words)))
            start += len(self._words)
        return marks

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join(text for _, text in self._rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's
        self.refresh()


def _ending(span: tuple[int, int], length: int) -> tuple[int, int]:
    """A span whose end -1 means the end of the line, as plain offsets."""
    return span[0], length if span[1] < 0 else span[1]
