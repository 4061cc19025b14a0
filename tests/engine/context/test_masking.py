from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.masking import decide
from engine.context.reference import mask_messages
from engine.context.transcript import Transcript
from engine.protocol import Decision, Mark, Policy
from engine.window import cutoff
from tests.engine.context.strategies import POLICIES, marks_on, observation, run_of, transcripts, turn


def states(decisions: Sequence[Decision]) -> list[str]:
    return [decision.state for decision in decisions]


def masked(decisions: Sequence[Decision]) -> list[int]:
    return [decision.observation for decision in decisions if decision.state == "masked"]


# ── the window ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("window", "gone"),
    [(-1, []), (0, []), (1, [1, 2, 3, 4]), (3, [1, 2]), (4, [1]), (5, []), (6, []), (10000, [])],
)
def test_the_last_turns_of_the_window_stay(window: int, gone: list[int]) -> None:
    assert masked(decide(run_of(5), Policy(window))) == gone


def test_a_turn_of_errors_does_not_count_and_its_observations_are_kept() -> None:
    decisions = decide(run_of(5, errors=[3, 4]), Policy(2))
    assert states(decisions) == ["masked", "live", "kept", "kept", "live"]
    assert decisions[2].reason == "error, kept"


def test_one_good_call_makes_a_turn_count_and_parallel_calls_make_one_turn() -> None:
    turns = (
        turn(1, observation(1), observation(2)),
        turn(2, observation(3, error=True), observation(4)),
        turn(3, observation(5), observation(6)),
    )
    assert states(decide(turns, Policy(2))) == ["masked", "masked", "kept", "live", "live", "live"]


def test_turns_without_observations_neither_count_nor_get_a_decision() -> None:
    turns = (turn(1, observation(1)), turn(2), turn(3, observation(2)), turn(4))
    assert decide(turns, Policy(2)) == decide(turns[::2], Policy(2))


@pytest.mark.parametrize(
    ("window", "reasons"),
    [
        (0, ["masking is off"] * 3),
        (1, ["older than 1 turn", "older than 1 turn", "within the last 1 turn"]),
        (2, ["older than 2 turns", "within the last 2 turns", "within the last 2 turns"]),
    ],
)
def test_reasons_are_words_for_a_person(window: int, reasons: list[str]) -> None:
    assert [decision.reason for decision in decide(run_of(3), Policy(window))] == reasons


# ── batches ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("turns", "batch", "tokens", "gone"),
    [
        (7, 0, 0, [1, 2, 3, 4]),  # at once
        (7, 1, 0, [1, 2, 3, 4]),
        (7, 3, 0, [1, 2, 3]),  # the fourth waits for two more
        (8, 3, 0, [1, 2, 3]),
        (9, 3, 0, [1, 2, 3, 4, 5, 6]),
        (6, 4, 0, []),
        (7, 0, 25, [1, 2, 3]),  # ten tokens each: three of them make a batch
        (7, 2, 25, [1, 2, 3, 4]),  # whichever is reached first
        (7, 9, 35, [1, 2, 3, 4]),
    ],
)
def test_a_batch_goes_when_it_is_full(turns: int, batch: int, tokens: int, gone: list[int]) -> None:
    run = tuple(turn(n, replace(observation(n), body_tokens=10)) for n in range(1, turns + 1))
    assert masked(decide(run, Policy(3, batch_turns=batch, batch_tokens=tokens))) == gone


def test_what_waits_for_its_batch_says_so() -> None:
    assert decide(run_of(3), Policy(2, batch_turns=2))[0] == Decision(
        1, "live", "older than 2 turns, goes with the next batch"
    )


