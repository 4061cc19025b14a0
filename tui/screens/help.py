"""All keys, made from :mod:`tui.keys`: those of the pane one is in first, then the others, and what the signs mean."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen

from tui import keys
from tui.keymap import with_keymap
from tui.keys import Key
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
    """Keys of what is in front, then by group, then signs. ``keymap`` holds the keys that the settings change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,question_mark,enter", "dismiss", "Back"),
        *keys.bindings(keys.SCROLLS),
    ]

    def __init__(self, front: Screen[object] | None = None, keymap: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._front, self._keymap = front, keymap or {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc: back"
            yield Plain(self._text())

    def on_resize(self) -> None:
        self.query_one("#help Plain", Plain).show(self._text())

    def _text(self) -> Content:
        name, here = keys_here(self._front)
        rows: list[Content] = []
        if here:
            rows += [line((f"Here: {name}", "bold $primary")), *self._entries(here), Content()]
        for group in keys.GROUPS:
            listed = [key for key in keys.ALL if key.group == group]
            rows += [line((group, "bold $primary")), *self._entries(listed), Content()]
        rows.append(line(("Signs", "bold $primary")))
        for sign, meaning in SIGNS:
            rows += self._entry(sign, meaning)
        rows += [
            Content(),
            line(("Other keys: f2, or [keys] in the settings file.", "dim")),
            line(("Their names are in the guide.", "dim")),
        ]
        return lines(rows)

    def _entries(self, some: Iterable[Key]) -> list[Content]:
        return [row for key in some for row in self._entry(with_keymap(key, self._keymap).display, key.tooltip)]

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


def keys_here(front: Screen[object] | None) -> tuple[str, list[Key]]:
    """What is in front, in words, and the keys that matter in it: the focused pane's, or else the screen's own."""
    if front is None:
        return "", []
    every = keys.every()
    focused = front.focused.id if front.focused is not None else None
    if focused in keys.HERE:
        name, ids = keys.HERE[focused]
        return name, [every[id] for id in ids]
    if any(key.id in own_ids(front) for key in keys.SCREEN):
        return "", []  # the main screen with nothing focused: all its keys follow anyway
    return "this screen", [every[id] for id in own_ids(front) if id in every]


def own_ids(screen: Screen[object]) -> list[str]:
    """The ids of the keys that a screen binds itself, in order."""
    found = (binding.id for binding in type(screen).BINDINGS if isinstance(binding, Binding))
    return [id for id in dict.fromkeys(found) if id]
