"""Saved sessions: find one, open it or go on with it, name and tag it, write it to a file, delete it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from engine.errors import DeepSearchError
from tui import keys
from tui.safe import Part, Plain, line, lines, short
from tui.screens.confirm import Ask, Confirm, Pick
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from engine.caches import Caches
    from engine.sessions import Journal, SessionMatch, SessionSummary

_MOST = 200
"""Sessions in the list. Others are found by searching."""

_WHERE = {"title": "title", "question": "question", "answer": "answer", "observation": "read"}


@dataclass(frozen=True)
class Chosen:
    """The session to open. ``resume``: its run is to go on at once."""

    id: str
    resume: bool = False


@dataclass(frozen=True)
class _Listed:
    """What is known of a session in the list."""

    title: str
    tags: tuple[str, ...]
    unfinished: bool


class Sessions(Screen[Chosen | None]):
    """The list, and a box to search titles, questions, answers and observations. Ends with the session to open.

    ``exports`` is the folder for what is written to a file.
    """

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SESSIONS)
    AUTO_FOCUS = "#sessions-list"

    def __init__(self, journal: Path, caches: Caches, exports: Path) -> None:
        super().__init__()
        self._path = journal
        self._caches = caches
        self._exports = exports
        self._journal: Journal | None = None
        self._known: dict[str, _Listed] = {}

    def compose(self) -> ComposeResult:
        yield Plain(id="sessions-title", classes="bar")
        yield Input(
            placeholder="search titles, questions, answers and observations; #tag for a tag…",
            id="sessions-search",
            compact=True,
        )
        with Vertical():
            listed = RowList(id="sessions-list")
            listed.add_class("pane")
            yield listed
        yield KeyBar()

    def on_mount(self) -> None:
        self._count("")
        self._load("")

    # ── what is listed ───────────────────────────────────────────────────────────────────────────

    @work(thread=True, exclusive=True)
    def _load(self, typed: str) -> None:
        """Read the journal away from the screen. The first time also loads what reading it needs."""
        from engine.session_search import parse
        from engine.sessions import Journal

        query = parse(typed)
        known: dict[str, _Listed] = {}
        rows: list[Row] = []
        found: list[tuple[SessionSummary, SessionMatch | None]]
        said, nothing = "", "Nothing has these words." if typed else "There are no sessions yet."
        try:
            if self._journal is None:
                self._journal = Journal(self._path)
            if query.words:
                pairs = [(self._journal.summary(each.id), each) for each in self._journal.search(typed, _MOST)]
                found = [(summary, match) for summary, match in pairs if summary is not None]
            else:
                found = [(summary, None) for summary in self._journal.list(_MOST, query.tags)]
            known = {each.id: _Listed(each.title, each.tags, each.unfinished) for each, _ in found}
            rows = [_row(summary, match) for summary, match in found]
            said = f"{len(rows):,} {'found' if typed else 'newest first'}"
        except DeepSearchError as error:
            rows = [Row("", line(("✗ ", "$error"), short(f"{error}. {error.hint}")), enabled=False)]
        self.app.call_from_thread(
            self._show, rows or [Row("", line((nothing, "dim")), enabled=False)], known, said if rows else ""
        )

    def _show(self, rows: list[Row], known: dict[str, _Listed], said: str) -> None:
        if not self.is_mounted:
            return
        self._known = known
        self._count(said)
        listed = self.query_one("#sessions-list", RowList)
        listed.show(rows)
        if listed.highlighted is None:
            listed.select(next((row.id for row in rows if row.enabled), ""))
        self.refresh_bindings()

    def _count(self, said: str) -> None:
        more = f"  {said} · enter opens" if said else "  enter opens"
        self.query_one("#sessions-title", Plain).show(line(("Sessions", "bold $primary"), (more, "dim")))

    def _again(self) -> None:
        self._load(self.query_one("#sessions-search", Input).value.strip())

    def on_input_changed(self, event: Input.Changed) -> None:
        self._load(event.value.strip())

    def on_input_submitted(self) -> None:
        self.query_one("#sessions-list").focus()

    # ── what is done with one ────────────────────────────────────────────────────────────────────

    @property
    def _row(self) -> str:
        return self.query_one("#sessions-list", RowList).row

    def on_row_list_moved(self) -> None:
        self.refresh_bindings()

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        self.dismiss(Chosen(event.row))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Grey what needs a session, or an unfinished one."""
        if action in ("delete", "rename", "tag", "export"):
            return bool(self._known.get(self._row)) or None
        if action == "resume":
            return (here := self._known.get(self._row)) is not None and here.unfinished
        return True

    def action_search(self) -> None:
        self.query_one("#sessions-search").focus()

    def action_back(self) -> None:
        if isinstance(self.focused, Input):
            self.query_one("#sessions-list").focus()
        else:
            self.dismiss(None)

    def action_resume(self) -> None:
        self.dismiss(Chosen(self._row, resume=True))

    def action_compare(self) -> None:
        from tui.screens.compare import Compare

        if session := self.query_one("#sessions-list", RowList).row:
            self.app.push_screen(Compare(self._path, session))

    def action_delete(self) -> None:
        session = self._row

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(lambda journal: self._delete(journal, session))

        question = f"Delete “{short(self._known[session].title, 80)}” for good?"
        self.app.push_screen(Confirm(question, "delete it"), answered)

    def _delete(self, journal: Journal, session: str) -> None:
        journal.delete(session)
        self._caches.forget(session)

    def action_rename(self) -> None:
        session = self._row

        def named(title: str | None) -> None:
            if title:
                self._do(lambda journal: journal.rename(session, title))

        self.app.push_screen(Ask("What shall it be called?", self._known[session].title), named)

    def action_tag(self) -> None:
        session = self._row

        def tagged(tags: str | None) -> None:
            if tags is not None:
                self._do(lambda journal: journal.tag(session, tags.replace(",", " ").split()))

        self.app.push_screen(Ask("Its tags", " ".join(self._known[session].tags), "words with spaces between."), tagged)

    def action_export(self) -> None:
        from engine.export import FORMS

        session = self._row

        def chosen(form: str | None) -> None:
            if form:
                self._export(session, form)

        options = [(name, f"{form.about} (.{form.ending})") for name, form in FORMS.items()]
        self.app.push_screen(Pick("Write it to a file as", options), chosen)

    @work(thread=True)
    def _export(self, session: str, form: str) -> None:
        from engine.export import FORMS

        path = self._exports / f"{session}.{FORMS[form].ending}"
        try:
            if self._journal is not None:
                text = FORMS[form].write(list(self._journal.events(session)))
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_text(text, encoding="utf-8")
        except DeepSearchError as error:
            self._say(f"{error}. {error.hint}", wrong=True)
        except OSError as error:
            self._say(f"{path} could not be written: {error.strerror}", wrong=True)
        else:
            self._say(f"Written to {path}")

    @work(thread=True)
    def _do(self, change: Callable[[Journal], object]) -> None:
        """Change something in the journal, away from the screen, and list again."""
        try:
            if self._journal is not None:
                change(self._journal)
        except DeepSearchError as error:
            self._say(f"{error}. {error.hint}", wrong=True)
        self.app.call_from_thread(self._again)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        severity = "error" if wrong else "information"
        self.app.call_from_thread(self.notify, short(text), severity=severity, markup=False)

    def on_unmount(self) -> None:
        if self._journal is not None:
            self._journal.close()


def _row(session: SessionSummary, match: SessionMatch | None = None) -> Row:
    """Two lines: the title with its tags, and when and how much; for a search the place that was found, hits marked."""
    tags: list[Part] = [(f"  #{tag}", "$primary") for tag in session.tags]
    end: list[Part] = [("  not finished, c continues", "$warning")] if session.unfinished else []
    first = line((short(session.title), "bold"), *tags, *end)
    when = datetime.datetime.fromtimestamp(session.updated).astimezone().strftime("%Y-%m-%d %H:%M")
    if match is not None and match.kind != "title":
        return Row(session.id, lines([first, line((f"  {_WHERE[match.kind]}: ", "dim"), marked(match))]))
    asked = f"{session.questions} question{'s' if session.questions != 1 else ''}, {session.turns} turns"
    about = " · ".join(part for part in (when, asked, session.library, session.model) if part)
    return Row(session.id, lines([first, line((f"  {short(about)}", "dim"))]))


def marked(match: SessionMatch) -> Content:
    """A snippet with its hits marked, so that they can be told without colour."""
    text = line(match.snippet)
    for first, last in match.marks:
        text = text.stylize("bold underline $warning", first, last)
    return text
