"""What every way of keeping a cache has in common: it reads a view, then writes a reply that is laid down for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.context.segments import View

CONTEXT = 8192
"""Cells every method gets. All the same: some edits cost by the cells there are, not by those in use."""


class NotMeasured(Exception):
    """A method that cannot run here. The message says why."""


@dataclass(frozen=True)
class Seconds:
    """Time passed and time computed. The second one is what other programs on the machine disturb less."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)


@dataclass(frozen=True)
class Step:
    """One turn of one method.

    ``decoded`` and ``reused`` are tokens of the prompt that were computed and that were there already, ``cells`` is how
    many the cache held at the end of the turn. ``prompt`` and ``reply`` are the seconds that reading and writing took.
    """

    decoded: int
    reused: int
    cells: int
    prompt: Seconds
    reply: Seconds


class Method(Protocol):
    """One way of keeping a cache over a run, with a cache of its own."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def window(self) -> int:
        """The masking window of the views it is to be given; 0 for unmasked ones."""
        ...

    @property
    def batch(self) -> int:
        """Observations are released at every so many turns."""
        ...

    def step(self, view: View, reply: str) -> Step:
        """Read the view and write the reply: all its tokens are decoded one after the other, none is drawn."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class Stopwatch:
    """Seconds since it was started or last asked. ``cpu`` tells the processor seconds used up to now."""

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        self._cpu = cpu
        self._at = (time.perf_counter(), cpu())

    def lap(self) -> Seconds:
        before, self._at = self._at, (time.perf_counter(), self._cpu())
        return Seconds(self._at[0] - before[0], self._at[1] - before[1])


def lower_bound(before: Sequence[tuple[int, ...]], wanted: Sequence[tuple[int, ...]]) -> int:
    """Tokens of ``wanted`` that a cache holding ``before`` cannot have: what no method that only edits can avoid.

    Both are token spans in order. What ``wanted`` has in common with ``before`` is the heaviest selection of spans that
    stands in both in the same order.
    """
    start = 0
    for old, new in zip(before, wanted, strict=False):
        if old != new:
            break
        start += 1
    heaviest = [0] * (len(before) - start + 1)  # in common with the first so many of before, up to the span at hand
    for new in wanted[start:]:
        last = 0  # the entry of the span before, one place to the left
        for place, old in enumerate(before[start:], start=1):
            best = last + len(new) if old == new else max(heaviest[place], heaviest[place - 1])
            last, heaviest[place] = heaviest[place], best
    return sum(map(len, wanted[start:])) - heaviest[-1]
