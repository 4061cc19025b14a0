"""The token ledger: what is in the model's view now, what masking took out of it, and what the run has cost so far.

Sizes and sums are kept apart. What is *in view* is a size, replaced at every turn. ``saved``, ``reused`` and ``decoded``
are sums over the turns of a run: they say what work was done or spared, never how full the context is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from engine.protocol import (
    CacheEdited,
    Decided,
    Event,
    Observation,
    Observed,
    RunStarted,
    SegmentKind,
    SegmentTokens,
    State,
    ViewBuilt,
)


@dataclass(frozen=True)
class Row:
    """One observation's tokens: ``before`` as it came, ``after`` as the model sees it now."""

    observation: int
    state: State
    header: int
    before: int
    after: int

    @property
    def saved(self) -> int:
        """Tokens the view is smaller by. The paper's placeholder can be longer than what it replaces: then negative."""
        return self.before - self.after


@dataclass(frozen=True)
class Ledger:
    """The tokens of a run. ``in_view``, ``limit``, ``reserved`` and ``kinds`` are those of the last view built.

    ``saved``, ``reused`` and ``decoded`` are sums over the run: prompt tokens that masking left out of the views, that
    were in the cache already, and that had to be read.
    """

    in_view: int = 0
    limit: int = 0
    reserved: int = 0
    kinds: Mapping[SegmentKind, int] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    saved: int = 0
    reused: int = 0
    decoded: int = 0
    turn: int = 0

    @property
    def masked(self) -> int:
        """Tokens that masking keeps out of the view now."""
        return sum(row.saved for row in self.rows)

    @property
    def free(self) -> int:
        """Tokens left in the context beside the view and the room for the reply; negative where it does not fit."""
        return self.limit - self.reserved - self.in_view


def fold(ledger: Ledger, event: Event) -> Ledger:
    """The ledger after ``event``. A new run begins an empty one; events that move no tokens change nothing."""
    match event:
        case RunStarted(resumed=False):
            return Ledger()
        case Observed(observation):
            return replace(ledger, rows=(*ledger.rows, _row(observation)))
        case Decided(decisions):
            states = {decision.observation: decision.state for decision in decisions}
            decided = replace(ledger, rows=tuple(_decide(row, states.get(row.observation)) for row in ledger.rows))
            again = event.turn != 0 and event.turn == ledger.turn  # a second try at the turn
            saved = ledger.saved + decided.masked - (ledger.masked if again else 0)
            return replace(decided, saved=saved, turn=event.turn)
        case ViewBuilt(segments, tokens, limit, reserved, purpose="turn"):
            shown = Counter[int]()
            for segment in segments:
                shown[segment.observation] += segment.tokens
            built = replace(ledger, rows=tuple(_measure(row, shown) for row in ledger.rows))
            return replace(
                built,
                in_view=tokens,
                limit=limit,
                reserved=reserved,
                kinds=by_kind(segments),
                saved=ledger.saved + built.masked - ledger.masked,
            )
        case CacheEdited(reused=reused, decoded=decoded):
            return replace(ledger, reused=ledger.reused + reused, decoded=ledger.decoded + decoded)
        case _:
            return ledger


def by_kind(segments: Iterable[SegmentTokens]) -> dict[SegmentKind, int]:
    """Tokens of each kind of segment, in the order in which the kinds first appear."""
    tokens: Counter[SegmentKind] = Counter()
    for segment in segments:
        tokens[segment.kind] += segment.tokens
    return dict(tokens)


def _row(observation: Observation) -> Row:
    state: State = "kept" if observation.error else "live"
    whole = observation.header_tokens + observation.body_tokens
    return Row(observation.number, state, observation.header_tokens, before=whole, after=whole)


def _decide(row: Row, state: State | None) -> Row:
    if state is None:
        return row
    return replace(row, state=state, after=row.header if state == "masked" else row.before)


def _measure(row: Row, shown: Mapping[int, int]) -> Row:
    """What stays of a masked observation need not be its header: count what the view really holds of it."""
    if row.state != "masked" or row.observation not in shown:
        return row
    return replace(row, after=shown[row.observation])