@given(transcripts(), st.integers(1, 4), st.integers(0, 4), st.integers(0, 40))
def test_a_batch_only_puts_off(transcript: Transcript, window: int, turns: int, tokens: int) -> None:
    at_once = set(masked(decide(transcript.turns, Policy(window))))
    batched = set(masked(decide(transcript.turns, Policy(window, batch_turns=turns, batch_tokens=tokens))))
    assert batched <= at_once
    waiting = at_once - batched
    own = {
        each.number: (each.body_tokens, index)
        for index, turn in enumerate(transcript.turns)
        for each in turn.observations
    }
    if turns > 1 or tokens:
        assert turns == 0 or len({own[number][1] for number in waiting}) < turns
        assert tokens == 0 or sum(own[number][0] for number in waiting) < tokens
    else:
        assert not waiting


def test_an_observation_without_a_body_is_decided_like_any_other() -> None:
    turns = (turn(1, observation(1, body="")), turn(2, observation(2)))
    assert states(decide(turns, Policy(1))) == ["masked", "live"]


def test_nothing_to_decide() -> None:
    assert decide((), Policy(1)) == ()
    assert decide((), Policy(1), room=0) == ()


@given(st.lists(st.integers(1, 100), unique=True).map(sorted), st.integers(-3, 12))
def test_the_window_begins_at_a_counted_place_or_nowhere(effective: list[int], window: int) -> None:
    start = cutoff(effective, window)
    if window <= 0 or window > len(effective):
        assert start == 0
    else:
        assert sum(place >= start for place in effective) == window


@given(transcripts(), st.integers(-1, 5))
def test_the_rule_is_the_papers(transcript: Transcript, window: int) -> None:
    messages, errors, places = as_the_paper_writes_it(transcript)
    changed = [before != after for before, after in zip(messages, mask_messages(messages, window, errors), strict=True)]
    theirs = [number for place, number in places.items() if changed[place]]
    assert masked(decide(transcript.turns, Policy(window))) == theirs


def as_the_paper_writes_it(transcript: Transcript) -> tuple[list[dict[str, object]], set[str], dict[int, int]]:
    """The turns as messages, the ids of failed calls, and which observation is at which place."""
    messages: list[dict[str, object]] = [{"role": "user", "content": transcript.question}]
    places: dict[int, int] = {}
    for each in transcript.turns:
        calls = [
            {"id": call.id, "function": {"name": f"browser.{call.tool}", "arguments": dict(call.arguments)}}
            for call in each.calls
        ]
        messages.append({"role": "assistant", "content": each.raw, "tool_calls": calls})
        for seen in each.observations:
            places[len(messages)] = seen.number
            messages.append({"role": "tool", "tool_call_id": seen.call, "content": seen.body})
    return messages, {seen.call for seen in transcript.observations() if seen.error}, places


def test_a_page_that_quotes_the_papers_marker_is_masked_all_the_same() -> None:
    turns = (turn(1, observation(1, body="[Auto-archived browser result]")), turn(2, observation(2)))
    assert masked(decide(turns, Policy(1))) == [1]


# ── the user's word ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mark", "number", "state", "reason"),
    [
        ("pin", 1, "pinned", "pinned by you"),
        ("pin", 4, "pinned", "pinned by you"),
        ("mask", 4, "masked", "masked by you"),
        ("mask", 1, "masked", "masked by you"),
        ("unmask", 1, "live", "shown again by you"),
        ("none", 1, "masked", "older than 2 turns"),
        ("none", 4, "live", "within the last 2 turns"),
        ("pin", 2, "kept", "error, kept"),
        ("unmask", 2, "kept", "error, kept"),
        ("mask", 2, "masked", "masked by you"),
    ],
)
def test_a_mark_overrides_the_rule(mark: Mark, number: int, state: str, reason: str) -> None:
    unmarked, marked = (decide(run_of(4, errors=[2]), Policy(2), marks) for marks in ({}, {number: mark}))
    decision = marked[number - 1]
    assert (decision.state, decision.reason) == (state, reason)
    assert [d for d in marked if d.observation != number] == [d for d in unmarked if d.observation != number]


def test_a_mark_on_an_observation_of_another_question_changes_nothing() -> None:
    assert decide(run_of(3), Policy(2), {99: "mask"}) == decide(run_of(3), Policy(2))


