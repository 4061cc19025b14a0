"""The keys that steer a run: what a change would cost first, then the change, and taking it back; and stopping it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from textual.content import Content
from textual.message import Message

from engine.protocol import CancelIndex, Command, Redo, SetMark, SetMasking, Stop, Undo
from tui import offers
from tui.offers import Offer
from tui.safe import Plain, line, short
from tui.screens.panes import Panes
from tui.state import AppState
from tui.widgets import status


class Steer(Panes):
    """A first press asks what a change costs, a second press of the same key makes it. Whoever turned that off makes it
    at once. Moving the cursor or esc drops the offer. The window goes on with each press once it was taken.
    """

    class Wanted(Message):
        """Tell the engine this."""

        def __init__(self, command: Command) -> None:
            super().__init__()
            self.command = command

    def __init__(
        self, state: AppState, questions: Sequence[str], clock: Callable[[], float], *, preview: bool = True
    ) -> None:
        super().__init__(state, questions)
        self.preview = preview
        self._clock = clock
        self._offer: Offer | None = None
        self._going = ("", 0)  # the key of the window that was taken, and the turn it was taken in
        self._keys: tuple[object, ...] = ()  # what the keys that can be used were read from
        self.stopping = False

    @property
    def offer(self) -> Offer | None:
        """What was asked about, as long as it is about what is selected."""
        offer = self._offer
        if offer is not None and isinstance(offer.command, SetMark) and not offer.command.also:
            row = self.selected()
            if row is None or row.number != offer.command.observation:
                self._offer = None
        return self._offer

    def drop_offer(self) -> bool:
        """Forget it; whether there was one."""
        there, self._offer, self._going = self.offer is not None, None, ("", 0)
        return there

    def offer_line(self) -> Content | None:
        """The offer, to stand where the status stands."""
        offer = self.offer
        if offer is None:
            return None
        told, how = offers.words(self.state, offer, self.size.width - 7)
        return line(("? ", "bold $warning"), (told, "bold"), "  ", (how, "dim"))

    def refresh_keys(self) -> None:
        """Read the keys again, if other ones can be used than before."""
        run, state = self.state.run, self.state
        now = (run is None, run and run.running, state.can_continue, self.can_stop(), self.selected() is None)
        if now != self._keys:
            self._keys = now
            self.refresh_bindings()

    # ── what the keys do ─────────────────────────────────────────────────────────────────────────

    def action_mask(self) -> None:
        if (row := self.selected()) is not None:
            self._want("m", SetMark(row.number, "unmask" if row.pending == "masked" else "mask"))

    def action_pin(self) -> None:
        if (row := self.selected()) is None:
            return
        if row.observation.error:
            self.notify("Errors are never masked; there is nothing to pin.", markup=False)
        else:
            self._want("p", SetMark(row.number, "none" if row.pending == "pinned" else "pin"))

    def action_window(self, step: int) -> None:
        policy = self.state.run.next_policy if self.state.run is not None else self.state.policy
        if policy.window + step >= 0:
            self._want("+" if step > 0 else "-", SetMasking(replace(policy, window=policy.window + step, auto=False)))

    def action_unmask_all(self) -> None:
        run = self.state.run
        numbers = [row.number for row in run.observations if row.pending == "masked"] if run is not None else []
        if numbers:
            self._want("U", SetMark(numbers[0], "unmask", tuple(numbers[1:])))
        else:
            self.notify("Nothing is masked.", markup=False)

    def action_undo(self) -> None:
        self._again(Undo(), "undo")

    def action_redo(self) -> None:
        self._again(Redo(), "redo")

    def _again(self, command: Undo | Redo, what: str) -> None:
        self.drop_offer()
        run = self.state.run
        if run is None or not (run.history.done if what == "undo" else run.history.undone):
            self.notify(short(f"There is nothing to {what} in this run."), markup=False)
        else:
            self.post_message(self.Wanted(command))
        self.show_bars()

    def _want(self, key: str, command: SetMark | SetMasking) -> None:
        offer = Offer(key, command)
        turn = len(self.state.run.turns) if self.state.run is not None else 0
        on_the_way = isinstance(command, SetMasking) and self._going == (key, turn)
        if not self.preview or self.state.run is None or self.offer == offer or on_the_way:
            self._offer = None
            self._going = (key, turn) if isinstance(command, SetMasking) else ("", 0)
            self.post_message(self.Wanted(command))
        else:
            self._offer, self._going = offer, ("", 0)
            self.post_message(self.Wanted(offer.price()))
        self.show_bars()
        self.refresh_bindings()

    def can_stop(self) -> bool:
        """Whether esc would stop something."""
        run = self.state.run
        if self.query_one("#find").has_class("-on") or self.offer is not None:
            return False
        return self.state.indexing is not None or (run is not None and run.running and not self.stopping)

    def action_stop(self) -> None:
        """The run first, then the indexing."""
        run = self.state.run
        if run is not None and run.running and not self.stopping:
            self.stopping = True
            self.post_message(self.Wanted(Stop()))
        else:
            self.post_message(self.Wanted(CancelIndex()))

    def show_bars(self) -> None:
        """The two lines that are always there; what a key press would cost stands in for the status."""
        width = max(20, self.size.width - 2)
        self.query_one("#title", Plain).show(status.title(self.state, width))
        bar, offer = self.query_one("#status", Plain), self.offer_line()
        bar.show(offer or status.status(self.state, width, self._clock()))
        bar.set_class(offer is not None, "-offer")
        text, kind = status.banner(self.state)
        banner = self.query_one("#banner", Plain)
        banner.show(text)
        banner.set_class(bool(kind), "-on").set_class(kind == "error", "-error")
