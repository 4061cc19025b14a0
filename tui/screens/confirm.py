"""Short questions in front of a screen: yes or no, a line of text, one of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.safe import Plain, line, lines, short
from tui.widgets.rows import Row, RowList


class Confirm(ModalScreen[bool]):
    """One question, answered with y or enter, or not. ``about`` is shown whole below it: an address, a name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str, verb: str, otherwise: str = "keep it", about: str = "") -> None:
        super().__init__()
        self._question, self._verb, self._otherwise, self._about = question, verb, otherwise, about

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Plain(line((short(self._question), "bold")))
            if self._about:
                with VerticalScroll(id="confirm-box"):
                    yield Plain(line(short(self._about, 4000)), id="confirm-about")
            yield Plain(
                choices(("y", self._verb, "screen.answer(True)"), ("n", self._otherwise, "screen.answer(False)"))
            )

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


def choices(*each: tuple[str, str, str]) -> Content:
    """Keys and what they do, each to be clicked too: (key, words, action). The action is never text from outside."""
    parts = [
        Content.from_markup(f"[@click={action}][bold]$key[/bold] $what[/]", key=short(key), what=short(what))
        for key, what, action in each
    ]
    return Content("   ").join(parts)


class Ask(ModalScreen[str | None]):
    """One line of text. Ends with None where the user thinks better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, question: str, text: str = "", hint: str = "") -> None:
        super().__init__()
        self._question, self._text, self._hint = question, text, hint

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm", classes="-ask"):
            yield Plain(line((short(self._question), "bold")))
            yield Input(self._text, id="ask-line", compact=True, select_on_focus=False)
            yield Plain(line((f"{short(self._hint)}  enter: done, esc: leave it", "dim")))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)


class Pick(ModalScreen[str]):
    """One of several, each with a sentence. Ends with its name, or empty."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Back")]

    def __init__(self, question: str, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._question, self._options = question, tuple(options)

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm", classes="-choose"):
            yield Plain(line((short(self._question), "bold")))
            yield RowList(id="choices")

    def on_mount(self) -> None:
        listed = self.query_one(RowList)
        listed.show(
            [
                Row(name, lines([line((short(name), "bold")), line((f"  {short(about)}", "dim"))]))
                for name, about in self._options
            ]
        )
        listed.focus()
        listed.action_first()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        event.stop()
        self.dismiss(event.row)

    def action_leave(self) -> None:
        self.dismiss("")
