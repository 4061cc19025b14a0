"""Saved runs side by side: their figures, and their answers with what only one of them says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen

from engine.errors import DeepSearchError
from tui import keys
from tui.safe import Part, Plain, line, lines, plain, short
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from engine.measure import Change, Measures


class Choose(Screen[str]):
    """The other session to compare with. Ends with its id, or empty."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.COMPARE)
    AUTO_FOCUS = "#choose-list"

    def __init__(self, journal: Path, first: str) -> None:
        super().__init__()
        self._path, self._first = journal, first

    def compose(self) -> ComposeResult:
        said = ("  enter chooses the session to compare with", "dim")
        yield Plain(line(("Compare", "bold $primary"), said), classes="bar")
        with Vertical():
            listed = RowList(id="choose-list")
            listed.add_class("pane")
            yield listed
        yield KeyBar()

    def on_mount(self) -> None:
        self._load()

    @work(thread=True)
    def _load(self) -> None:
        from engine.sessions import Journal

        try:
            with closing(Journal(self._path)) as journal:
                found = [each for each in journal.list() if each.id != self._first]
            rows = [
                Row(
                    each.id,
                    lines([line((short(each.title), "bold")), line((f"  {each.id} · {each.turns} turns", "dim"))]),
                )
                for each in found
            ]
        except DeepSearchError as error:
            rows = [Row("", line(("✗ ", "$error"), short(f"{error}. {error.hint}")), enabled=False)]
        nothing = Row("", line(("There is no other session to compare with.", "dim")), enabled=False)
        self.app.call_from_thread(self._show, rows or [nothing])

    def _show(self, rows: list[Row]) -> None:
        listed = self.query_one("#choose-list", RowList)
        listed.show(rows)
        listed.select(next((row.id for row in rows if row.enabled), ""))

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        self.dismiss(event.row)

    def action_back(self) -> None:
        self.dismiss("")


class Compare(Screen[None]):
    """The last question of each of two or more sessions. Without a second one, it asks for it first."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.COMPARE)
    AUTO_FOCUS = "#compare-figures"

    def __init__(self, journal: Path, first: str, *others: str) -> None:
        super().__init__()
        self._path, self._first, self._others = journal, first, others
        self.measures: tuple[Measures, ...] = ()

    def compose(self) -> ComposeResult:
        yield Plain(line(("Compare", "bold $primary")), id="compare-title", classes="bar")
        figures = RowList(id="compare-figures")
        figures.add_class("pane")
        figures.border_title = "figures"
        yield figures
        with Container(id="compare-answers", classes="-many" if len(self._others) > 1 else ""):
            for side in _sides(1 + max(1, len(self._others))):
                with VerticalScroll(id=f"compare-{side}", classes="pane") as box:
                    box.border_title = f"{side.upper()} answer"
                    yield Plain(id=f"compare-answer-{side}")
        yield KeyBar()

    def on_mount(self) -> None:
        if self._others:
            self._load()
        else:
            self.app.push_screen(Choose(self._path, self._first), self._chosen)

    def _chosen(self, session: str | None) -> None:
        if session:
            self._others = (session,)
            self._load()
        else:
            self.dismiss()

    @work(thread=True)
    def _load(self) -> None:
        from engine.measure import answer_diff, measure
        from engine.sessions import Journal

        try:
            with closing(Journal(self._path)) as journal:
                asked = [measure(journal.events(session)) for session in (self._first, *self._others)]
        except DeepSearchError as error:
            self.app.call_from_thread(self._say, f"{error}. {error.hint}")
            return
        if not all(asked):
            self.app.call_from_thread(self._say, "Nothing was asked in one of the sessions.")
            return
        measures = [each[-1] for each in asked]
        diffs = [answer_diff(measures[0].answer, other.answer) for other in measures[1:]]
        self.app.call_from_thread(self._show, measures, diffs)

    def _say(self, said: str) -> None:
        self.query_one("#compare-title", Plain).show(line(("Compare", "bold $primary"), f"  {short(said)}"))

    def _show(self, measures: Sequence[Measures], diffs: Sequence[Sequence[Change]]) -> None:
        self.measures = tuple(measures)
        questions = dict.fromkeys(short(each.question, 200) for each in measures)
        self._say("  |  ".join(questions))
        self.query_one("#compare-figures", RowList).show(figure_rows(measures))
        for place, (side, each) in enumerate(zip(_sides(len(measures)), measures, strict=True)):
            diff, skipped = (diffs[place - 1], "gone") if place else (diffs[0], "new")
            answer = self.query_one(f"#compare-answer-{side}", Plain)
            nothing = line(("There is no answer.", "dim"))
            answer.show(_answer(diff, skipped) if each.answer else nothing)
            same = all(kind == "same" for kind, _ in diff)
            only = "underlined: only here" if len(measures) == 2 else f"underlined: not in {'A' if place else 'B'}"
            self.query_one(f"#compare-{side}", VerticalScroll).border_subtitle = "the same words" if same else only

    def action_back(self) -> None:
        self.dismiss()


def _sides(count: int) -> str:
    """A letter for each run."""
    return ascii_lowercase[:count]


def figure_rows(measures: Sequence[Measures]) -> list[Row]:
    """The figures, a column for each run; what differs in bold, with a sign."""
    from engine.measure import table

    names = _sides(len(measures)).upper()
    heads = ("", tuple(f"{name} {each.session}" for name, each in zip(names, measures, strict=True)))
    rows = [heads, *((name, tuple(short(value, 40) for value in values)) for name, values in table(measures))]
    name = max(len(label) for label, _ in rows)
    widths = [max(len(values[place]) for _, values in rows) for place in range(len(measures))]
    shown = []
    for place, (label, values) in enumerate(rows):
        differs = len(set(values)) > 1 and place > 0
        cells = "  ".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
        style = "bold" if differs or place == 0 else "dim"
        sign = ("≠ ", "$warning") if differs else "  "
        shown.append(Row(label or "head", line(sign, (f"{label:<{name}}  ", "dim"), (cells, style))))
    return shown


def _answer(diff: Sequence[Change], skipped: str) -> Content:
    """One of the answers whole; what only it says is underlined."""
    parts: list[Part] = [
        plain(text, "bold underline" if kind != "same" else "") for kind, text in diff if kind != skipped
    ]
    return Content.assemble(*parts)
