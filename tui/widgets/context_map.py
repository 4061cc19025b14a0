"""What the model sees: one row for each observation, as long as it has tokens, and what masking took from it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from engine.protocol import State
from tui.safe import line, short
from tui.state import AppState, ObservationRow, RunState
from tui.widgets import words
from tui.widgets.bars import count, hollow, solid
from tui.widgets.rows import Row, RowList

_LABEL = 10  # "12 search "
_SIZE = 11  # "⊘ 1.9k→18 "
_NEXT = 9  # "→ masked "
_NEXT_WORD = {"live": "→ live", "masked": "→ masked", "pinned": "→ pinned", "kept": ""}


@dataclass(frozen=True)
class Scale:
    """How rows are drawn: cells in all, the tokens of the longest bar, and whether changes are pending."""

    width: int
    longest: int
    pending: bool

    @property
    def bar(self) -> int:
        return max(4, self.width - _LABEL - _SIZE - (_NEXT if self.pending else 0))


def observation_row(row: ObservationRow, pending: State | None, scale: Scale) -> Content:
    """One observation. A masked one keeps its header: a sliver of bar stays solid before the hollow rest."""
    masked = row.state == "masked"
    rest = "░" * max(1, len(hollow(row.before, scale.longest, scale.bar)) - 1)
    bar = f"▏{rest}" if masked else solid(row.before, scale.longest, scale.bar)
    sign = " " if row.state == "live" else words.SIGN[row.state]
    return line(
        f"{row.number:>2} {short(row.observation.tool, 6):<7}",
        (f"{bar:<{scale.bar}}", words.STYLE[row.state]),
        (f" {sign} {words.size(row):<{_SIZE - 3}}", "dim" if masked else ""),
        (_NEXT_WORD[pending] if pending else "", "bold $warning"),
    )


def fixed_row(name: str, tokens: int, scale: Scale) -> Content:
    """What is always there and never masked."""
    bar = "▒" * len(hollow(tokens, scale.longest, scale.bar))
    return line(f"{name:<{_LABEL}}{bar:<{scale.bar}}   {count(tokens)}")


def edge_row(window: int, pending: bool, width: int) -> Content:
    """The window's edge: what is above it is masked, unless the row says why not."""
    turns = "1 turn" if window == 1 else f"{window} turns"
    label = f"── window: last {turns} " if window else "── window off: nothing is masked "
    label += "→ next turn " if pending else ""
    return line((label + "─" * max(0, width - len(label)), "$warning" if pending else "$primary"))


def map_rows(run: RunState, width: int) -> list[Row]:
    """The whole map: what is always there, the observations with the window's edge between them, the sum."""
    fixed = {"system": 0, "thoughts": 0}
    for segment in run.segments:
        if not segment.observation:
            first = segment.kind in ("system", "question", "template")
            fixed["system" if first else "thoughts"] += segment.tokens
    longest = max([*fixed.values(), *(row.before for row in run.observations), 1])
    changing = run.running and any(row.pending != row.state for row in run.observations)
    scale = Scale(width, longest, changing)
    rows = [Row("system", fixed_row("system", fixed["system"], scale), enabled=False)]
    if fixed["thoughts"]:
        rows.append(Row("thoughts", fixed_row("thoughts", fixed["thoughts"], scale), enabled=False))
    edge, window = run.window_edge, run.next_policy.window
    label = Row("edge", edge_row(window, run.next_policy != run.policy, width), enabled=False)
    for index, row in enumerate(run.observations):
        if index == edge:
            rows.append(label)
        pending = row.pending if changing and row.pending != row.state else None
        rows.append(Row(str(row.number), observation_row(row, pending, scale)))
    if edge >= len(run.observations):
        rows.append(label)
    return rows


def total(run: RunState) -> str:
    """The sum under the map."""
    parts = [f"{count(run.tokens)} of {count(run.limit)} read"] if run.limit else []
    if run.masked_tokens:
        parts.append(f"⊘ {count(run.masked_tokens)} masked")
    return " · ".join(parts)


class ContextMap(RowList):
    """The context map. The cursor selects an observation."""

    BORDER_TITLE = "2 Context · what the model sees"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.add_class("pane")
        self._state: AppState | None = None

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
        self.show(map_rows(state.run, self.scrollable_content_region.width or 40))
        self.border_subtitle = Content(total(state.run))
