"""Everything a question needs, looked at one after the other, with what to do about what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.worker import get_current_worker

from tui import keys
from tui.safe import Plain, line, lines, short
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from engine.doctor import Check
    from engine.settings import Settings

_SIGN = {True: ("✓", "$success"), False: ("✗", "bold $error"), None: ("–", "$warning")}


class Doctor(Screen[None]):
    """The checks of the command ``doctor``, each shown as soon as it is made."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.DOCTOR)
    AUTO_FOCUS = "#doctor-list"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._checks: list[Check] = []
        self._busy = True

    def compose(self) -> ComposeResult:
        yield Plain(id="doctor-title", classes="bar")
        with Vertical():
            listed = RowList(id="doctor-list")
            listed.add_class("pane")
            yield listed
        yield KeyBar()

    def on_mount(self) -> None:
        self.action_again()

    def action_again(self) -> None:
        self._checks, self._busy = [], True
        self._show()
        self._look()

    @work(thread=True, exclusive=True)
    def _look(self) -> None:
        """Away from the screen: some checks read files, and one asks for what is installed."""
        from engine.doctor import checks

        worker = get_current_worker()
        for check in checks(self._settings):
            if worker.is_cancelled:
                return
            self.app.call_from_thread(self._found, check)
        self.app.call_from_thread(self._done)

    def _found(self, check: Check) -> None:
        self._checks.append(check)
        self._show()

    def _done(self) -> None:
        self._busy = False
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        wrong = sum(check.ok is False for check in self._checks)
        lacking = sum(check.ok is None for check in self._checks)
        said = "looking…" if self._busy else f"{wrong} wrong, {lacking} missing that one can do without"
        if not self._busy and not wrong and not lacking:
            said = "all is well"
        self.query_one("#doctor-title", Plain).show(line(("Doctor", "bold $primary"), (f"  {said}", "dim")))
        listed = self.query_one("#doctor-list", RowList)
        listed.show([_row(check) for check in self._checks])
        if listed.highlighted is None:
            listed.action_first()

    def action_copy(self) -> None:
        rows = [f"{_SIGN[check.ok][0]} {check.name}: {check.detail} {check.fix}".rstrip() for check in self._checks]
        self.app.copy_to_clipboard("\n".join(rows))

    def action_back(self) -> None:
        self.dismiss()


def _row(check: Check) -> Row:
    sign, style = _SIGN[check.ok]
    first = line((f"{sign} ", style), (f"{short(check.name):<17}", "bold"), short(check.detail))
    fix = [line(("  → ", style), short(check.fix))] if check.fix and check.ok is not True else []
    return Row(check.name, lines([first, *fix]))
