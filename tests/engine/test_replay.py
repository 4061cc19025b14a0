from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.transcript import Exchange
from engine.protocol import Event, Policy, RunEnded, RunStarted, TurnEnded
from engine.replay import past_of, story
from tests.engine.story import FIRST, MODEL, WHOLE


def test_a_finished_run_is_its_turns_whole() -> None:
    past = past_of(FIRST)
    assert [turn.number for turn in past.transcript.turns] == [1, 2, 3]
    assert [call.tool for call in past.transcript.turns[0].calls] == ["search", "open"]
    assert [observation.number for observation in past.transcript.observations()] == [1, 2, 3]
    assert (past.run, past.unfinished, past.next_observation, past.max_turns) == (1, False, 4, 6)
    assert past.transcript.history == ()


def test_a_follow_up_knows_what_was_asked_and_answered() -> None:
    following = past_of(FIRST).follow_up("And the second?")
    assert following.question == "And the second?" and following.turns == ()
    assert following.history == (Exchange("Who was the first keeper?", "The first keeper was Ada Quill [1:L1]."),)


def test_a_cut_turn_is_dropped_but_its_number_is_used_up() -> None:
    past = past_of(WHOLE)
    assert past.unfinished and past.run == 2 and past.library == "guide"
    assert [observation.number for observation in past.transcript.observations()] == [4]
    assert past.next_observation == 6, "observation 5 was shown; its number must not come back as another"
    assert len(past.transcript.history) == 1
    assert past.policy == Policy(window=9), "what the user chose last is what a continued run uses"


def test_marks_last_through_the_session() -> None:
    upto = [event for event in FIRST if event.turn < 3][:10]
    assert past_of(upto).marks == {1: "pin"}
    assert past_of(WHOLE).marks.get(1, "none") == "none"


def test_a_resumed_run_goes_on_with_its_turns() -> None:
    again = RunStarted("And the second?", Policy(window=3), "guide", MODEL, 5, resumed=True, run=2)
    past = past_of((*WHOLE, again))
    assert [turn.number for turn in past.transcript.turns] == [1]
    assert (past.unfinished, past.policy.window) == (True, 3)
    assert len(past.transcript.history) == 1


@pytest.mark.parametrize(
    ("why", "unfinished"), [("answered", False), ("not_told", False), ("stopped", True), ("failed", True)]
)
def test_only_an_answer_finishes_a_run(why: str, unfinished: bool) -> None:
    assert past_of((*WHOLE, RunEnded(why, 1, 1.0, run=2))).unfinished is unfinished


@given(st.integers(0, len(WHOLE)))
def test_any_beginning_keeps_all_finished_turns_of_the_run(cut: int) -> None:
    events = WHOLE[:cut]
    past = past_of(events)
    run = max((event.run for event in events), default=0)
    finished = [event.turn for event in events if isinstance(event, TurnEnded) and event.run == run]
    assert [turn.number for turn in past.transcript.turns] == finished
    ended = any(isinstance(event, RunEnded) and event.run == run for event in events)
    assert past.unfinished == (bool(events) and not ended)


@given(st.lists(st.sampled_from(WHOLE), max_size=40))
def test_holes_and_disorder_never_raise(events: list[Event]) -> None:
    assert len(list(story(events))) == len(events)


def test_numbers_that_were_not_stamped_by_a_recorder_do_no_harm() -> None:
    assert (
        past_of([replace(event, run=0, turn=0) for event in FIRST]).transcript.question == "Who was the first keeper?"
    )
