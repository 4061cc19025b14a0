"""Saved sessions: find one, open it, delete it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, Input

from engine.errors import DeepSearchError
from tui import keys
from tui.safe import Plain, line, lines, short
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from engine.caches import Caches
    from engine.sessions import Journal, SessionMatch, SessionSummary


class Sessions(Screen[str]):
    """The list, and a box to search questions, answers and observations. Ends with a session's id, or empty."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SESSIONS)
    AUTO_FOCUS = "#sessions-list"

    def __init__(self, journal: Path, caches: Caches) -> None:
        super().__init__()
        self._path = journal
        self._caches = caches
        self._journal: Journal | None = None

    def compose(self) -> ComposeResult:
        yield Plain(line(("Sessions", "bold $primary"), ("  enter opens", "dim")), classes="bar")
        yield Input(placeholder="search questions, answers and observations…", id="sessions-search", compact=True)
        with Vertical():
            listed = RowList(id="sessions-list")
            listed.add_class("pane")
            yield listed
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._load("")

    @work(thread=True, exclusive=True)
    def _load(self, words: str) -> None:
        """Read the journal away from the screen. The first time also loads what reading it needs."""
        from engine.sessions import Journal

        try:
            if self._journal is None:
                self._journal = Journal(self._path)
            rows = [_match(each) for each in self._journal.search(words)] if words else []
            rows = rows or ([] if words else [_summary(each) for each in self._journal.list()])
        except DeepSearchError as error:
            rows = [Row("", line(("✗ ", "$error"), short(f"{error}. {error.hint}")), enabled=False)]
        nothing = "Nothing has these words." if words else "There are no sessions yet."
        self.app.call_from_thread(self._show, rows or [Row("", line((nothing, "dim")), enabled=False)])

    def _show(self, rows: list[Row]) -> None:
        listed = self.query_one("#sessions-list", RowList)
        listed.show(rows)
        if listed.highlighted is None:
            listed.select(next((row.id for row in rows if row.enabled), ""))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._load(event.value.strip())

    def on_input_submitted(self) -> None:
        self.query_one("#sessions-list").focus()

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        self.dismiss(event.row)

    def action_search(self) -> None:
        self.query_one("#sessions-search").focus()

    def action_back(self) -> None:
        if isinstance(self.focused, Input):
            self.query_one("#sessions-list").focus()
        else:
            self.dismiss("")

    def action_compare(self) -> None:
        from tui.screens.compare import Compare

        if session := self.query_one("#sessions-list", RowList).row:
            self.app.push_screen(Compare(self._path, session))

    def action_delete(self) -> None:
        session = self.query_one("#sessions-list", RowList).row

        def answered(yes: bool | None) -> None:
            if yes:
                self._delete(session)

        if session:
            self.app.push_screen(Confirm("Delete this session for good?", "Delete"), answered)

    @work(thread=True)
    def _delete(self, session: str) -> None:
        if self._journal is not None:
            try:
                self._journal.delete(session)
                self._caches.forget(session)
            except DeepSearchError as error:
                self.app.call_from_thread(self.notify, short(f"{error}. {error.hint}"), severity="error", markup=False)
        self.app.call_from_thread(self._load, self.query_one("#sessions-search", Input).value.strip())

    def on_unmount(self) -> None:
        if self._journal is not None:
            self._journal.close()


class Confirm(ModalScreen[bool]):
    """One question, answered with y or enter, or not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str, verb: str, otherwise: str = "keep it") -> None:
        super().__init__()
        self._question, self._verb, self._otherwise = question, verb, otherwise

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Plain(line((short(self._question), "bold")))
            yield Plain(line(("y", "bold $error"), f" {short(self._verb)}   ", ("n", "bold"), f" {self._otherwise}"))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


def _summary(session: SessionSummary) -> Row:
    when = datetime.datetime.fromtimestamp(session.updated).astimezone().strftime("%Y-%m-%d %H:%M")
    asked = f"{session.questions} question{'s' if session.questions != 1 else ''}, {session.turns} turns"
    open_end = "  not finished, can be continued" if session.unfinished else ""
    first = line((short(session.title), "bold"))
    return Row(session.id, lines([first, line((f"  {when} · {asked}", "dim"), (open_end, "$warning"))]))


def _match(match: SessionMatch) -> Row:
    return Row(match.id, lines([line((short(match.title), "bold")), line((f"  {short(match.snippet)}", "dim"))]))
