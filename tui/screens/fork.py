"""A small form: from this turn on, under this window, with this question."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from engine.protocol import Fork
from tui.safe import Plain, line, short
from tui.state import RunState, TurnRow


class ForkForm(ModalScreen[Fork | None]):
    """Ends with the fork that is wanted, or None. What is left as it was is kept."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]
    AUTO_FOCUS = "#fork-window"

    def __init__(self, session: str, run: RunState, turn: TurnRow) -> None:
        super().__init__()
        self._session, self._run, self._turn = session, run, turn
        self._answered = not turn.calls and bool(run.answer) and turn is run.turns[-1]
        self._question = "" if self._answered else short(run.question, 4000)

    def compose(self) -> ComposeResult:
        number = self._turn.number
        said = "follows up in a new session" if self._answered else f"keeps turns 1 to {number} in a new session"
        with Vertical(id="fork"):
            yield Plain(line(("Fork", "bold $primary"), (f" after turn {number}", "bold"), f"  {said}"))
            yield Plain(line(("window: a number of turns, or off", "dim")))
            window = self._run.policy.window
            yield Input(str(window) if window else "off", id="fork-window", compact=True)
            yield Plain(line(("question", "dim")))
            yield Input(self._question, id="fork-question", compact=True, placeholder="a question to follow up with")
            yield Plain(line(("enter", "bold"), " goes on from here   ", ("esc", "bold"), " does not"), id="fork-said")

    def on_input_submitted(self) -> None:
        given = self.query_one("#fork-window", Input).value.strip().lower()
        question = self.query_one("#fork-question", Input).value.strip()
        if given != "off" and not (given.isascii() and given.isdecimal() and len(given) < 5):
            self._say("The window is a number of turns, or off.")
            return
        if self._answered and not question:
            self._say("This turn is the answer: give a question to follow up with.")
            return
        window = 0 if given == "off" else int(given)
        policy = replace(self._run.policy, window=window) if window != self._run.policy.window else None
        changed = question if question != self._question else ""
        self.dismiss(Fork(self._session, self._turn.number, self._run.number, changed, policy))

    def _say(self, said: str) -> None:
        self.query_one("#fork-said", Plain).show(line((said, "bold $warning")))

    def action_cancel(self) -> None:
        self.dismiss(None)
