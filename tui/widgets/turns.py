"""What the model did: one virtual list of turns, two lines for each call, with notes where something was masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content
from textual.events import Click

from tui.safe import line, lines, short
from tui.state import AppState, CallRow, Note, ObservationRow, RunState, TurnRow
from tui.widgets import words
from tui.widgets.bars import count
from tui.widgets.rows import Row, RowList

_DOING = {"reading": "reading", "thinking": "thinking", "calling": "calling", "stopped": "stopped"}


Drawn = dict[tuple[int, int], tuple[list[object], list[Row]]]
"""By run and turn: what its rows were drawn from, and the rows."""


def turn_rows(run: RunState, drawn: Drawn | None = None) -> Iterator[Row]:
    """The rows of one question, the question first. A row's id is ``run:turn:call``.

    ``drawn`` keeps them from one time to the next: a turn of which nothing changed is not drawn again.
    """
    drawn = {} if drawn is None else drawn
    rows = {row.number: row for row in run.observations}
    notes: dict[int, list[tuple[int, Note]]] = {}
    for place, note in enumerate(run.notes):
        notes.setdefault(note.turn, []).append((place, note))
    yield Row(f"{run.number}:q", line(("? ", "bold $primary"), (short(run.question), "bold")), enabled=False)
    yield from _notes(run, notes.get(0, []))
    for turn in run.turns:
        last = run.running and turn is run.turns[-1]
        told = notes.get(turn.number, [])
        seen = [rows.get(number) for number in turn.observations]
        made_of: list[object] = [last, turn, *seen, *(note for _, note in told)]
        old = drawn.get((run.number, turn.number))
        if old is None or len(old[0]) != len(made_of) or any(a is not b for a, b in zip(old[0], made_of, strict=True)):
            old = drawn[run.number, turn.number] = made_of, list(_turn(run, turn, seen, told, last=last))
        yield from old[1]
    if not run.running:
        yield Row(f"{run.number}:end", _end(run), enabled=False)


def _turn(
    run: RunState,
    turn: TurnRow,
    seen: Sequence[ObservationRow | None],
    notes: Sequence[tuple[int, Note]],
    *,
    last: bool,
) -> Iterator[Row]:
    yield from _notes(run, notes, changes=True)
    for index, call in enumerate(turn.calls or (None,)):
        content = call_row(turn, index, call, seen[index] if index < len(seen) else None, last=last)
        yield Row(f"{run.number}:{turn.number}:{index}", content)
    yield from _notes(run, notes)


def call_row(turn: TurnRow, index: int, call: CallRow | None, row: ObservationRow | None, *, last: bool) -> Content:
    """Two lines: what was called, and what came of it."""
    label = f"{turn.number:>2} " if index == 0 else "   "
    thought = short(turn.thought, 160)
    below = [line((f"     {thought}", "dim"))] if thought else []
    if call is None:
        sign, style = ("▸", "$primary") if last else ("✓", "$success") if turn.status == "done" else ("■", "dim")
        what = _DOING.get(turn.status, "answered" if turn.finish == "answer" or turn.must_answer else "no call")
        what = "answering" if last and turn.must_answer else what
        progress = f"{turn.read / turn.to_read:.0%} of {count(turn.to_read)} tokens" if turn.to_read else ""
        return lines([line((f"{sign} ", style), label, (what, "bold"), f" {progress}"), *below])
    argument = words.argument(call.tool, call.arguments, row.observation if row else None)
    if row is None:
        first = line(("▸ ", "$primary"), label, (short(call.tool, 12), "bold"), f" {argument}")
        return lines([first, *below])
    style = words.STYLE[row.state]
    first = line((f"{words.SIGN[row.state]} ", style), label, (short(call.tool, 12), "bold"), f" {argument}")
    after = f" · {thought}" if thought and index == 0 else ""
    return lines([first, line((f"     {words.outcome(row.observation)} · {words.size(row)}{after}", "dim"))])


def _notes(run: RunState, notes: Sequence[tuple[int, Note]], *, changes: bool = False) -> Iterator[Row]:
    """The notes of a turn: what masking changed stands before its calls, everything else after them."""
    for index, note in notes:
        if (note.kind in ("masked", "shown")) == changes or note.turn == 0:
            sign = {"masked": "⊘", "shown": "●", "error": "✗", "info": "·"}[note.kind]
            style = "bold $error" if note.kind == "error" else "italic"
            text = line((f"   {sign} {short(note.text)}", style))
            yield Row(f"{run.number}:note:{index}", text, enabled=False)


def _end(run: RunState) -> Content:
    said = {
        "answered": ("✓", "$success", "answered"),
        "not_told": ("~", "$warning", "the documents do not tell"),
        "stopped": ("■", "$warning", "stopped; c continues"),
        "failed": ("✗", "$error", "ended early; c continues"),
    }
    sign, style, text = said[run.ended] if run.ended else ("■", "$warning", "not finished; c continues")
    return line((f"{sign} ", style), (text, "bold"))


class Turns(RowList):
    """The list of turns. During a run it follows the last one, until the user moves up; G follows again."""

    BORDER_TITLE = "1 Turns"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.add_class("pane")
        self.following = True
        self._seen = ""
        self._drawn: Drawn = {}
        self._session = ""
        self._told: tuple[object, ...] = ()

    def refresh_from(self, state: AppState) -> None:
        before, self._told = self._told, (state.session, state.earlier, state.run, state.unknown)
        if before and all(a is b for a, b in zip(before, self._told, strict=True)):
            return
        runs = (*state.earlier, state.run) if state.run is not None else state.earlier
        unknown = [
            line((f"? {short(event.name, 40)} {short(str(dict(event.data)), 200)}", "dim")) for event in state.unknown
        ]
        if state.session != self._session:
            self._session, self._drawn = state.session, {}
        rows = [row for run in runs for row in turn_rows(run, self._drawn)]
        self.show([*rows, *(Row(f"unknown:{index}", text, enabled=False) for index, text in enumerate(unknown))])
        if self.following and self.last_row:
            self.select(self.last_row)
            self.scroll_end(animate=False)
        self._say_below(state)

    def _say_below(self, state: AppState) -> None:
        """While one looks at an earlier row, the border tells that newer ones have come since."""
        if self.following or state.run is None:
            self._seen = self.last_row
        new = state.run is not None and state.run.running and self.last_row != self._seen
        said = "↓ new below · G follows" if new else None
        if self.border_subtitle != said:  # to set it is to draw the whole pane
            self.border_subtitle = said

    def on_click(self, event: Click) -> None:
        """A click on the border's lower edge, where that is said, follows again."""
        if self.border_subtitle and event.y >= self.outer_size.height - 1:
            self.action_last()

    @property
    def selected(self) -> tuple[int, int, int]:
        """Run, turn and call index under the cursor; zeros for none."""
        run, _, rest = self.row.partition(":")
        turn, _, call = rest.partition(":")
        return (int(run), int(turn), int(call)) if call.isdigit() else (0, 0, 0)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        self.following = event.row == self.last_row
        if self.following and self.border_subtitle is not None:
            self.border_subtitle = None
