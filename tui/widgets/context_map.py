"""What the model sees: one row for each observation, as long as it has tokens, and what masking took from it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from engine.protocol import State
from tui.safe import Part, line, short
from tui.state import AppState, ObservationRow, RunState
from tui.widgets import words
from tui.widgets.bars import count, duration, hollow, solid
from tui.widgets.rows import Row, RowList

_SIZE = 11  # "⊘ 1.9k→18 "
_AGE = 5  # " 12t "
_NEXT = 9  # "→ masked "
_USE = 13  # "re-opened 12 "
_WORDS = 70
"""Cells from which on there is room to say the last use and the reason in words."""
_NEXT_WORD = {"live": "→ live", "masked": "→ masked", "pinned": "→ pinned", "kept": ""}


@dataclass(frozen=True)
class Scale:
    """How rows are drawn: cells in all, the tokens of the longest bar, whether changes are pending, the turn that ages
    are counted from, and the digits of the highest number.
    """

    width: int
    longest: int
    pending: bool
    now: int = 0
    digits: int = 2

    @property
    def label(self) -> int:
        """Cells of the number and the tool."""
        return self.digits + 8

    @property
    def wordy(self) -> bool:
        return self.width >= _WORDS

    @property
    def bar(self) -> int:
        rest = self.width - self.label - _SIZE - _AGE - (_NEXT if self.pending else 0) - (0 if self.wordy else 4)
        return max(4, min(24, (rest - _USE) // 2) if self.wordy else rest)


def observation_row(row: ObservationRow, pending: State | None, scale: Scale) -> Content:
    """One observation. A masked one keeps its header: a sliver of bar stays solid before the hollow rest."""
    masked = row.state == "masked"
    rest = "░" * max(1, len(hollow(row.before, scale.longest, scale.bar)) - 1)
    bar = f"▏{rest}" if masked else solid(row.before, scale.longest, scale.bar)
    sign = " " if row.state == "live" else words.SIGN[row.state]
    style = "dim" if masked else ""
    parts: list[Part] = [
        f"{row.number:>{scale.digits}} {short(row.observation.tool, 6):<7}",
        (f"{bar:<{scale.bar}}", words.STYLE[row.state]),
        (f" {sign} {words.size(row):<{_SIZE - 3}}", style),
        (f"{max(0, scale.now - row.turn):>3}t ", "dim"),
        (f"{_NEXT_WORD[pending] if pending else '':<{_NEXT if scale.pending else 0}}", "bold $warning"),
    ]
    if scale.wordy:
        used = f"{row.used.kind} {row.used.turn}" if row.used else ""
        parts += [(f"{used:<{_USE}}", "$success"), (row.reason if row.reason != "new" else "", "dim")]
    else:
        parts.append((words.USED[row.used.kind] if row.used else " ", "$success"))
    return line(*parts)


def head_row(scale: Scale) -> Content:
    """What the columns are."""
    use = f"{'last use':<{_USE}}why" if scale.wordy else "use"
    next_turn = f"{'next':<{_NEXT}}" if scale.pending else ""
    return line((f"{'':<{scale.label}}{'':<{scale.bar}}   {'tokens':<{_SIZE - 3}} age {next_turn}{use}", "dim"))


def fixed_row(name: str, tokens: int, scale: Scale) -> Content:
    """What is always there and never masked."""
    bar = "▒" * len(hollow(tokens, scale.longest, scale.bar))
    return line(f"{name:<{scale.label}}{bar:<{scale.bar}}   {count(tokens)}")


def edge_row(window: int, pending: bool, width: int) -> Content:
    """The window's edge: what is above it is masked, unless the row says why not."""
    turns = "1 turn" if window == 1 else f"{window} turns"
    label = f"── window: last {turns} " if window else "── window off: nothing is masked "
    label += "→ next turn " if pending else ""
    return line((label + "─" * max(0, width - len(label)), "$warning" if pending else "$primary"))


