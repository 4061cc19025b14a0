"""The truth of a run: every turn, whole. Masking never touches it; views are made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.protocol import Observation


@dataclass(frozen=True)
class Call:
    """A call the model made. ``id`` is unique in the run."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """One generation and what came of it. ``raw`` is the model's text exactly as it wrote it."""

    number: int
    raw: str
    thought: str = ""
    calls: tuple[Call, ...] = ()
    observations: tuple[Observation, ...] = ()

    @property
    def effective(self) -> bool:
        """Whether at least one call brought something other than an error."""
        return any(not observation.error for observation in self.observations)


@dataclass(frozen=True)
class Exchange:
    """An earlier question of the session and the answer it got."""

    question: str
    answer: str


@dataclass(frozen=True)
class Transcript:
    """One question's turns, and the exchanges before it in the session."""

    question: str
    turns: tuple[Turn, ...] = ()
    history: tuple[Exchange, ...] = ()

    def observations(self) -> Iterator[Observation]:
        for turn in self.turns:
            yield from turn.observations

    def add(self, turn: Turn) -> Transcript:
        return replace(self, turns=(*self.turns, turn))
