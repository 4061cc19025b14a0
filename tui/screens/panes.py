"""The layout of the main screen: which panes are there at which size, and how to get from one to the next."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tui.safe import Plain
from tui.screens.reader import Reader
from tui.state import AppState, ObservationRow, RunState, TurnRow
from tui.widgets import words
from tui.widgets.answer import Answer, AnswerScroll, cited
from tui.widgets.context_map import ContextMap
from tui.widgets.detail import Detail
from tui.widgets.empty import Empty
from tui.widgets.keybar import KeyBar
from tui.widgets.prompt import Prompt
from tui.widgets.rows import RowList
from tui.widgets.sources import Sources
from tui.widgets.turns import Turns

PANES = ("turns", "context", "sources", "answer")


def at_size(cells: int, breakpoints: Sequence[tuple[int, str]]) -> dict[str, bool]:
    """Which of the classes a screen of this size has."""
    here = max((each for each in breakpoints if each[0] <= cells), default=(0, ""))[1]
    return {name: name == here for _, name in breakpoints}


class Panes(Screen[None]):
    """Wide: three columns. Medium: two, with the sources in place of the context when asked for. Narrow: one pane."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-medium"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#prompt"

    def __init__(self, state: AppState, questions: Sequence[str]) -> None:
        super().__init__()
        self.state = state
        self._questions = questions
        self._find_in: RowList | None = None

    def compose(self) -> ComposeResult:
        yield Plain(id="title", classes="bar")
        yield Plain(id="status", classes="bar")
        yield Plain(id="banner")
        yield Empty(self._questions, id="empty")
        with Container(id="body"):
            yield Turns(id="turns")
            with Vertical(id="main", classes="pane") as main:
                main.border_title = "4 Answer"
                yield Answer(id="answer")
                yield Detail(id="detail")
            yield ContextMap(id="context")
            yield Sources(id="sources")
        yield Plain("This needs a window of at least 60 columns and 16 lines.", id="small")
        yield Input(placeholder="find in this pane…  (enter: next, esc: done)", id="find", compact=True)
        with Horizontal(id="ask"):
            yield Plain("›", id="ask-sign")
            yield Prompt(id="prompt")
        yield KeyBar()

    def on_resize(self, event: events.Resize) -> None:
        """Take the classes of the new size before Textual lays the screen out, and not after: it would do so twice."""
        width, height = event.size
        classes = at_size(width, self.HORIZONTAL_BREAKPOINTS) | at_size(height, self.VERTICAL_BREAKPOINTS)
        self.update_classes(classes, animate=False)

    @property
    def detailed(self) -> bool:
        """Whether the answer's pane shows the detail of a row."""
        return self.query_one("#main").has_class("-detail")

    def show_pane(self, pane: str, *, focus: bool = False) -> None:
        """Bring this pane up where only some fit."""
        classes = {f"-on-{each}": each == pane for each in PANES}
        if pane in ("context", "sources"):
            classes["-with-sources"] = pane == "sources"
        self.update_classes(classes)  # at once: each change of one is a look at the sheet for every widget
        if focus:
            self.call_after_refresh(self._pane_focus(pane).focus)

    def _pane_focus(self, pane: str) -> Widget:
        if pane != "answer":
            return self.query_one(f"#{pane}")
        return self.query_one(Detail) if self.detailed else self.query_one(AnswerScroll)

    def action_cycle(self, step: int) -> None:
        """Through the panes on the screen, the citations and the prompt; where one pane fills it, through all four."""
        stops: list[Widget] = [self.query_one("#turns"), self._pane_focus("answer")]
        citations = self.query_one("#citations")
        stops += [citations] if citations.display and not self.detailed else []
        stops += [self.query_one("#context"), self.query_one("#sources"), self.query_one(Prompt)]
        narrow = self.has_class("-narrow")
        if self.state.run is None:
            stops = [self.query_one(Prompt)]
        elif not narrow:
            stops = [stop for stop in stops if stop.display]
        here = stops.index(self.focused) if self.focused in stops else 0 if step < 0 else -1
        target = stops[(here + step) % len(stops)]
        if narrow and target.id in PANES:
            self.show_pane(str(target.id))
        elif narrow and not isinstance(target, Prompt):
            self.show_pane("answer")
        self.call_after_refresh(target.focus)

    # ── what is selected ─────────────────────────────────────────────────────────────────────────

    def turn_at(self, place: tuple[int, int, int]) -> tuple[RunState, TurnRow] | None:
        """The run and turn of a row's place: run, turn, call."""
        for run in (*self.state.earlier, *((self.state.run,) if self.state.run else ())):
            for turn in run.turns:
                if (run.number, turn.number) == place[:2]:
                    return run, turn
        return None

    def selected(self) -> ObservationRow | None:
        """The observation that m, p, o and y are about."""
        run = self.state.run
        if run is None:
            return None
        if isinstance(self.focused, ContextMap):
            return run.row(self.focused.observation)
        if self.detailed:
            return run.row(self.query_one(Detail).number)
        return None

    def place(self) -> tuple[str, int] | None:
        """The document and line that ``o`` would open."""
        run = self.state.run
        if run is None:
            return None
        citations = cited(run)
        if isinstance(self.focused, Sources) and self.focused.row:
            uri = self.focused.row
            return uri, next((each.first for each in citations if each.uri == uri), 1)
        if (row := self.selected()) is not None:
            seen = row.observation
            link = seen.links[0] if seen.links else None
            return (seen.uri, seen.first or 1) if seen.uri else (link.uri, link.first or 1) if link else None
        index = self._citation()
        return (
            (citations[index].uri, citations[index].first or 1)
            if index < len(citations) and citations[index].uri
            else None
        )

    def _citation(self) -> int:
        listed = self.query_one("#citations", RowList)
        return int(listed.row) if listed.row else 0

    def copied(self, run: RunState) -> tuple[str, str]:
        """What ``y`` would copy: its name and its text."""
        row, citations = self.selected(), cited(run)
        if getattr(self.focused, "id", "") == "citations" and citations:
            citation = citations[self._citation()]
            return "citation", f"{citation.quote}\n({words.place(citation)})"
        if row is not None:
            return f"observation {row.number}", f"{row.observation.header}\n{row.observation.body}"
        return "answer", run.answer

    def action_original(self) -> None:
        """The selected document itself, outside of the app."""
        if (place := self.place()) is None:
            self.notify("There is no document here to open.", markup=False)
        else:
            self.post_message(Reader.Original(place[0]))

    def action_copy(self) -> None:
        run = self.state.run
        if run is None:
            return
        _, text = self.copied(run)
        if text:
            self.app.copy_to_clipboard(text)
        else:
            self.notify("There is no answer to copy yet.", markup=False)

    # ── finding ──────────────────────────────────────────────────────────────────────────────────

    def action_find(self) -> None:
        self._find_in = self.focused if isinstance(self.focused, RowList) else self.query_one(Turns)
        find = self.query_one("#find", Input)
        find.add_class("-on")
        find.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._find_in is not None and event.value and not self._find_in.find(event.value):
            self.notify("Nothing in this pane has these words.", markup=False)
