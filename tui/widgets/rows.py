"""A list of rows that is told what to show and updates only what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual.binding import BindingType
from textual.content import Content
from textual.css.styles import RulesMap
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui import keys


@dataclass(frozen=True)
class Row:
    """One row. ``id`` stays the same while the row changes; a row that is not ``enabled`` cannot be selected."""

    id: str
    content: Content
    enabled: bool = True


class _Drawn(Visual):
    """A row's content, measured without being folded where it is not to be folded: a list measures all its rows at every
    new width, and draws those in sight.
    """

    def __init__(self, content: Content) -> None:
        self.take(content)

    def take(self, content: Content) -> None:
        """Read so from now on."""
        self._content = content
        self.lines = content.plain.count("\n") + 1

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        return self._content.render_strips(width, height, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        return self._content.get_optimal_width(rules, container_width)

    def get_minimal_width(self, rules: RulesMap) -> int:
        return self._content.get_minimal_width(rules)

    def get_height(self, rules: RulesMap, width: int) -> int:
        return self.lines if rules.get("text_wrap") == "nowrap" else self._content.get_height(rules, width)


class RowList(OptionList):
    """One virtual list, however many rows. Tells of moves by the user only, never of its own."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.MOVES)

    class Moved(Message):
        """The user moved to a row."""

        def __init__(self, rows: RowList, row: str) -> None:
            super().__init__()
            self.rows = rows
            self.row = row

        @property
        def control(self) -> RowList:
            return self.rows

    class Picked(Moved):
        """The user pressed enter on a row, or clicked it."""

    highlighted: reactive[int | None] = reactive(None, repaint=False)  # two rows are drawn for it, not the whole list

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False, compact=True)
        self._rows: tuple[Row, ...] = ()
        self._quiet = False
        self._marked: int | None = None

    @property
    def row(self) -> str:
        """The id of the row under the cursor; empty where there is none."""
        return self._rows[self.highlighted].id if self.highlighted is not None else ""

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is shown."""
        return self._rows

    @property
    def last_row(self) -> str:
        """The id of the last row that can be selected; empty where there is none."""
        return next((row.id for row in reversed(self._rows) if row.enabled), "")

    def show(self, rows: Sequence[Row]) -> None:
        """Make the list read so. The cursor stays on its row."""
        self._quiet = True
        try:
            self._show(tuple(rows))
        finally:
            self._quiet = False

    def _show(self, new: tuple[Row, ...]) -> None:
        old, row, top = self._rows, self.row, self.scroll_offset.y
        self._rows = new
        if len(new) >= len(old) and all(
            a.id == b.id and a.enabled == b.enabled for a, b in zip(old, new, strict=False)
        ):
            self._change(
                {
                    index: after.content
                    for index, (before, after) in enumerate(zip(old, new, strict=False))
                    if before is not after and not before.content.is_same(after.content)
                }
            )
            if len(new) > len(old):
                self.add_options([_option(row) for row in new[len(old) :]])
            return
        self.set_options([_option(each) for each in new])
        self._place(row)
        self.scroll_to(y=top, animate=False)

    def _change(self, changed: Mapping[int, Content]) -> None:
        """Make these rows read so. Where they stay as high as they are, the others are neither measured nor drawn again."""
        drawn = {index: self.get_option_at_index(index).prompt for index in changed}
        same = {
            index: prompt
            for index, prompt in drawn.items()
            if isinstance(prompt, _Drawn) and prompt.lines == changed[index].plain.count("\n") + 1
        }
        if len(same) < len(changed) or self.styles.text_wrap != "nowrap":
            for index, content in changed.items():
                self.replace_option_prompt_at_index(index, _Drawn(content))
            return
        for index, prompt in same.items():
            prompt.take(changed[index])
            self._refresh_row(index)
        prompts = set(same.values())
        for key in [key for key in self._option_render_cache.keys() if key[0].prompt in prompts]:  # noqa: SIM118 - no dict
            self._option_render_cache.discard(key)

    def _refresh_row(self, index: int | None) -> None:
        line = self._index_to_line.get(index) if index is not None else None
        if index is not None and line is not None:
            self.refresh_lines(line, self._heights[index])

    def select(self, row: str) -> None:
        """Put the cursor on this row, if it is there, without telling of it."""
        if row == self.row:
            return
        self._quiet = True
        try:
            self._place(row)
        finally:
            self._quiet = False

    def _place(self, row: str) -> None:
        for index, each in enumerate(self._rows):
            if each.id == row and each.enabled:
                self.highlighted = index
                return

    def find(self, words: str) -> bool:
        """Put the cursor on the next row that has these words, going round; false where none has."""
        wanted = words.casefold()
        start = (self.highlighted or 0) + 1
        for step in range(len(self._rows)):
            row = self._rows[(start + step) % len(self._rows)]
            if row.enabled and wanted in row.content.plain.casefold():
                self._place(row.id)
                return True
        return False

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        """Textual loses the cursor where a page ends beyond the last row that can be selected."""
        super()._move_page(direction)
        if self.highlighted is None:
            self.action_first() if direction < 0 else self.action_last()

    def action_select(self) -> None:
        """Enter means the first row where none was gone to yet."""
        if self.highlighted is None:
            self.action_first()
        super().action_select()

    def watch_highlighted(self, highlighted: int | None) -> None:
        super().watch_highlighted(highlighted)
        self._refresh_row(self._marked)
        self._refresh_row(highlighted)
        self._marked = highlighted
        if not self._quiet and highlighted is not None:
            self.post_message(self.Moved(self, self.row))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Picked(self, self._rows[event.option_index].id))


def _option(row: Row) -> Option:
    # Without its id: Textual refuses a second one of the same.
    return Option(_Drawn(row.content), disabled=not row.enabled)