def sum_rows(run: RunState, width: int) -> list[Row]:
    """What the run has cost and spared so far: sums over its turns, told apart from the size of the context."""
    if not (run.reused or run.decoded):
        return []
    label = "── prompt tokens of this run so far "
    seen = run.reused + run.decoded
    rows = [
        line((label + "─" * max(0, width - len(label)), "dim")),
        line(f"read {run.decoded:,} · reused {run.reused:,} ({run.reused / seen:.0%})"),
        line(f"{duration(run.editing)} on the cache · masking spared {run.saved:,}"),
    ]
    return [Row(f"sum{place}", row, enabled=False) for place, row in enumerate(rows)]


def map_rows(run: RunState, width: int, drawn: dict[int, Drawn] | None = None) -> list[Row]:
    """The whole map: what is always there, the observations with the window's edge between them, the sums.

    ``drawn`` keeps rows from one time to the next, so that only what changed is drawn again.
    """
    drawn = {} if drawn is None else drawn
    fixed = {"system": 0, "thoughts": 0}
    for segment in run.segments:
        if not segment.observation:
            first = segment.kind in ("system", "question", "template")
            fixed["system" if first else "thoughts"] += segment.tokens
    longest = max([*fixed.values(), *(row.before for row in run.observations), 1])
    changing = run.running and any(row.pending != row.state for row in run.observations)
    numbers = max((row.number for row in run.observations), default=0)
    now = run.turns[-1].number if run.turns else 0
    scale = Scale(width, longest, changing, now, max(2, len(str(numbers))))
    rows = [Row("head", head_row(scale), enabled=False)] if run.observations else []
    rows.append(Row("system", fixed_row("system", fixed["system"], scale), enabled=False))
    if fixed["thoughts"]:
        rows.append(Row("thoughts", fixed_row("thoughts", fixed["thoughts"], scale), enabled=False))
    edge, window = run.window_edge, run.next_policy.window
    label = Row("edge", edge_row(window, run.next_policy != run.policy, width), enabled=False)
    for index, row in enumerate(run.observations):
        if index == edge:
            rows.append(label)
        old = drawn.get(row.number)
        if old is None or old[0] is not row or old[1] != scale:
            pending = row.pending if changing and row.pending != row.state else None
            drawn[row.number] = old = (row, scale, Row(str(row.number), observation_row(row, pending, scale)))
        rows.append(old[2])
    if edge >= len(run.observations):
        rows.append(label)
    return rows + sum_rows(run, width)


def total(run: RunState) -> str:
    """How full the context is now, under the map."""
    parts = [f"{count(run.tokens)} of {count(run.limit)} in view"] if run.limit else []
    if run.masked_tokens:
        parts.append(f"⊘ {count(run.masked_tokens)} masked")
    return " · ".join(parts)


Drawn = tuple[ObservationRow, Scale, Row]
"""An observation, how it was drawn, and the row that came of it."""


class ContextMap(RowList):
    """The context map. The cursor selects an observation."""

    BORDER_TITLE = "2 Context · what the model sees"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.add_class("pane")
        self._state: AppState | None = None
        self._shown: tuple[object, ...] = ()
        self._drawn: dict[int, Drawn] = {}

    @property
    def observation(self) -> int:
        """The number of the observation under the cursor, 0 for none."""
        return int(self.row) if self.row.isdigit() else 0

    def on_resize(self) -> None:
        if self._state is not None:
            self.refresh_from(self._state)

    def refresh_from(self, state: AppState) -> None:
        self._state = state
        if state.run is None:
            self.show([])
            return
        run, width = state.run, self.scrollable_content_region.width or 40
        seen = (run.observations, run.segments, run.policy, run.next_policy, run.running, run.decoded, len(run.turns))
        before, self._shown = self._shown, (width, *seen)
        if len(before) == len(self._shown) and all(a is b or a == b for a, b in zip(before, self._shown, strict=True)):
            return  # most events change nothing here, and there may be a thousand rows
        self.show(map_rows(run, width, self._drawn))
        self.border_subtitle = Content(total(run))
