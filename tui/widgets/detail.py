"""One call of one turn: the thought, the call, why masking did what it did, what the model sees and what was kept."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content

from tui import keys
from tui.safe import Plain, line, lines, plain, short
from tui.state import CallRow, ObservationRow, RunState, TurnRow
from tui.widgets import words
from tui.widgets.bars import count

_MOST = 20_000
"""Characters of an observation that are laid out here; the reader shows everything."""

_STATE = {"live": "live", "masked": "masked", "pinned": "pinned", "kept": "kept"}


_NUMBER = re.compile(r"^(L\d+: )")


def head(run: RunState, turn: TurnRow, call: CallRow | None, row: ObservationRow | None) -> Content:
    """Everything about it but its text."""
    rows = [line((f"Turn {turn.number}", "bold $primary"), (f"  {call.tool}" if call else "", "bold"))]
    if turn.thought:
        rows += [_label("thought"), plain(turn.thought)]
    if call is not None:
        rows += [_label("call"), plain(words.call(call.tool, call.arguments))]
    if row is not None and row.observation.error:
        rows.append(line(("✗ ", "bold $error"), (words.outcome(row.observation).strip(), "bold")))
    rows += [
        line(("✗ ", "bold $error"), short(note.text))
        for note in run.notes
        if note.kind == "error" and note.turn == turn.number
    ]
    if turn.tries > 1:
        rows.append(line(("↺ ", "$warning"), f"read {turn.tries} times: a reply before this one could not be used"))
    if row is not None:
        now = run.turns[-1].number if run.turns else 0
        rows += [_label("in context"), state_line(row), line((words.use(row, now), "dim"))]
        if row.pending != row.state:
            rows.append(line((f"→ {_STATE[row.pending]} from the next turn on", "bold $warning")))
    if turn.view_tokens:
        rows += [_label("read"), reads(turn)]
    if turn.status == "done" and turn.timings.prompt_tokens:
        rows += [_label("time"), line(words.timing(turn))]
    if run.advice:
        rows += [_label("advice"), plain(run.advice)]
    return lines(rows)


def reads(turn: TurnRow) -> Content:
    """The size of the turn's view, and what masking left out of it."""
    left_out = f", {turn.masked:,} more are masked" if turn.masked else ""
    return line(f"{turn.view_tokens:,} tokens{left_out}  ", ("v shows them", "dim"))


def understood(turn: TurnRow, call: CallRow | None) -> Content:
    """The action that was made of the turn's text."""
    if call is None:
        done = "answer" if turn.finish and not turn.calls else "nothing yet"
        return line((done, "bold"))
    arguments = [line((f"{name}: ", "dim"), short(str(value), 400)) for name, value in call.arguments.items()]
    return lines([line((call.tool, "bold")), *arguments])


def numbered(body: str) -> Content:
    """An observation's text, its line numbers set back."""
    return lines([_numbered(text) for text in body.split("\n")])


def _numbered(text: str) -> Content:
    first, number, rest = _NUMBER.split(text, 1) if _NUMBER.match(text) else ("", "", text)
    return line((number, "dim"), first + rest) if number else plain(text)


def state_line(row: ObservationRow) -> Content:
    """The state with its sign, why, and what it freed."""
    freed = f" · {row.before:,} → {row.after:,} tokens" if row.state == "masked" else f" · {row.before:,} tokens"
    since = f" since turn {row.masked_at}" if row.masked_at else ""
    reason = f" · {row.reason}" if row.reason and row.reason != _STATE[row.state] else ""
    return line((f"{words.SIGN[row.state]} {_STATE[row.state]}{since}", words.STYLE[row.state]), reason, freed)


def _label(name: str) -> Content:
    return line((name, "dim"))


class Detail(VerticalScroll):
    """The detail of the selected row."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SCROLLS)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.number = 0
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Plain(id="detail-head")
        with Container(id="detail-views"):
            yield Plain(id="view-now", classes="view")
            yield Plain(id="view-kept", classes="view")
        with Container(id="detail-action"):
            yield Plain(id="action-raw", classes="view")
            yield Plain(id="action-read", classes="view")

    def show(self, run: RunState, turn: TurnRow, index: int) -> None:
        """Show this call. ``number`` is its observation's, 0 while there is none."""
        call = turn.calls[index] if index < len(turn.calls) else None
        self.number = turn.observations[index] if index < len(turn.observations) else 0
        row = run.row(self.number)
        now = run.turns[-1].number if run.turns else 0
        if (turn, call, row, now, run.notes, run.advice) == self._shown:
            return
        if self._shown and (turn.number, call) != (
            self._shown[0].number if isinstance(self._shown[0], TurnRow) else 0,
            self._shown[1],
        ):
            self.scroll_home(animate=False)
        self._shown = (turn, call, row, now, run.notes, run.advice)
        self.query_one("#detail-head", Plain).show(head(run, turn, call, row))
        self._show_views(row)
        raw, read = self.query_one("#action-raw", Plain), self.query_one("#action-read", Plain)
        for box, title in ((raw, "what it wrote"), (read, "what was understood")):
            box.set_class(not turn.raw, "-off")
            box.border_title = title
        raw.show(plain(turn.raw))
        read.show(understood(turn, call))

    def _show_views(self, row: ObservationRow | None) -> None:
        now, kept = self.query_one("#view-now", Plain), self.query_one("#view-kept", Plain)
        now.set_class(row is None, "-off")
        kept.set_class(row is None or row.state != "masked", "-off")
        if row is None:
            return
        seen = row.observation
        body = seen.body if len(seen.body) <= _MOST else seen.body[:_MOST] + "\n… o opens the whole of it"
        header = plain(seen.header, "bold")
        whole = lines([header, numbered(body)]) if body else header
        now.border_title, now.border_subtitle = "what the model sees now", f"{count(row.after)} tokens"
        now.show(header if row.state == "masked" else whole)
        kept.border_title, kept.border_subtitle = "what was kept", f"{count(row.before)} tokens"
        kept.show(whole)
