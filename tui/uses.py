"""Whether what was read was of use: the last time each observation was cited, quoted or opened again. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from engine.protocol import Citation, Observation
from engine.quotes import passages
from tui.records import replace
from tui.state import ObservationRow, RunState, Use

_RANK = {"re-opened": 0, "quoted": 1, "cited": 2}


def phrases(text: str) -> frozenset[int]:
    """The passages of a text as hashes: they take a fifth of the room."""
    return frozenset(map(hash, passages(text)))


def reopened(run: RunState, seen: Observation, turn: int) -> RunState:
    """After an observation came: what showed some of its lines before was of use again."""
    if seen.error or not seen.uri or not seen.first:
        return run
    rows = [(place, row.observation) for place, row in enumerate(run.observations) if row.observation.uri == seen.uri]
    others = [(place, each) for place, each in rows if each.number != seen.number and each.first]
    shown = [place for place, each in others if each.first <= seen.last and seen.first <= each.last]
    return _used(run, Use("re-opened", turn), shown)


def quoted(run: RunState, text: str, turn: int) -> RunState:
    """After the model wrote ``text``: what it has phrases of."""
    said = phrases(text)
    if not said:
        return run
    apart = said.isdisjoint
    return _used(
        run, Use("quoted", turn), [place for place, row in enumerate(run.observations) if not apart(row.phrases)]
    )


def cited(run: RunState, citations: Iterable[Citation], turn: int) -> RunState:
    """After these lines were cited: what showed them."""
    held = [citation for citation in citations if citation.state != "missing"]

    def shows(row: ObservationRow) -> bool:
        seen = row.observation
        return any(
            seen.uri == each.uri and seen.first <= each.last and each.first <= seen.last for each in held if seen.first
        )

    if not held:
        return run
    return _used(run, Use("cited", turn), [place for place, row in enumerate(run.observations) if shows(row)])


def _used(run: RunState, use: Use, places: Iterable[int]) -> RunState:
    """The run with this use of the observations at ``places`` noted, where it is the latest: of one turn, the one that
    says most.
    """
    rows, turn, rank, again = list(run.observations), use.turn, _RANK[use.kind], False
    for place in places:
        row = rows[place]
        old = row.used
        if row.turn < turn and (old is None or (old.turn, _RANK[old.kind]) < (turn, rank)):
            rows[place] = replace(row, used=use)
            again = True
    return replace(run, observations=tuple(rows)) if again else run
