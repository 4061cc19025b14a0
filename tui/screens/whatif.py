"""A finished run under other windows: left and right try them, and no model is asked."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen

from engine.errors import DeepSearchError
from tui import keys
from tui.safe import Part, Plain, line, lines, short
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from engine.context.whatif import Trial
    from engine.told import Told
    from tui.widgets.grid import Both


class WhatIf(Screen[None]):
    """Reads the run from the journal, so that it is the whole of it. Windows are 1 to all turns, and then off."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.WHATIF)
    AUTO_FOCUS = "#whatif-grid"

    def __init__(self, journal: Path, session: str, run: int) -> None:
        super().__init__()
        self._path, self._session, self._run = journal, session, run
        self._told: Told | None = None
        self._trials: dict[int | None, Trial] = {}
        self.windows: tuple[int, ...] = ()
        self.window = 0
        """The one that is tried; 0 is off."""

    def compose(self) -> ComposeResult:
        yield Plain(line(("What if", "bold $primary"), ("  reading the run…", "dim")), id="whatif-title", classes="bar")
        yield Plain(id="whatif-windows", classes="bar")
        yield Plain(id="whatif-figures")
        with Vertical():
            listed = RowList(id="whatif-grid")
            listed.add_class("pane")
            listed.border_title = "observations by turn"
            yield listed
        yield Plain(id="whatif-told")
        yield KeyBar()

    def on_mount(self) -> None:
        self._load()

    def on_resize(self) -> None:
        self._show()

    @work(thread=True)
    def _load(self) -> None:
        from engine.sessions import Journal
        from engine.told import runs

        try:
            with closing(Journal(self._path)) as journal:
                told = next(
                    (each for each in runs(journal.events(self._session)) if each.started.run == self._run), None
                )
        except DeepSearchError as error:
            self.app.call_from_thread(self._failed, f"{error}. {error.hint}")
            return
        if told is None or not told.shown:
            self.app.call_from_thread(self._failed, "There is no finished turn to look at yet.")
            return
        uses = told.uses()
        ran = told.under(None, uses)
        self.app.call_from_thread(self._loaded, told, ran)

    def _failed(self, said: str) -> None:
        self.query_one("#whatif-title", Plain).show(line(("What if", "bold $primary"), f"  {short(said)}"))

    def _loaded(self, told: Told, ran: Trial) -> None:
        self._told, self._uses, self._trials = told, told.uses(), {None: ran}
        most = max(sum(turn.effective for turn in told.transcript.turns), told.policy.window, 1)
        self.windows = (*range(1, most + 1), 0)
        self.window = max(0, told.policy.window)
        question = line(("What if", "bold $primary"), "  ", (short(told.started.question, 200), "bold"))
        self.query_one("#whatif-title", Plain).show(question)
        self._show()
        grid = self.query_one("#whatif-grid", RowList)
        grid.select(grid.last_row)

    @property
    def both(self) -> Both | None:
        """The run as it was and under the window; None before it was read."""
        from tui.widgets.grid import Both

        told = self._told
        if told is None:
            return None
        if self.window not in self._trials:
            self._trials[self.window] = told.under(replace(told.policy, window=self.window), self._uses)
        return Both(self._trials[None], self._trials[self.window], self._uses, tuple(told.transcript.observations()))

    def _show(self) -> None:
        from tui.widgets import grid

        both = self.both
        if both is None:
            return
        self.query_one("#whatif-windows", Plain).show(self._scrubber())
        self.query_one("#whatif-figures", Plain).show(lines(grid.figure_lines(both)))
        listed = self.query_one("#whatif-grid", RowList)
        rows = grid.grid(both, max(30, listed.scrollable_content_region.width))
        listed.show(rows if len(rows) > 1 else [Row("", line(("Nothing was read.", "dim")), enabled=False)])
        listed.border_subtitle = (
            f"{grid.USED} used  {grid.LOST} used out of view  █ in view  ░ masked  ▓▒ not as it ran"
        )
        self._tell()

    def _scrubber(self) -> Content:
        """The windows in a row, as many as fit around the one that is tried."""
        place = self.windows.index(self.window)
        room = max(5, (self.size.width - 40) // 5)
        start = max(0, min(place - room // 2, len(self.windows) - room))
        parts: list[Part] = [("window  ", "dim"), "‹ " if start else "  "]
        for window in self.windows[start : start + room]:
            name = str(window) if window else "off"
            parts.append((f"[{name}]", "bold reverse") if window == self.window else (f" {name} ", ""))
        parts.append(" ›" if start + room < len(self.windows) else "  ")
        return line(*parts)

    def _tell(self) -> None:
        from tui.widgets import grid

        both, row = self.both, self.query_one("#whatif-grid", RowList).row
        if both is not None and row.isdigit():
            self.query_one("#whatif-told", Plain).show(grid.told_of(both, int(row)))

    def on_row_list_moved(self) -> None:
        self._tell()

    def action_scrub(self, step: int) -> None:
        if self._told is not None:
            place = self.windows.index(self.window) + step
            self.window = self.windows[max(0, min(place, len(self.windows) - 1))]
            self._show()

    def action_back(self) -> None:
        self.dismiss()
