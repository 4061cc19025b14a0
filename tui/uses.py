"""Whether what was read was of use: the last time each observation was cited, quoted or opened again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

from engine.protocol import Citation, Observation
from engine.quotes import passages
from tui.state import ObservationRow, RunState, Use

_RANK = {"re-opened": 0, "quoted": 1, "cited": 2}


@lru_cache(maxsize=4096)
def phrases(text: str) -> frozenset[int]:
    """The passages of a text as hashes: they take a fifth of the room."""
    return frozenset(map(hash, passages(text)))


def reopened(run: RunState, seen: Observation, turn: int) -> RunState:
    """After an observation came: what showed some of its lines before was of use again."""
    if seen.error or not seen.uri or not seen.first:
        return run
    return _used(run, Use("re-opened", turn), lambda row: row.number != seen.number and _overlaps(row, seen))


def quoted(run: RunState, text: str, turn: int) -> RunState:
    """After the model wrote ``text``: what it has phrases of."""
    said = phrases(text)
    if not said:
        return run
    return _used(run, Use("quoted", turn), lambda row: not said.isdisjoint(phrases(row.observation.body)))


def cited(run: RunState, citations: Iterable[Citation], turn: int) -> RunState:
    """After these lines were cited: what showed them."""
    held = [citation for citation in citations if citation.state != "missing"]

    def shows(row: ObservationRow) -> bool:
        seen = row.observation
        return any(
            seen.uri == each.uri and seen.first <= each.last and each.first <= seen.last for each in held if seen.first
        )

    return _used(run, Use("cited", turn), shows) if held else run


def _overlaps(row: ObservationRow, seen: Observation) -> bool:
    before = row.observation
    return bool(before.first) and before.uri == seen.uri and before.first <= seen.last and seen.first <= before.last


def _used(run: RunState, use: Use, by: Callable[[ObservationRow], bool]) -> RunState:
    """The run with this use noted, where it is the latest: of one turn, the one that says most."""

    def later(old: Use | None) -> bool:
        return old is None or (old.turn, _RANK[old.kind]) < (use.turn, _RANK[use.kind])

    found = {row.number for row in run.observations if row.turn < use.turn and by(row) and later(row.used)}
    if not found:
        return run
    rows = tuple(replace(row, used=use) if row.number in found else row for row in run.observations)
    return replace(run, observations=rows)
