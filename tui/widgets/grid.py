"""A run under another window, drawn with letters: a row for each observation, a cell for each turn. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from engine.context.uses import Use
from engine.context.whatif import Trial
from engine.measure import named
from engine.protocol import Observation, State
from tui.safe import Part, line, short
from tui.widgets import words
from tui.widgets.rows import Row

_CELL: Mapping[State, str] = {"live": "█", "masked": "░", "pinned": "^", "kept": "!"}
_OTHER: Mapping[State, str] = {"live": "▓", "masked": "▒", "pinned": "^", "kept": "!"}
"""The same, where it is not what it was when the run ran."""

_LABEL = 29
"""Cells for an observation's number, tool and title; less where the screen is narrow."""

_WIDEST = 8
"""Cells for one turn, at most."""

_HEIGHTS = "▁▂▃▄▅▆▇█"

USED, LOST = "◆", "✗"


@dataclass(frozen=True)
class Both:
    """A run as it was and under another policy, and what was used of it."""

    ran: Trial
    tried: Trial
    uses: tuple[Use, ...]
    observations: tuple[Observation, ...]


@dataclass(frozen=True)
class _Columns:
    """Where turns are drawn: ``turns`` by column, in a long run several to one, and each column's ``width`` in cells."""

    label: int
    width: int
    turns: tuple[tuple[int, ...], ...]


def _columns(turns: Sequence[int], width: int) -> _Columns:
    label = min(_LABEL, max(12, width // 3))
    room = max(1, width - label)
    each = max(1, -(-len(turns) // room))
    columns = tuple(tuple(turns[start : start + each]) for start in range(0, len(turns), each))
    return _Columns(label, max(1, min(_WIDEST, room // max(1, len(columns)))), columns)


def grid(both: Both, width: int) -> list[Row]:
    """The turns' numbers, the sizes of the views as it ran and as tried, and a row for each observation."""
    columns = _columns([step.turn for step in both.tried.steps], width)
    rows = [Row("head", line((f"{'turn':<{columns.label}}", "dim"), (_scale(columns), "dim")), enabled=False)]
    largest = max(both.ran.peak, both.tried.peak, 1)
    for id, name, trial in (
        ("ran", "views, as it ran", both.ran),
        ("tried", f"views, {named(both.tried.policy)}", both.tried),
    ):
        rows.append(Row(id, _sizes(name, trial, largest, columns), enabled=False))
    tried, ran = _states(both.tried), _states(both.ran)
    lost = {(use.turn, number) for use in both.tried.regrets for number in use.observations}
    used = {(use.turn, number) for use in both.uses for number in use.observations}
    for seen in both.observations:
        name = short(f"{seen.tool} {seen.title or seen.path or seen.uri}", columns.label - 5)
        parts: list[Part] = [f"{seen.number:>3} {name:<{columns.label - 4}}"]
        for covered in columns.turns:
            places = [(turn, seen.number) for turn in covered]
            state = tried.get(places[-1])
            mark = LOST if lost.intersection(places) else USED if used.intersection(places) else ""
            differs = any(tried.get(place) != ran.get(place) for place in places)
            parts += _cell(state, mark, columns.width, differs=differs)
        rows.append(Row(str(seen.number), line(*parts)))
    return rows


def _cell(state: State | None, mark: str, width: int, *, differs: bool) -> list[Part]:
    """One column of an observation: its state, and in the middle the mark of a use."""
    filled = (_OTHER if differs else _CELL)[state] * width if state else " " * width
    style = ("bold $warning" if differs else words.STYLE[state]) if state else ""
    if not mark:
        return [(filled, style)]
    middle = width // 2
    return [
        (filled[:middle], style),
        (mark, "bold $error" if mark == LOST else "bold $success"),
        (filled[middle + 1 :], style),
    ]


def _sizes(name: str, trial: Trial, largest: int, columns: _Columns) -> Content:
    """The sizes of the views as a row of columns; of several turns in one, the largest."""
    tokens = {step.turn: step.tokens for step in trial.steps}
    heights = ""
    for covered in columns.turns:
        share = max(tokens[turn] for turn in covered) / largest
        heights += _HEIGHTS[max(0, min(len(_HEIGHTS) - 1, round(share * len(_HEIGHTS)) - 1))] * columns.width
    return line((f"{short(name, columns.label - 1):<{columns.label}}", "dim"), (heights, "$primary"))


def _states(trial: Trial) -> dict[tuple[int, int], State]:
    return {(step.turn, each.observation): each.state for step in trial.steps for each in step.decisions}


def _scale(columns: _Columns) -> str:
    """The turns' numbers, where there is room for them."""
    scale = ""
    for place, covered in enumerate(columns.turns):
        start = place * columns.width
        if len(scale) < start or not scale:
            scale = f"{scale:<{start}}{covered[0]}"
    return scale


def figures(both: Both) -> list[tuple[str, str, str]]:
    """Name, as it ran, and under the other policy."""

    def over(trial: Trial) -> str:
        return f", does not fit at turn {trial.overflow}" if trial.overflow else ""

    ran, tried = both.ran, both.tried
    return [
        ("masking", named(ran.policy), named(tried.policy)),
        ("observations masked", f"{ran.masked:,}", f"{tried.masked:,}"),
        ("turns with an edit", f"{ran.edits:,}", f"{tried.edits:,}"),
        ("largest view", f"{ran.peak:,}{over(ran)}", f"{tried.peak:,}{over(tried)}"),
        ("all views", f"{ran.viewed:,}", f"{tried.viewed:,}"),
        ("to read, strict", f"{ran.reads.strict:,}", f"{tried.reads.strict:,}"),
        ("to read, carry", f"{ran.reads.carry:,}", f"{tried.reads.carry:,}"),
        ("  with repair", f"{ran.reads.repair:,}", f"{tried.reads.repair:,}"),
        ("used out of view", f"{len(ran.regrets):,}", f"{len(tried.regrets):,}"),
    ]


def figure_lines(both: Both) -> list[Content]:
    """The figures, what differs in bold."""
    rows = figures(both)
    name, first = (max(len(row[place]) for row in rows) for place in (0, 1))
    return [
        line((f"{label:<{name}}  ", "dim"), f"{ran:>{first}}  ", "→ ", (tried, "bold" if ran != tried else "dim"))
        for label, ran, tried in rows
    ]


def told_of(both: Both, number: int) -> Content:
    """One observation under both policies, and what was used of it."""
    seen = next((each for each in both.observations if each.number == number), None)
    if seen is None:
        return Content()
    parts: list[Part] = [(f"{seen.number} {short(seen.tool, 12)} {short(seen.title or seen.uri, 40)}", "bold")]
    for name, trial in ((named(both.tried.policy), both.tried), ("as it ran", both.ran)):
        step = next((step for step in trial.steps if number in step.masked), None)
        if step is None:
            parts.append(f" · {name}: always in view")
            continue
        reason = next(each.reason for each in step.decisions if each.observation == number)
        parts.append(f" · {name}: masked at turn {step.turn}, {short(reason, 40)}")
    for use in both.uses:
        if number in use.observations:
            sign = LOST if use in both.tried.regrets else USED
            parts.append(f" · {sign} {use.kind} at turn {use.turn}")
    return line(*parts)
