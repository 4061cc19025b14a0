"""What leaves this machine: the question whether it may, and the list of all that did."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen

from engine.protocol import ApprovalNeeded, Approve, Command, NetworkEntry, Stop
from tui import keys
from tui.safe import Plain, line, lines, short
from tui.state import AppState
from tui.widgets.bars import duration
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

GRACE = 0.6
"""Seconds from the moment the question is on the screen in which keys are not taken for an answer: they were meant for what was there before."""


class Approval(ModalScreen[None]):
    """May this be sent? The run waits as long as it takes. Goes away by itself where no word is wanted any more."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.APPROVAL)

    def __init__(self, needed: ApprovalNeeded, send: Callable[[Command], None]) -> None:
        super().__init__()
        self._needed, self._send = needed, send
        self._answered = self._over = False
        self._since = math.inf  # not on the screen yet

    def compose(self) -> ComposeResult:
        needed = self._needed
        asked = "Send this query to" if needed.what == "query" else "Request this page from"
        with Vertical(id="confirm"):
            yield Plain(line((f"{asked} {short(needed.host, 120)}?", "bold")))
            with VerticalScroll(id="approval-box"):  # an address may be longer than the screen, and all of it is sent
                yield Plain(line(short(needed.text, 4000)), id="approval-text")
            yield Plain(
                line(
                    ("y", "bold $warning"), " send it   ", ("n", "bold"), " do not   ", ("esc", "bold"), " stop the run"
                )
            )

    def on_mount(self) -> None:
        self.call_after_refresh(self._seen)

    def _seen(self) -> None:
        self._since = time.monotonic()

    def refresh_from(self, state: AppState) -> None:
        self._over = self._needed not in state.waiting
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        if self._over and self.is_current:
            self.dismiss()

    def action_answer(self, yes: bool) -> None:
        if not self._answered and time.monotonic() - self._since > GRACE:
            self._answered = True
            self._send(Approve(self._needed.request, yes))

    def action_stop(self) -> None:
        self._send(Stop())


class Network(Screen[None]):
    """Every request of the session, the newest last."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.NETWORK)
    AUTO_FOCUS = "#network-list"

    def __init__(self, state: AppState) -> None:
        super().__init__()
        self._state = state

    def compose(self) -> ComposeResult:
        yield Plain(id="network-title", classes="bar")
        with Vertical():
            listed = RowList(id="network-list")
            listed.add_class("pane")
            yield listed
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()

    def refresh_from(self, state: AppState) -> None:
        self._state = state
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        state = self._state
        count = len(state.network)
        said = f"  {count} request{'' if count == 1 else 's'} of this session · web {state.web}"
        self.query_one("#network-title", Plain).show(line(("Network", "bold $primary"), (said, "dim")))
        nothing = Row("", line(("Nothing was sent in this session.", "dim")), enabled=False)
        rows = [_row(place, entry) for place, entry in enumerate(state.network)]
        self.query_one("#network-list", RowList).show(rows or [nothing])

    def action_back(self) -> None:
        self.dismiss()


def _row(place: int, entry: NetworkEntry) -> Row:
    when = datetime.datetime.fromtimestamp(entry.began).astimezone().strftime("%H:%M:%S")
    size = f"{entry.bytes:,} bytes" if entry.bytes >= 0 else "size not known"
    told = " · ".join(part for part in (entry.result, entry.address, size, duration(entry.seconds)) if part)
    first = line((f"{when}  ", "dim"), (f"{entry.purpose:<7}", "bold"), f"{short(entry.host, 80)}")
    return Row(
        str(place), lines([first, line(short(f"  {entry.method} {entry.url}", 500)), line((f"  {short(told)}", "dim"))])
    )
