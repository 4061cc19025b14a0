"""Text in blocks under one-line heads, each of which folds. Only the lines in sight are ever drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from engine.clean import clean
from tui import keys

_INDENT = 4


@dataclass(frozen=True)
class Block:
    """A head and the text under it. ``sign`` and ``look`` say what became of it: ``look`` is one of the component
    classes, without ``folds--``. ``id`` stays the same while the block changes.
    """

    id: str
    sign: str
    label: str
    size: str
    hint: str
    text: str
    look: str = ""


class Folds(ScrollView, can_focus=True):
    """The blocks, a cursor on one of the lines, and what is unfolded of them."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.MOVES)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "folds--added",
        "folds--masked",
        "folds--back",
        "folds--gone",
        "folds--quiet",
        "folds--found",
        "folds--cursor",
    }

    class Folded(Message):
        """The user folded a block, or unfolded it."""

        def __init__(self, id: str, opened: bool) -> None:
            super().__init__()
            self.id, self.opened = id, opened

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._blocks: tuple[Block, ...] = ()
        self._open: frozenset[str] = frozenset()
        self._rows: list[tuple[int, int, str]] = []  # block, line of its text (-1 for its head), text
        self._heads: list[int] = []
        self._cursor = 0
        self._words = ""
        self._width = 0
        self._wrapped: dict[tuple[str, int], list[str]] = {}

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────

    @property
    def block(self) -> Block | None:
        """The block under the cursor."""
        return self._blocks[self._rows[self._cursor][0]] if self._rows else None

    @property
    def opened(self) -> frozenset[str]:
        """The ids of what is unfolded."""
        return self._open

    def show(self, blocks: Sequence[Block], opened: frozenset[str]) -> None:
        """Show these. The cursor stays on its block, or else goes to the first."""
        here = self.block.id if self.block else ""
        self._blocks, self._open = tuple(blocks), opened
        self._lay_out(here)

    def go_to(self, id: str) -> None:
        """Put the cursor on the head of a block."""
        for index, block in enumerate(self._blocks):
            if block.id == id:
                self._move(self._heads[index])

    def fold(self, id: str, *, opened: bool) -> None:
        """Fold a block, or unfold it."""
        self._open = self._open | {id} if opened else self._open - {id}
        self._lay_out(id)

    def find(self, words: str, step: int) -> bool:
        """Mark these words wherever they are, and go to the next line that has them; false where none has."""
        self._words = words.casefold()
        self.refresh()
        if not self._words or not self._rows:
            return False
        has = [block.id for block in self._blocks if self._words in clean(block.text).casefold()]
        if not has:
            return False
        self._open = self._open | set(has)
        index, offset = self._rows[self._cursor][:2]
        self._lay_out(self._blocks[index].id, offset)
        places = [
            row for row, (_, offset, text) in enumerate(self._rows) if offset >= 0 and self._words in text.casefold()
        ]
        if not places:  # the words are there, but on two lines as they are folded
            places = [self._heads[index] for index, block in enumerate(self._blocks) if block.id in has]
        ahead = [row for row in places if (row > self._cursor if step > 0 else row < self._cursor)]
        self._move((ahead or places)[0 if step > 0 else -1])
        return True

    # ── the cursor ───────────────────────────────────────────────────────────────────────────────

    def _move(self, row: int) -> None:
        self._cursor = max(0, min(row, len(self._rows) - 1))
        height = max(1, self.scrollable_content_region.height)
        top = round(self.scroll_y)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False)
        self.refresh()

    def action_cursor_down(self) -> None:
        self._move(self._cursor + 1)

    def action_cursor_up(self) -> None:
        self._move(self._cursor - 1)

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(len(self._rows) - 1)

    def action_page_down(self) -> None:
        self._move(self._cursor + self.scrollable_content_region.height)

    def action_page_up(self) -> None:
        self._move(self._cursor - self.scrollable_content_region.height)

    def action_select(self) -> None:
        if (block := self.block) is not None and block.text:
            self.fold(block.id, opened=block.id not in self._open)
            self.post_message(self.Folded(block.id, block.id in self._open))

    def on_click(self, event: events.Click) -> None:
        row = event.y + round(self.scroll_y)
        if 0 <= row < len(self._rows):
            self._move(row)
            if self._rows[row][1] < 0:
                self.action_select()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self._lay_out(self.block.id if self.block else "")

    def _lay_out(self, here: str, offset: int = -1) -> None:
        """Make the rows anew, with the cursor on this line of this block, or on its head."""
        self._width = self.scrollable_content_region.width
        width = max(10, self._width - _INDENT)
        self._rows, self._heads, self._cursor = [], [], 0
        for index, block in enumerate(self._blocks):
            self._heads.append(len(self._rows))
            if block.id == here:
                self._cursor = len(self._rows)
            self._rows.append((index, -1, ""))
            if block.text and block.id in self._open:
                lines = self._lines(block.text, width)
                if block.id == here and 0 <= offset < len(lines):
                    self._cursor = len(self._rows) + offset
                self._rows += [(index, place, text) for place, text in enumerate(lines)]
        self.virtual_size = Size(0, len(self._rows))
        self._move(self._cursor)

    def _lines(self, text: str, width: int) -> list[str]:
        """A text folded at a width. What was folded once is kept: the same pieces are in every view."""
        lines = self._wrapped.get((text, width))
        if lines is None:
            lines = []
            for each in clean(text).expandtabs(4).removesuffix("\n").split("\n"):
                if len(each) <= width and cell_len(each) <= width:
                    lines.append(each)
                else:
                    lines += [part.plain.rstrip() for part in Content(each).wrap(width)]
            self._wrapped[text, width] = lines
        return lines

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        row = y + round(self.scroll_y)
        if row >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        index, offset, text = self._rows[row]
        block = self._blocks[index]
        look = self.get_component_rich_style(f"folds--{block.look}") if block.look else Style.null()
        drawn = self._head(block, look, width) if offset < 0 else self._body(text, look)
        base = self.rich_style
        if row == self._cursor and self.has_focus:
            cursor = self.get_component_rich_style("folds--cursor")
            base += cursor
            drawn.stylize(Style(bgcolor=cursor.bgcolor, reverse=cursor.reverse))  # above the looks' own background
        if offset >= 0 and (selection := self.text_selection) is not None and (span := selection.get_span(row)):
            start, end = span[0], len(text) + _INDENT if span[1] < 0 else span[1]
            drawn.stylize(self.screen.get_component_rich_style("screen--selection"), start, end)
        strip = Strip(drawn.render(self.app.console)).apply_offsets(0, row)
        return strip.crop(0, width).extend_cell_length(width).apply_style(base)

    def _head(self, block: Block, look: Style, width: int) -> Text:
        fold = " " if not block.text else "▾" if block.id in self._open else "▸"
        quiet = self.get_component_rich_style("folds--quiet")
        name = 26 if width >= 60 else 20
        head = Text(no_wrap=True, end="")
        head.append(f"{fold} ")
        head.append(f"{block.sign:<2}", look)
        head.append(f"{block.label[:name]:<{name}} ", look + Style(bold=True))
        head.append(f"{block.size:>8}  ", look)
        hint = block.hint if block.id not in self._open else ""
        head.append(clean(hint).replace("\n", " ↵ ")[: max(0, width)], quiet)
        return head

    def _body(self, text: str, look: Style) -> Text:
        body = Text(" " * _INDENT + text, style=look, no_wrap=True, end="")
        low, start = text.casefold(), 0
        while self._words and (start := low.find(self._words, start)) >= 0:
            end = start + len(self._words)
            body.stylize(self.get_component_rich_style("folds--found"), start + _INDENT, end + _INDENT)
            start = end
        return body

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join(" " * _INDENT + text for _, _, text in self._rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's
        self.refresh()
