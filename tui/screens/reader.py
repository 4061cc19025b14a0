"""A document, opened at a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from tui import keys
from tui.safe import Plain, line, short
from tui.widgets.document import Document
from tui.widgets.keybar import KeyBar


class Reader(Screen[None]):
    """The whole text with line numbers. Cited lines are marked; ``/`` finds words."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.READER)
    AUTO_FOCUS = "Document"

    class Original(Message):
        """Open the document itself."""

        def __init__(self, uri: str) -> None:
            super().__init__()
            self.uri = uri

    def __init__(self, title: str, uri: str, text: str, at: int = 1, cited: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__()
        self._title, self._uri, self._uri_whole, self._at = short(title), short(uri), uri, at
        self._cited = sorted(set(cited))
        self._document = Document(text, self._cited)
        self._count = text.count("\n") + 1
        self._here = at

    def compose(self) -> ComposeResult:
        yield Plain(line((self._title, "bold"), "  ", (self._uri, "dim")), classes="bar")
        yield Plain(id="reader-note", classes="bar")
        yield self._document
        yield Input(placeholder="find…  (enter: next, esc: done)", id="reader-find", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#reader-find").display = False
        self._note()
        self.call_after_refresh(self._document.go_to, self._at)

    def _note(self, extra: str = "") -> None:
        cited = ", ".join(_range(each) for each in self._cited)
        if (here := self._citation()) is not None and len(self._cited) > 1:
            cited = f"{_range(here)}, {self._cited.index(here) + 1} of {len(self._cited)}  (n N: next, previous)"
        parts = [f"{self._count:,} lines", f"cited: {cited}" if cited else "", extra]
        self.query_one("#reader-note", Plain).show(line(("  ·  ".join(part for part in parts if part), "dim")))

    def _citation(self) -> tuple[int, int] | None:
        """The cited lines one is at."""
        return next((each for each in self._cited if each[0] <= self._here <= each[1]), None)

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
        if not self._document.found:
            self._note()

    def action_copy(self) -> None:
        """The cited lines one is at, else all that are cited, each with its place; without any, the whole document."""
        here = self._citation()
        wanted = [here] if here is not None else self._cited
        parts = [f"{self._document.text_of([each])}\n({self._uri} {_range(each)})" for each in wanted]
        self.app.copy_to_clipboard("\n\n".join(parts) or self._document.text_of([(1, self._count)]))

    def action_original(self) -> None:
        self.app.post_message(self.Original(self._uri_whole))


def _range(lines: tuple[int, int]) -> str:
    return f"L{lines[0]}-L{lines[1]}"
