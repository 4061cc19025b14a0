"""A second look at the best of a fused list, by a model that reads query and passage together. Off unless one is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from engine.clean import clean_line
from engine.errors import RerankerFailed
from engine.sources.library.table import Row

LOOKED_AT = 20
"""Rows that are looked at again, the best of the fused list. What stands behind them stays where it is."""


class Reranker(Protocol):
    """Tells how well passages answer a query. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """Which model it is, as people are shown it."""
        ...

    def scores(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """One figure a passage, in order: the higher the better, on any scale. Raises RerankerFailed."""
        ...


class SecondLook:
    """How a library uses a reranker: where it fails, lists stay as they were fused, and it is not asked again.

    ``note`` is empty until then, and says afterwards what went wrong and what would help.
    """

    def __init__(self, reranker: Reranker | None) -> None:
        self._reranker = reranker
        self.note = ""

    def scores(self, query: str, rows: Sequence[Row]) -> dict[str, float]:
        """The score of each row by its id; empty where there is no reranker, or none that works."""
        made = self._ask(query, [row.text for row in rows])
        return {row.id: score for row, score in zip(rows, made, strict=False)}

    def warm(self) -> None:
        """Load it now, and see whether it works."""
        self._ask("warm", ["warm"])

    def _ask(self, query: str, passages: list[str]) -> list[float]:
        """As many figures as passages, or none."""
        if self._reranker is None or self.note or not passages:
            return []
        try:
            made = [float(each) for each in self._reranker.scores(query, passages)]
            if len(made) != len(passages) or not all(map(math.isfinite, made)):
                raise RerankerFailed("it gives no usable scores.", "Name another one, or none.")
        except RerankerFailed as error:
            self.note = clean_line(f"The reranker {self._reranker.name} is not used: {error} {error.hint}").strip()
            return []
        return made


NO_LOOK = SecondLook(None)


def reordered(rows: Sequence[Row], scores: dict[str, float]) -> list[Row]:
    """The rows with scores first, the best before the others; equal ones, and all the rest, in the order they had."""
    scored = sorted((row for row in rows if row.id in scores), key=lambda row: -scores[row.id])
    return scored + [row for row in rows if row.id not in scores]
