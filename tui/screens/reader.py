"""A document, opened at a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input

from tui import keys
from tui.safe import Plain, line, short
from tui.widgets.document import Document


class Reader(Screen[None]):
    """The whole text with line numbers. Cited lines are marked; ``/`` finds words."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.READER)
    AUTO_FOCUS = "Document"

    def __init__(self, title: str, uri: str, text: str, at: int = 1, cited: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__()
        self._title, self._uri, self._at = short(title), short(uri), at
        self._cited = sorted(set(cited))
        self._document = Document(text, self._cited)
        self._count = text.count("\n") + 1
        self._here = at

    def compose(self) -> ComposeResult:
        yield Plain(line((self._title, "bold"), "  ", (self._uri, "dim")), classes="bar")
        yield Plain(id="reader-note", classes="bar")
        yield self._document
        yield Input(placeholder="find…  (enter: next, esc: done)", id="reader-find", compact=True)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one("#reader-find").display = False
        self._note()
        self.call_after_refresh(self._document.go_to, self._at)

    def _note(self, extra: str = "") -> None:
        cited = ", ".join(f"L{first}-L{last}" for first, last in self._cited)
        parts = [f"{self._count:,} lines", f"cited: {cited}" if cited else "", extra]
        self.query_one("#reader-note", Plain).show(line(("  ·  ".join(part for part in parts if part), "dim")))

    def action_back(self) -> None:
        field = self.query_one("#reader-find", Input)
        if field.display:
            field.display = False
            self._document.focus()
        else:
            self.dismiss()

    def action_find(self) -> None:
        field = self.query_one("#reader-find", Input)
        field.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._document.look_for(event.value)
        found = self._document.found
        self._here = 0
        self._note(f"{len(found)} lines found" if event.value else "")
        if found:
            self._go(1)

    def on_input_submitted(self) -> None:
        self._go(1)

    def action_next(self, step: int) -> None:
        self._go(step)

    def _go(self, step: int) -> None:
        """To the next place, going round: the words found, or where none are looked for the cited lines."""
        places = self._document.found or [first for first, _ in self._cited]
        if not places:
            return
        ahead = [place for place in places if (place > self._here if step > 0 else place < self._here)]
        self._here = (ahead or places)[0 if step > 0 else -1]
        self._document.go_to(self._here)

    def action_copy(self) -> None:
        everything = not self._cited
        text = self._document.text_of(self._cited or [(1, self._count)])
        self.app.copy_to_clipboard(text)
        self.notify("The document is copied." if everything else "The cited lines are copied.", markup=False)
