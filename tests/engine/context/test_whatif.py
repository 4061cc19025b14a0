from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.context.transcript import Turn
from engine.context.uses import Use
from engine.context.whatif import Look, Trial, what_if
from engine.protocol import CacheEdited, Decided, Event, Policy, ViewBuilt
from engine.told import Told, runs
from tests.engine.context.strategies import run_of
from tests.engine.played import POLICIES, STORY, act, play, played

TIGHT = 900
"""A context, reply included, that longer runs do not fit."""


def told(events: Sequence[Event]) -> Told:
    (only,) = runs(events)
    return only


def masked(trial: Trial) -> list[frozenset[int]]:
    return [step.masked for step in trial.steps]


@settings(max_examples=60)
@given(played() | played(context=TIGHT))
def test_with_the_policies_that_were_in_force_it_gives_what_was_recorded(events: Sequence[Event]) -> None:
    run = told(events)
    trial = run.under(None)
    turns = {turn.number for turn in run.transcript.turns}
    recorded = {event.turn: event.decisions for event in events if isinstance(event, Decided) and event.turn in turns}
    assert {step.turn: step.decisions for step in trial.steps} == recorded
    first: dict[int, int] = {}
    for event in events:
        if isinstance(event, ViewBuilt):
            first.setdefault(event.turn, event.tokens)
    times = Counter(event.turn for event in events if isinstance(event, Decided))
    for step in trial.steps:
        if times[step.turn] == 1:  # else a second try had less room, was told so, and masked more than the first
            assert step.tokens == first[step.turn]
    assert trial.overflow == 0


@settings(max_examples=60)
@given(played())
def test_what_there_is_to_read_is_what_was_read(events: Sequence[Event]) -> None:
    """The script's cache keeps no reply, and is read as the plans say: at most what the arithmetic says."""
    run = told(events)
    mode = run.started.model.cache
    read: dict[int, int] = {}
    tries: dict[int, int] = {}
    for event in events:
        if isinstance(event, CacheEdited):
            tries[event.turn] = tries.get(event.turn, 0) + 1
            read.setdefault(event.turn, event.decoded)
    for before, step in zip((None, *run.under(None).steps), run.under(None).steps, strict=False):
        if before is not None and tries.get(before.turn) == 1 and tries.get(step.turn) == 1:
            bound = {"strict": step.reads.strict, "carry": step.reads.carry, "carry+repair": step.reads.repair}[mode]
            assert bound - 12 <= read[step.turn] <= bound, "but for a few tokens that are the same by chance"


@given(played())
def test_off_masks_nothing_but_what_the_user_masked(events: Sequence[Event]) -> None:
    trial = told(events).under(Policy(window=0))
    reasons = {d.reason for step in trial.steps for d in step.decisions if d.state == "masked"}
    assert reasons <= {"masked by you"}
    bare = [replace(look, marks={}) for look in told(events).shown]
    turns = told(events).transcript.turns
    assert what_if(turns, bare, Policy(window=0)).masked == 0


@given(played(), POLICIES, st.integers(1, 6), st.integers(1, 6))
def test_a_wider_window_never_masks_more(events: Sequence[Event], policy: Policy, narrow: int, wider: int) -> None:
    run = told(events)
    one = run.under(replace(policy, window=narrow))
    two = run.under(replace(policy, window=narrow + wider))
    off = run.under(replace(policy, window=0))
    for less, more, least in zip(masked(two), masked(one), masked(off), strict=True):
        assert least <= less <= more
    assert set(off.regrets) <= set(two.regrets) <= set(one.regrets)
    if policy.stub == "header":
        assert one.peak <= two.peak <= off.peak


def looks(turns: Sequence[Turn], limit: int = 0) -> list[Look]:
    return [Look(number, Policy(), limit=limit) for number in range(1, len(turns) + 2)]


def test_each_window_takes_its_own() -> None:
    turns = run_of(6)
    assert masked(what_if(turns, looks(turns), Policy(window=2)))[-1] == {1, 2, 3, 4}
    assert masked(what_if(turns, looks(turns), Policy(window=5)))[-1] == {1}
    assert what_if(turns, looks(turns), Policy(window=2)).edits == 4
    assert what_if(turns, looks(turns), Policy(window=2, batch_turns=2)).edits == 2


def test_what_does_not_fit_goes_oldest_first_and_what_cannot_fit_is_told() -> None:
    turns = run_of(6)
    size = turns[0].observations[0].header_tokens + turns[0].observations[0].body_tokens
    tight = what_if(turns, looks(turns, limit=5 * size), Policy(window=0))
    assert masked(tight)[-1] and 6 not in masked(tight)[-1] and tight.overflow == 0
    assert tight.peak <= 5 * size
    assert what_if(turns, looks(turns, limit=size // 2), Policy(window=0)).overflow == 2


def test_a_regret_is_a_use_with_nothing_of_it_in_view() -> None:
    turns = run_of(6)
    uses = (Use(6, "cited", (1,), "[0:L1]"), Use(6, "cited", (1, 5), "[0:L2]"), Use(2, "quoted", (1,), "words"))
    assert what_if(turns, looks(turns), Policy(window=2), uses).regrets == uses[:1]
    assert what_if(turns, looks(turns), Policy(window=0), uses).regrets == ()


def test_a_run_without_turns_is_a_trial_without_steps() -> None:
    trial = what_if((), (), None)
    assert (trial.peak, trial.viewed, trial.masked, trial.edits, trial.steps) == (0, 0, 0, 0, ())


def test_the_answer_of_a_run_under_a_window_of_one_was_out_of_view() -> None:
    story = (*STORY[:2], act("search", query="tower"), act("search", query="lamp"), STORY[2])
    run = told(play(story, Policy(window=0)))
    assert run.under(None).regrets == ()
    regrets = run.under(Policy(window=1)).regrets
    assert ("cited", 5, (2,), "[1:L1]") in [(use.kind, use.turn, use.observations, use.what) for use in regrets]
    assert {use.turn for use in regrets} == {5}
    assert run.under(Policy(window=3)).regrets == ()
