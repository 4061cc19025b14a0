"""Language models: which are here, which would suit this machine; use one, fetch one, try one out, remove one."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen

from engine.protocol import (
    CancelPull,
    CheckModel,
    Command,
    ModelChecked,
    ModelRow,
    PullModel,
    PullProgress,
    RemoveModel,
    UseModel,
)
from tui import keys
from tui.models import ATTENTION, source, storage
from tui.safe import Plain, line, lines, short
from tui.screens.confirm import Confirm
from tui.state import AppState
from tui.widgets.bars import duration, meter
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

_BAR = 12


class Models(Screen[None]):
    """The list, and what is being fetched."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.MODELS)
    AUTO_FOCUS = "#models-list"

    def __init__(self, state: AppState, send: Callable[[Command], None]) -> None:
        super().__init__()
        self._state, self._send = state, send

    def compose(self) -> ComposeResult:
        yield Plain(id="models-title", classes="bar")
        with Vertical():
            listed = RowList(id="models-list")
            listed.add_class("pane")
            yield listed
        yield Plain(id="models-pull", classes="bar")
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()

    def refresh_from(self, state: AppState) -> None:
        self._state = state
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        told, pull = self._state.models, self._state.pull
        memory = (
            f"  {storage(told.free)} of {storage(told.total)} memory free{f' · {told.gpu}' if told.gpu else ''}"
            if told
            else ""
        )
        self.query_one("#models-title", Plain).show(line(("Models", "bold $primary"), (memory, "dim")))
        rows = [_row(each) for each in told.models] if told else []
        listed = self.query_one("#models-list", RowList)
        listed.show(rows or [Row("", line(("Looking at what is here…", "dim")), enabled=False)])
        if listed.highlighted is None and rows:
            listed.select(rows[0].id)
        bar = self.query_one("#models-pull", Plain)
        bar.display = pull is not None
        if pull is not None:
            bar.show(_progress(pull))
        self.refresh_bindings()

    @property
    def selected(self) -> ModelRow | None:
        """The model under the cursor."""
        name = self.query_one("#models-list", RowList).row
        told = self._state.models
        return next((each for each in told.models if each.name == name), None) if told else None

    # ── what the keys do ─────────────────────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Hide what makes no sense for the selected model."""
        if not self.is_mounted or action not in ("use", "pull", "check", "remove", "cancel"):
            return True
        if action == "cancel":
            return self._state.pull is not None
        row = self.selected
        if row is None:
            return False
        here = row.here and row.kind != "endpoint"
        return {
            "use": here and not row.in_use,
            "pull": row.kind == "catalogue" and self._state.pull is None,
            "check": here,
            "remove": (row.kind == "file" and not row.in_use) or row.part > 0,
        }[action]

    def on_row_list_moved(self) -> None:
        self.refresh_bindings()

    def on_row_list_picked(self) -> None:
        """Enter does what one most likely wants: use what is here, fetch what is not."""
        row = self.selected
        if row is not None and row.here:
            self.action_use()
        elif row is not None and row.kind == "catalogue":
            self.action_pull()

    def action_use(self) -> None:
        row = self.selected
        if row is not None and self.check_action("use", ()):
            self._send(UseModel(row.name))

    def action_pull(self) -> None:
        row = self.selected
        if row is None or not self.check_action("pull", ()):
            return
        name = row.name
        rest = f", {storage(row.bytes - row.part)} still missing" if row.part else ""
        asked = f"Fetch {name}, {storage(row.bytes)}{rest}, from {source(name)}? It is checked by {row.checked}."

        def answered(yes: bool | None) -> None:
            if yes:
                self._send(PullModel(name))

        self.app.push_screen(Confirm(asked, "fetch it", "do not"), answered)

    def action_cancel(self) -> None:
        self._send(CancelPull())

    def action_check(self) -> None:
        row = self.selected
        if row is not None and self.check_action("check", ()):
            self._send(CheckModel(row.name))
            self.notify(short(f"{row.name} is being tried out. This may take a minute."), markup=False)

    def action_remove(self) -> None:
        row = self.selected
        if row is None or not self.check_action("remove", ()):
            return
        name = row.name
        what = (
            f"the file of {name}, {storage(row.bytes)}" if row.here else f"what has come of {name}, {storage(row.part)}"
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self._send(RemoveModel(name))

        self.app.push_screen(Confirm(f"Delete {what}?", "Delete"), answered)

    def action_back(self) -> None:
        self.dismiss()


class Checked(ModalScreen[None]):
    """What trying a model out has shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back"),
    ]

    def __init__(self, told: ModelChecked) -> None:
        super().__init__()
        self._told = told

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="confirm"):
            yield Plain(line((f"{short(self._told.name)}, tried out", "bold")))
            yield Plain(lines([line(short(each, 400)) for each in self._told.lines]))
            yield Plain(line(("esc", "bold"), " back"))


def _row(row: ModelRow) -> Row:
    sign = ("● ", "$success") if row.in_use else ("○ ", "dim")
    marks: list[Content | tuple[str, str]] = []
    if row.in_use:
        marks.append(("  in use", "$success"))
    if row.recommended:
        marks.append(("  recommended", "$primary"))
    if not row.here and row.part:
        marks.append((f"  {storage(row.part)} of {storage(row.bytes)} fetched", "$warning"))
    shown = [line(sign, (short(row.name, 100), "bold"), *marks)]
    needs = f"about {storage(row.memory)} of memory with {row.context:,} tokens" if row.fits and row.memory else ""
    facts = [storage(row.bytes) if row.bytes else "", needs, row.licence, ATTENTION.get(row.attention, "")]
    shown.append(line((f"  {' · '.join(each for each in facts if each)}", "dim")))
    if not row.fits and row.note:
        shown.append(line(("  ✗ ", "$error"), short(row.note, 300)))
    elif row.note:
        shown.append(line((f"  {short(row.note, 300)}", "dim")))
    if row.why or row.good_at:
        shown.append(line((f"  {short(row.why or row.good_at, 300)}", "")))
    return Row(row.name, lines(shown))


def _progress(pull: PullProgress) -> Content:
    name = (f"{short(pull.name, 60)}  ", "bold")
    if pull.phase == "check":
        share = f"{pull.done / pull.total:.0%}" if pull.total else ""
        return line(name, f"looking whether all of it is right {share}")
    if pull.note:
        return line(name, (short(pull.note, 200), "$warning"))
    if not pull.total:
        return line(name, f"{storage(pull.done)}  {storage(round(pull.speed))}/s")
    left = f"  {duration(pull.eta)} left" if pull.eta >= 0 else ""
    return line(
        name,
        (meter(pull.done, pull.total, _BAR), "$primary"),
        f" {pull.done / pull.total:.0%}  {storage(pull.done)} of {storage(pull.total)}",
        (f"  {storage(round(pull.speed))}/s{left}", "dim"),
    )
