from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.ledger import Ledger, Row, by_kind, fold
from engine.context.masking import decide
from engine.context.transcript import Transcript
from engine.context.view import build
from engine.protocol import (
    CacheEdited,
    Decided,
    Decision,
    Event,
    ModelInfo,
    Observation,
    Observed,
    Policy,
    RunStarted,
    SegmentKind,
    SegmentTokens,
    State,
    TurnStarted,
    ViewBuilt,
)
from tests.engine.context.strategies import POLICIES, marks_on, transcripts


def folded(events: Iterable[Event], ledger: Ledger | None = None) -> Ledger:
    return reduce(fold, events, ledger or Ledger())


def observed(number: int, header: int, body: int, *, error: bool = False) -> Observed:
    return Observed(
        Observation(number, f"c{number}", "search", "h", "b", error=error, header_tokens=header, body_tokens=body)
    )


def decided(*states: State) -> Decided:
    return Decided(tuple(Decision(number, state, "") for number, state in enumerate(states, start=1)))


def view(*segments: tuple[SegmentKind, int, int], limit: int = 1000) -> ViewBuilt:
    sizes = tuple(SegmentTokens(kind, tokens, observation) for kind, tokens, observation in segments)
    return ViewBuilt(sizes, sum(tokens for _, tokens, _ in segments), limit, 100)


STARTED = RunStarted("Who?", Policy(), "default", ModelInfo("m"), 12)

RUN = (
    STARTED,
    decided(),
    view(("template", 5, 0), ("question", 20, 0)),
    CacheEdited(reused=0, decoded=25, removed=0, seconds=0.1),
    observed(1, 18, 600),
    decided("live"),
    view(("template", 9, 0), ("question", 20, 0), ("header", 18, 1), ("body", 600, 1)),
    CacheEdited(reused=25, decoded=622, removed=0, seconds=0.5),
    observed(2, 10, 90, error=True),
    decided("masked", "kept"),
    view(("template", 9, 0), ("question", 20, 0), ("header", 18, 1), ("header", 10, 2), ("body", 90, 2)),
    CacheEdited(reused=43, decoded=104, removed=600, seconds=0.2),
)


def test_a_run_from_the_first_view_to_a_mask() -> None:
    assert folded(RUN) == Ledger(
        in_view=147,
        limit=1000,
        reserved=100,
        kinds={"template": 9, "question": 20, "header": 28, "body": 90},
        rows=(
            Row(1, "masked", header=18, before=618, after=18),
            Row(2, "kept", header=10, before=100, after=100),
        ),
        saved=600,
        reused=68,
        decoded=751,
    )
    assert folded(RUN).masked == 600
    assert folded(RUN).free == 753


def test_sizes_are_replaced_and_costs_add_up() -> None:
    once, twice = folded(RUN), folded((*RUN, *RUN[-3:]))
    assert (twice.in_view, twice.masked, twice.kinds, twice.rows) == (once.in_view, once.masked, once.kinds, once.rows)
    assert (once.saved, twice.saved) == (600, 1200)
    assert twice.reused - once.reused == 43
    assert twice.decoded - once.decoded == 104


def test_a_second_try_within_a_turn_saves_nothing_twice() -> None:
    assert folded((*RUN, RUN[-2])).saved == folded(RUN).saved


def test_undoing_a_mask_puts_the_tokens_back_but_not_what_was_saved() -> None:
    ledger = folded((*RUN, decided("live", "kept")))
    assert [(row.state, row.before, row.after) for row in ledger.rows] == [("live", 618, 618), ("kept", 100, 100)]
    assert (ledger.masked, ledger.saved) == (0, 600)


def test_a_new_observation_is_shown_until_it_is_decided() -> None:
    ledger = folded((*RUN, observed(3, 5, 50), observed(4, 5, 6, error=True)))
    assert [(row.state, row.after) for row in ledger.rows[2:]] == [("live", 55), ("kept", 11)]


@pytest.mark.parametrize(("stub", "saved"), [(30, 588), (700, -82)])
def test_a_placeholder_is_counted_as_it_is_even_where_it_is_longer(stub: int, saved: int) -> None:
    ledger = folded(
        (*RUN[:9], decided("masked", "kept"), view(("header", stub, 1), ("header", 10, 2), ("body", 90, 2)))
    )
    assert ledger.rows[0].after == stub
    assert ledger.masked == ledger.saved == saved


def test_a_narrow_view_without_observations_leaves_the_rows() -> None:
    ledger = folded((*RUN, view(("system", 7, 0))))
    assert ledger.in_view == 7
    assert ledger.rows == folded(RUN).rows


def test_a_new_run_begins_empty_and_a_continued_one_goes_on() -> None:
    assert folded([STARTED], folded(RUN)) == Ledger()
    resumed = RunStarted("Who?", Policy(), "default", ModelInfo("m"), 12, resumed=True)
    assert folded([resumed], folded(RUN)) == folded(RUN)


def test_other_events_move_no_tokens() -> None:
    assert folded([TurnStarted(), decided("masked")]) == Ledger(), "nor does a decision on what was never seen"


def test_kinds_in_the_order_they_come() -> None:
    sizes = [SegmentTokens("template", 1), SegmentTokens("body", 2, 1), SegmentTokens("template", 3)]
    assert list(by_kind(sizes).items()) == [("template", 4), ("body", 2)]


@given(st.data(), transcripts(), POLICIES)
def test_masked_is_the_exact_difference_to_the_view_with_everything_in_it(
    data: st.DataObject, transcript: Transcript, policy: Policy
) -> None:
    decisions = decide(transcript.turns, policy, data.draw(marks_on(transcript)))
    whole, shown = (measured(transcript, each, policy) for each in ((), decisions))
    seen = [Observed(observation) for observation in transcript.observations()]
    ledger = folded([*seen, Decided(decisions), shown])
    assert ledger.in_view == shown.tokens
    assert ledger.in_view == sum(ledger.kinds.values())
    assert ledger.masked == ledger.saved == whole.tokens - shown.tokens
    if policy.stub == "header":
        gone = {decision.observation for decision in decisions if decision.state == "masked"}
        assert ledger.masked == sum(o.body_tokens for o in transcript.observations() if o.number in gone)


def measured(transcript: Transcript, decisions: tuple[Decision, ...], policy: Policy) -> ViewBuilt:
    """A view and its size, a token being a character."""
    segments = build(transcript, decisions, policy, system="You search.").segments()
    sizes = tuple(SegmentTokens(segment.kind, len(segment.text), segment.observation) for segment in segments)
    return ViewBuilt(sizes, sum(size.tokens for size in sizes), 4096, 256)
