"""The fold over long runs: what it skips because nothing can have changed is what folding everything anew would give."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from engine.protocol import (
    Citation,
    CitationChecked,
    Decided,
    Decision,
    Event,
    Marked,
    ModelInfo,
    Observation,
    Observed,
    Policy,
    PolicySet,
    RunStarted,
    SegmentTokens,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)
from engine.protocol import Timings as Times
from tui.fold import fold, fold_all, with_pending
from tui.records import replace
from tui.state import AppState, RunState, first_turn_inside

START = RunStarted("why?", Policy(window=2), "default", ModelInfo("tiny"), 12, session="s", run=1)
WORDS = ("the lamp of the tower is lit", "by the keeper who rows out with oil", "flour and letters came on the boat")

_policies = st.builds(
    Policy, window=st.integers(0, 4), stub=st.sampled_from(["header", "paper"]), batch_turns=st.integers(0, 3)
)
_steps = st.one_of(
    st.tuples(st.just("turn"), st.none()),
    st.tuples(st.just("see"), st.tuples(st.booleans(), st.integers(0, 2), st.integers(1, 3))),
    st.tuples(
        st.just("mark"), st.builds(Marked, st.integers(1, 9), st.sampled_from(["pin", "mask", "unmask", "none"]))
    ),
    st.tuples(st.just("policy"), _policies),
    st.tuples(st.just("decide"), st.lists(st.sampled_from(["live", "masked", "pinned", "kept"]), max_size=12)),
    st.tuples(st.just("say"), st.sampled_from(WORDS)),
    st.tuples(st.just("cite"), st.integers(0, 2)),
)


def events_of(steps: list[tuple[str, object]]) -> list[Event]:
    events: list[Event] = [START]
    turn = number = 0
    for kind, what in steps:
        match kind, what:
            case "turn", _:
                turn += 1
                events.append(TurnStarted(turn=turn))
            case "see", (bool(error), int(page), int(first)):
                number += 1
                seen = Observation(
                    number, f"c{number}", "open", f"[{number}]", WORDS[page], error, number, uri=f"/{page}.md",
                    first=first, last=first + 1, header_tokens=10, body_tokens=90,
                )  # fmt: skip
                events.append(Observed(seen, turn=turn))
            case "mark", Marked() as marked:
                events.append(dataclasses.replace(marked, turn=turn))
            case "policy", Policy() as policy:
                events.append(PolicySet(policy, turn=turn))
            case "decide", list(states):
                decided = tuple(Decision(place, state, "why") for place, state in enumerate(states, 1))
                pieces = tuple(SegmentTokens("header", 7, place) for place in range(1, number + 1))
                events += [Decided(decided, turn=turn), ViewBuilt(pieces, 90, 2048, 100, turn=turn)]
            case "say", str(text):
                events.append(TurnEnded(text, "", "stop", Times(), turn=turn))
            case "cite", int(page):
                cited = Citation("[1:L1-L1]", "s", 1, 1, 1, f"/{page}.md", state="verified")
                events.append(CitationChecked(cited, turn=turn))
    return [dataclasses.replace(event, session="s", run=1) for event in events]


def the_run(state: AppState) -> RunState:
    assert state.run is not None
    return state.run


@given(st.lists(_steps, max_size=40))
def test_what_is_pending_after_each_observation_is_what_a_look_at_all_of_them_gives(
    steps: list[tuple[str, object]],
) -> None:
    state = AppState()
    for event in events_of(steps):
        state = fold(state, event)
        run = the_run(state)
        if isinstance(event, Observed | Marked | PolicySet):
            assert run.observations == with_pending(run).observations
            assert run.edge == first_turn_inside(run)


@given(st.lists(_steps, max_size=40), st.data())
def test_a_state_is_not_touched_by_what_is_folded_into_it(steps: list[tuple[str, object]], data: st.DataObject) -> None:
    events = events_of(steps)
    cut = data.draw(st.integers(0, len(events)))
    whole = fold_all(events)
    part = fold_all(events[:cut])
    before = repr(part)
    assert fold_all(events[cut:], part) == whole
    assert fold_all(events[cut:], part) == whole
    assert repr(part) == before


@given(st.lists(_steps, max_size=40))
def test_the_tokens_kept_out_of_the_view_are_those_of_the_rows(steps: list[tuple[str, object]]) -> None:
    run = the_run(fold_all(events_of(steps)))
    assert run.masked_tokens == sum(row.before - row.after for row in run.observations)


@given(st.lists(_steps, max_size=20), st.booleans(), st.text(max_size=5))
def test_a_changed_state_is_what_dataclasses_would_make_of_it(
    steps: list[tuple[str, object]], running: bool, answer: str
) -> None:
    run = the_run(fold_all(events_of(steps)))
    other = replace(run, running=running, answer=answer)
    assert other == dataclasses.replace(run, running=running, answer=answer)
    assert vars(other).keys() == vars(run).keys()


def test_only_the_rows_at_the_edge_of_the_window_become_new_ones() -> None:
    steps: list[tuple[str, object]] = [("turn", None), ("see", (False, 0, 1))]
    before = the_run(fold_all(events_of(steps * 30)))
    again = the_run(fold(AppState(run=before), TurnStarted(turn=31)))
    seen = Observation(31, "c31", "open", "[31]", "other", cursor=31, uri="/other.md", first=1, last=2)
    grown = the_run(fold(AppState(run=again), Observed(seen, turn=31)))
    same = [one is other for one, other in zip(before.observations, grown.observations, strict=False)]
    assert same.count(False) == 1 and not same[28]