# ── the room ─────────────────────────────────────────────────────────────────────────────────────

SIZES = dict.fromkeys(range(1, 6), 100)


@pytest.mark.parametrize(("room", "gone"), [(500, []), (499, [1]), (400, [1]), (399, [1, 2]), (100, [1, 2, 3, 4])])
def test_what_does_not_fit_is_masked_oldest_first(room: int, gone: list[int]) -> None:
    decisions = decide(run_of(5), Policy(0), sizes=SIZES, room=room)
    assert masked(decisions) == gone
    assert all(d.reason == "no room: oldest first" for d in decisions if d.state == "masked")


def test_the_newest_turn_stays_even_where_it_does_not_fit() -> None:
    turns = (*run_of(3), turn(4, observation(4), observation(5)))
    assert masked(decide(turns, Policy(0), sizes=SIZES, room=0)) == [1, 2, 3]


def test_pinned_ones_and_errors_stay_but_take_room() -> None:
    decisions = decide(run_of(5, errors=[2]), Policy(0), {1: "pin"}, sizes=SIZES, room=300)
    assert states(decisions) == ["pinned", "kept", "masked", "masked", "live"]


def test_what_the_window_masked_takes_no_room() -> None:
    decisions = decide(run_of(5), Policy(2), sizes=SIZES, room=200)
    assert masked(decisions) == [1, 2, 3]
    assert {decision.reason for decision in decisions[:3]} == {"older than 2 turns"}


def test_an_observation_that_would_free_nothing_is_left_alone() -> None:
    assert masked(decide(run_of(3), Policy(0), sizes={2: 100, 3: 100}, room=100)) == [2]


def test_without_sizes_the_observations_own_counts_are_used() -> None:
    turns = run_of(3)
    body = turns[0].observations[0].body_tokens
    assert body > 0
    assert masked(decide(turns, Policy(0), room=3 * body)) == []
    assert masked(decide(turns, Policy(0), room=2 * body)) == [1]


# ── for any run ──────────────────────────────────────────────────────────────────────────────────


@given(st.data(), transcripts(), POLICIES)
def test_one_decision_for_each_observation_oldest_first(
    data: st.DataObject, transcript: Transcript, policy: Policy
) -> None:
    decisions = decide(transcript.turns, policy, data.draw(marks_on(transcript)))
    assert [d.observation for d in decisions] == [o.number for o in transcript.observations()]


@given(transcripts(), POLICIES)
def test_once_masked_stays_masked(transcript: Transcript, policy: Policy) -> None:
    before: set[int] = set()
    for count in range(len(transcript.turns) + 1):
        now = set(masked(decide(transcript.turns[:count], policy)))
        assert before <= now
        before = now


@given(transcripts(), st.integers(0, 5))
def test_a_wider_window_masks_no_more(transcript: Transcript, window: int) -> None:
    narrow, wide = (set(masked(decide(transcript.turns, Policy(k)))) for k in (window + 1, window + 2))
    assert wide <= narrow


@given(st.data(), transcripts(), POLICIES, st.integers(0, 200))
def test_room_masks_no_more_than_it_must(
    data: st.DataObject, transcript: Transcript, policy: Policy, room: int
) -> None:
    marks = data.draw(marks_on(transcript))
    roomy, tight = (decide(transcript.turns, policy, marks, room=limit) for limit in (None, room))
    sizes = {o.number: o.body_tokens for o in transcript.observations()}
    newest = {o.number for turn in transcript.turns[-1:] for o in turn.observations}
    live = [d.observation for d in roomy if d.state == "live"]
    may_go = [number for number in live if sizes[number] and number not in newest]
    gone = [now.observation for was, now in zip(roomy, tight, strict=True) if was != now]
    assert gone == may_go[: len(gone)], "oldest first, and nothing protected"
    used = sum(sizes[d.observation] for d in tight if d.state != "masked")
    assert used <= room or gone == may_go, "it fits, or everything that may go is gone"
    assert not gone or used + sizes[gone[-1]] > room, "the last one had to go too"
