"""All keys, made from :mod:`tui.keys`, and what the signs mean."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from tui import keys
from tui.safe import Plain, line, lines

_NAME = 14
"""Cells for a key's name."""

SIGNS = (
    ("█", "live: the model reads it whole"),
    ("░", "⊘ masked: the model reads only its header line; the rest is kept here"),
    ("^", "pinned by you: live whatever its age"),
    ("!", "an error: never masked"),
    ("→", "will change at the next turn"),
    ("5t", "how many turns ago it came"),
    ("“ ↻", "its last use: ✓ cited, “ quoted, ↻ lines of it opened again"),
    ("──", "the window's edge: what is above it is masked"),
    ("✓", "the cited lines support the sentence"),
    ("~", "they support it only in part"),
    ("✗", "they do not, or there are no such lines"),
)


class Help(ModalScreen[None]):
    """Keys by group, then signs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,question_mark,enter", "dismiss", "Back"),
        *keys.bindings(keys.SCROLLS),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc: back"
            yield Plain(self._text())

    def _text(self) -> Content:
        rows: list[Content] = []
        for group in keys.GROUPS:
            rows.append(line((group, "bold $primary")))
            for key in keys.ALL:
                if key.group == group:
                    rows += self._entry(key.display, key.tooltip)
            rows.append(Content())
        rows.append(line(("Signs", "bold $primary")))
        for sign, meaning in SIGNS:
            rows += self._entry(sign, meaning)
        return lines(rows)

    def _entry(self, name: str, meaning: str) -> list[Content]:
        """A name and what it means, folded beside it."""
        width = min(84, self.app.size.width * 95 // 100) - _NAME - 8  # the box's border, padding and scrollbar
        first, *rest = textwrap.wrap(meaning, max(20, width))
        return [line((f"  {name:<{_NAME - 2}}", "bold"), first), *(line(" " * _NAME, text) for text in rest)]

    def on_click(self) -> None:
        """A click beside the box closes it."""
        if self.focused is None:
            self.dismiss()

    def _scroll(self) -> VerticalScroll:
        return self.query_one("#help", VerticalScroll)

    def action_scroll_down(self) -> None:
        self._scroll().scroll_down(animate=False)

    def action_scroll_up(self) -> None:
        self._scroll().scroll_up(animate=False)

    def action_scroll_home(self) -> None:
        self._scroll().scroll_home(animate=False)

    def action_scroll_end(self) -> None:
        self._scroll().scroll_end(animate=False)
