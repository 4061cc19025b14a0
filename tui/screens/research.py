"""The main screen: what is asked, what the model does, what it sees, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Input

from engine.protocol import AnswerNow, Ask, Command, Continue
from tui import keys
from tui.screens.steer import Steer
from tui.state import AppState, RunState
from tui.widgets.answer import Answer, cited
from tui.widgets.context_map import ContextMap
from tui.widgets.detail import Detail
from tui.widgets.empty import Empty
from tui.widgets.prompt import Prompt
from tui.widgets.rows import RowList
from tui.widgets.sources import Sources
from tui.widgets.turns import Turns


class Research(Steer):
    """Folds nothing and sends nothing itself: it is told the state, and tells the app what the user wants."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SCREEN)

    class Reading(Message):
        """Show this document at this line, with these lines marked."""

        def __init__(self, uri: str, at: int, marked: Sequence[tuple[int, int]]) -> None:
            super().__init__()
            self.uri, self.at, self.marked = uri, at, marked

    def __init__(
        self, state: AppState, questions: Sequence[str], clock: Callable[[], float], *, preview: bool = True
    ) -> None:
        super().__init__(state, questions, clock, preview=preview)
        self._chosen: tuple[int, int, int] | None = None  # the row the user looks at; None: whatever is newest
        self._asked = ""

    def on_mount(self) -> None:
        self._timer = self.set_interval(0.25, self.show_bars, pause=True)
        self.show_pane("turns")
        self.refresh_from(self.state)

    def on_resize(self, event: events.Resize) -> None:  # noqa: ARG002 - Textual calls those of the classes above as well
        self.show_bars()

    # ── the state comes down ─────────────────────────────────────────────────────────────────────

    def refresh_from(self, state: AppState) -> None:
        """Show this state. Every widget changes only what differs from what it shows."""
        before, self.state = self.state, state
        if not self.is_mounted:
            return
        run, old = state.run, before.run
        self.set_class(run is None, "-fresh")
        if run is not None and (old is None or (run.number, state.session) != (old.number, before.session)):
            self._begin()
        if run is None:
            self.query_one(Empty).refresh_from(state)
        turns = self.query_one(Turns)
        turns.refresh_from(state)
        self.query_one(ContextMap).refresh_from(state)
        self.query_one(Sources).refresh_from(state)
        self.query_one(Answer).refresh_from(state)
        self._show_main()
        self.show_bars()
        if run is not None and old is not None and old.running and not run.running:
            self._end(run)
        if run is not None and run.running:
            self._timer.resume()
        else:
            self._timer.pause()
        self.refresh_keys()

    def _begin(self) -> None:
        self._chosen, self.stopping = None, False
        turns = self.query_one(Turns)
        turns.following = True
        running = self.state.run is not None and self.state.run.running
        self.show_pane("turns" if running else "answer")
        if running:
            self.call_after_refresh(turns.focus)

    def _end(self, run: RunState) -> None:
        """A run has ended in front of the user. A question without an answer goes back to the prompt."""
        asked, self._asked = self._asked, ""
        prompt = self.query_one(Prompt)
        if run.ended == "stopped" and not run.answer and asked:
            prompt.put_back(asked)
        if self._chosen is None:
            self.show_pane("turns" if run.ended == "failed" else "answer")
            if run.ended != "failed" and (isinstance(self.focused, Turns) or self.focused is None):
                prompt.focus()

    def _show_main(self) -> None:
        """The row the user chose; otherwise the turn under way, and as soon as there is one the answer."""
        run, main = self.state.run, self.query_one("#main")
        place = self._chosen
        if place is None and run is not None and run.running and not run.answer:
            place = self.query_one(Turns).selected
        found = self.turn_at(place) if place is not None else None
        if found is not None and place is not None:
            self.query_one(Detail).show(*found, place[2])
        main.set_class(found is not None, "-detail")
        title = f"4 Turn {found[1].number}" if found is not None else "4 Answer"
        if main.border_title != title:  # to set it is to draw the whole pane
            main.border_title = title

    # ── what the widgets say ─────────────────────────────────────────────────────────────────────

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        if event.text:
            self.ask(event.text)
        elif self.state.run is None:
            self.query_one(Empty).choose()

    def on_prompt_browsed(self, event: Prompt.Browsed) -> None:
        if self.state.run is None:
            self.query_one(Empty).browse(event.step)

    def on_empty_chosen(self, event: Empty.Chosen) -> None:
        self.ask(event.question)

    def on_empty_start(self, event: Empty.Start) -> None:
        event.stop()
        self.app.post_message(Empty.Start(event.what))

    def ask(self, question: str) -> None:
        """Ask it, as a follow-up where there is a session."""
        if self.state.run is not None and self.state.run.running:
            self.notify("A question is being answered. esc stops it.", markup=False)
            return
        self._asked = question
        self.query_one(Prompt).clear()
        self.post_message(self.Wanted(Ask(question, session=self.state.session)))

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        dropped = self.drop_offer()
        self._choose(event.rows)
        if dropped:
            self.show_bars()

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        if event.rows.id in ("citations", "sources"):
            self.action_open()
            return
        self._choose(event.rows, picked=True)
        self.show_pane("answer", focus=True)

    def _choose(self, rows: RowList, *, picked: bool = False) -> None:
        run = self.state.run
        if run is None:
            return
        turns, context = self.query_one(Turns), self.query_one(ContextMap)
        if isinstance(rows, Turns):
            following = rows.following and run.running and not picked
            self._chosen = None if following else rows.selected
            if (found := self.turn_at(rows.selected)) is not None and found[0] is run:
                numbers = found[1].observations[rows.selected[2] :]
                context.select(str(numbers[0]) if numbers else "")
        elif isinstance(rows, ContextMap) and (row := run.row(rows.observation)) is not None:
            turn = next((turn for turn in run.turns if turn.number == row.turn), None)
            if turn is not None and row.number in turn.observations:
                self._chosen = (run.number, turn.number, turn.observations.index(row.number))
                turns.following = False
                turns.select(":".join(map(str, self._chosen)))
        self._show_main()
        self.refresh_keys()

    # ── what the keys do ─────────────────────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Hide what makes no sense now; grey what needs a selected observation."""
        run = self.state.run
        running = run is not None and run.running
        match action:
            case "mask" | "pin":
                return run is not None and (self.selected() is not None or None)
            case "answer_now":
                return running
            case "fork" | "again":
                return run is not None and not running
            case "continue":
                return self.state.can_continue and not running
            case (
                "window" | "unmask_all" | "undo" | "redo" | "view"
            ):  # text in the prompt; the palette may still offer them
                return run is not None and not (self.is_current and isinstance(self.focused, Prompt | Input))
            case "open" | "original" | "copy" | "find" | "pane":
                return run is not None
            case "stop":
                return self.can_stop()
            case "back":
                return run is not None and not self.can_stop()
        return True

    def action_pane(self, pane: str) -> None:
        if pane == "answer":
            self._chosen = None
            self.query_one("#main").remove_class("-detail").border_title = "4 Answer"
        self.show_pane(pane, focus=True)

    def action_back(self) -> None:
        """Out of what is in front: an offer, the find box, the prompt, a detail."""
        run, find = self.state.run, self.query_one("#find", Input)
        if self.drop_offer():
            self.show_bars()
            self.refresh_bindings()
        elif find.has_class("-on"):
            find.remove_class("-on")
            self.set_focus(self._find_in)
        elif isinstance(self.focused, Prompt):
            self.show_pane("turns" if run is not None and run.running else "answer", focus=True)
        elif self.detailed:
            self.action_pane("answer")

    def action_view(self) -> None:
        """What the model read, at the turn that is selected or else the last one."""
        from tui.screens.prompt import PromptView

        run, place = self.state.run, self._chosen or self.query_one(Turns).selected
        if run is not None:
            self.app.push_screen(PromptView(self.state, *(place[:2] if place[0] else (run.number, 0))))

    def action_answer_now(self) -> None:
        self.post_message(self.Wanted(AnswerNow()))

    def action_continue(self) -> None:
        self.post_message(self.Wanted(Continue(self.state.session)))

    def action_fork(self) -> None:
        """From the selected turn, after a word on how."""
        from tui.screens.fork import ForkForm

        found = self.turn_at(self._chosen or self.query_one(Turns).selected)
        if found is None or found[1].status != "done":
            self.notify("Select a finished turn to fork from.", markup=False)
            return

        def wanted(fork: Command | None) -> None:
            if fork is not None:
                self.post_message(self.Wanted(fork))

        self.app.push_screen(ForkForm(self.state.session, *found), wanted)

    def action_prompt(self) -> None:
        self.query_one(Prompt).focus()

    def action_open(self) -> None:
        """The reader, at the lines of whatever is selected."""
        place = self.place()
        if place is None:
            self.notify("There is no document here to open.", markup=False)
            return
        uri, at = place
        citations = cited(self.state.run) if self.state.run is not None else ()
        marked = [(each.first, each.last) for each in citations if each.uri == uri and each.first]
        self.post_message(self.Reading(uri, at, marked))
