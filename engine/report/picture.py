"""The context map of a finished run as a drawing: a row for each observation, a column for each turn. Geometry only; the
page's template turns it into SVG, and the page's style gives it colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.clean import clean_line
from engine.context.uses import Use, lost
from engine.protocol import State
from engine.told import Told

_LABEL, _SIZES, _ROW, _HEAD, _BAR = 230, 96, 20, 30, 12
_COLUMNS = 560
"""Pixels for all turns together; a turn takes ``_WIDEST`` at most."""

_WIDEST = 80
_NUMBERS = 26
"""Pixels that the number of a turn needs."""

_WORD = {"live": "in view", "masked": "masked", "pinned": "pinned", "kept": "kept"}


@dataclass(frozen=True)
class Bar:
    """Turns through which an observation's state stayed the same. ``tip`` says it in words."""

    x: float
    width: float
    state: State
    tip: str


@dataclass(frozen=True)
class Mark:
    """Where an observation was used; ``lost``: while it was out of view, and nothing else showed the same."""

    x: float
    lost: bool
    tip: str


@dataclass(frozen=True)
class Row:
    """One observation: its middle, its name at the left, its bars and marks, its tokens at the right."""

    y: float
    number: int
    name: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    tokens: str


@dataclass(frozen=True)
class Map:
    """The whole drawing, in pixels of its own. ``columns``: the middle and number of the turns that are named."""

    width: float
    height: float
    left: float
    right: float
    rows: tuple[Row, ...]
    columns: tuple[tuple[float, int], ...]
    edge: str
    said: str
    bar: int = _BAR


def draw(told: Told, uses: Sequence[Use]) -> Map:
    """The drawing of one question. Without observations it has no rows."""
    looks = told.shown
    observations = list(told.transcript.observations())
    places = {look.turn: place for place, look in enumerate(looks)}
    column = min(_WIDEST, _COLUMNS / max(1, len(looks)))
    right = _LABEL + column * len(looks)
    masked = {look.turn: {d.observation for d in look.decisions if d.state == "masked"} for look in looks}
    decided: dict[int, list[tuple[int, State, str]]] = {}
    for place, look in enumerate(looks):
        for decision in look.decisions:
            decided.setdefault(decision.observation, []).append((place, decision.state, decision.reason))
    rows = []
    for index, seen in enumerate(observations):
        bars = []
        for (state, reason), same in groupby(decided.get(seen.number, ()), key=lambda each: each[1:]):
            span = [place for place, _, _ in same]
            first, last = looks[span[0]].turn, looks[span[-1]].turn
            when = f"turn {first}" if first == last else f"turns {first} to {last}"
            tip = f"{seen.number} {seen.tool}, {when}: {_WORD[state]}, {reason}"
            bars.append(Bar(_LABEL + column * span[0] + 1, max(1.0, column * len(span) - 2), state, tip))
        marks = [
            Mark(
                _LABEL + column * (places[use.turn] + 0.5),
                out := lost(use, masked[use.turn]),
                f"turn {use.turn}: {use.kind} {use.what}{', out of view' if out else ''}",
            )
            for use in uses
            if use.turn in places and seen.number in use.observations
        ]
        gone = bool(bars) and bars[-1].state == "masked"
        whole = seen.header_tokens + seen.body_tokens
        tokens = f"{whole:,} → {seen.header_tokens:,}" if gone else f"{whole:,}"
        name = f"{seen.tool} {seen.title or seen.path or seen.uri or seen.header}"
        rows.append(
            Row(_HEAD + _ROW * (index + 0.5), seen.number, clean_line(name, 30), tuple(bars), tuple(marks), tokens)
        )
    every = max(1, -(-_NUMBERS // max(1, int(column))))
    named = [place for place in range(len(looks)) if place % every == 0]
    return Map(
        width=right + _SIZES,
        height=_HEAD + _ROW * len(rows) + 6,
        left=_LABEL,
        right=right,
        rows=tuple(rows),
        columns=tuple((_LABEL + column * (place + 0.5), looks[place].turn) for place in named),
        edge=_edge(told, column),
        said=_said(told),
    )


def _edge(told: Told, column: float) -> str:
    """The line between what is masked for its age and the rest: above it, turn by turn, all is older than the window.

    Empty where nothing ever was. As the points of an SVG polyline.
    """
    order = {seen.number: place for place, seen in enumerate(told.transcript.observations())}
    points: list[str] = []
    for place, look in enumerate(told.shown):
        old = [
            order[d.observation] for d in look.decisions if d.reason.startswith("older than") and d.state == "masked"
        ]
        if not old and not points:
            continue
        y = _HEAD + _ROW * (max(old, default=-1) + 1)
        points += [f"{_LABEL + column * (place + side):.1f},{y}" for side in (0, 1)]
    return " ".join(points)


def _said(told: Told) -> str:
    """The drawing in a sentence, for those who do not see it."""
    count = sum(1 for _ in told.transcript.observations())
    gone = sum(decision.state == "masked" for decision in told.decisions.values())
    return (
        f"{count} observations over {len(told.shown)} turns; {gone} of them are masked at the last turn."
        " The table below says the same in words."
    )
