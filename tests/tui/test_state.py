"""The fold: live, replayed and cut off, and whether what it says is pending is what the engine then decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import masking
from engine.context.transcript import Turn
from engine.protocol import (
    AnswerDelta,
    AnswerReady,
    CacheEdited,
    CallStarted,
    Citation,
    CitationChecked,
    Decided,
    Decision,
    EngineReady,
    EngineStopped,
    Event,
    Failed,
    IndexEnded,
    IndexProgress,
    LibraryOpened,
    Mark,
    Marked,
    ModelInfo,
    ModelLoaded,
    ModelLoading,
    Observation,
    Observed,
    Policy,
    PolicySet,
    PromptProgress,
    RunEnded,
    RunStarted,
    SessionOpened,
    ThoughtDelta,
    Timings,
    TurnEnded,
    TurnStarted,
    Unknown,
    ViewBuilt,
    decode_event,
    encode,
)
from engine.replay import without_pieces
from tests.engine import story
from tests.tui import fakes
from tui.fold import fold, fold_all
from tui.state import AppState, RunState

DELTAS = (ThoughtDelta, AnswerDelta)
MODEL = ModelInfo("tiny", context=2048)
START = RunStarted("why?", Policy(window=2), "default", MODEL, 12, session="s", run=1, at=100.0)


def seen(number: int, *, error: bool = False, tool: str = "open", uri: str = "/a.md") -> Observation:
    cursor = -1 if error else number
    return Observation(
        number, f"c{number}", tool, f"[{number}] {tool}", "", error, cursor, uri=uri, header_tokens=10, body_tokens=90
    )


def turn(number: int, *observations: Observation, before: Sequence[Event] = ()) -> tuple[Event, ...]:
    events = (
        TurnStarted(),
        *before,
        *(Observed(observation) for observation in observations),
        TurnEnded("raw", f"thought {number}", "stop", Timings(generated_tokens=20, decode_seconds=2.0)),
    )
    return tuple(dataclasses.replace(event, session="s", run=1, turn=number) for event in events)


def run_of(*events: Event) -> RunState:
    run = fold_all([START, *events]).run
    assert run is not None
    return run


# ── the law: the same events, however they come ──────────────────────────────────────────────────


@pytest.mark.parametrize("events", [fakes.RUN, story.stamped(story.FIRST)], ids=["guide", "keepers"])
def test_a_finished_run_is_the_same_without_the_streamed_pieces(events: Sequence[Event]) -> None:
    without = [event for event in events if not isinstance(event, DELTAS)]
    assert len(without) < len(events)
    assert fold_all(events) == fold_all(without)


@given(st.lists(st.text(max_size=8), max_size=5), st.lists(st.text(max_size=8), max_size=5))
def test_streamed_pieces_only_fill_the_time_until_the_whole(thoughts: list[str], answers: list[str]) -> None:
    def told(deltas: bool) -> AppState:
        streamed = [ThoughtDelta(text) for text in thoughts] + [AnswerDelta(text) for text in answers]
        before = (*(streamed if deltas else ()), AnswerReady("Because."))
        return fold_all([START, *turn(1, before=before), RunEnded("answered", 1, 2.0)])

    assert told(True) == told(False)


@given(st.integers(0, len(fakes.RUN)))
def test_what_went_through_a_pipe_or_a_journal_folds_to_the_same(cut: int) -> None:
    events = (*fakes.READY, *fakes.RUN[:cut])
    assert fold_all(decode_event(encode(event)) for event in events) == fold_all(events)


def test_folding_changes_no_earlier_state() -> None:
    states = [AppState()]
    for event in fakes.RUN:
        states.append(fold(states[-1], event))
    again = [fold_all(fakes.RUN[:length]) for length in range(len(fakes.RUN) + 1)]
    assert states == again


def test_what_was_said_before_a_call_is_no_answer() -> None:
    run = run_of(TurnStarted(turn=1), AnswerDelta("I will look."), CallStarted("1.1", "search", {"query": "x"}, turn=1))
    assert not run.answer


def test_thought_and_answer_grow_while_they_are_streamed() -> None:
    run = run_of(
        TurnStarted(turn=1), ThoughtDelta("I wo"), ThoughtDelta("nder"), AnswerDelta("Be"), AnswerDelta("cause")
    )
    assert (run.turns[0].thought, run.answer, run.answer_final) == ("I wonder", "Because", False)
    run = run_of(TurnStarted(turn=1), AnswerDelta("Be"), AnswerReady("The documents do not tell.", told=False))
    assert (run.answer, run.answer_final, run.told) == ("The documents do not tell.", True, False)


def test_a_second_try_at_a_turn_thinks_anew() -> None:
    view = ViewBuilt((), 50, 2048, 320)
    run = run_of(TurnStarted(turn=1), view, ThoughtDelta("nonsense"), view, ThoughtDelta("sense"))
    assert [row.thought for row in run.turns] == ["sense"]


# ── pending: what the next turn will show ────────────────────────────────────────────────────────

marks = st.dictionaries(st.integers(1, 12), st.sampled_from(("pin", "mask", "unmask", "none")), max_size=6)
errors_by_turn = st.lists(st.lists(st.booleans(), max_size=3), max_size=6)


@given(errors_by_turn, st.integers(0, 5), st.integers(0, 5), marks)
def test_pending_is_what_the_engine_then_decides(
    shape: list[list[bool]], first_window: int, window: int, said: dict[int, Mark]
) -> None:
    events: list[Event] = [dataclasses.replace(START, policy=Policy(window=first_window))]
    turns: list[Turn] = []
    number = 0
    for place, errors in enumerate(shape, start=1):
        observations = []
        for error in errors:
            number += 1
            observations.append(seen(number, error=error))
        decided = masking.decide(turns, Policy(window=first_window))
        events += turn(place, *observations, before=[Decided(decided)])
        turns.append(Turn(place, "", "", (), tuple(observations)))
    events.append(PolicySet(Policy(window=window)))
    events += [Marked(observation, mark) for observation, mark in said.items()]
    run = fold_all(events).run
    assert run is not None
    decisions = masking.decide(turns, Policy(window=window), said)
    assert [(row.number, row.pending) for row in run.observations] == [(d.observation, d.state) for d in decisions]
    after = fold_all([*events, TurnStarted(turn=len(shape) + 1), Decided(decisions)]).run
    assert after is not None
    assert [row.state for row in after.observations] == [row.pending for row in run.observations]


def test_a_mark_shows_at_once_and_takes_effect_with_the_next_decisions() -> None:
    read = turn(1, seen(1)) + turn(2, seen(2), before=[Decided((Decision(1, "live", "within the last 2 turns"),))])
    run = run_of(*read, Marked(1, "mask"))
    assert [(row.state, row.pending) for row in run.observations] == [("live", "masked"), ("live", "live")]
    assert run.masked_tokens == 0
    decided = Decided((Decision(1, "masked", "masked by you"), Decision(2, "live", "within the last 2 turns")), turn=3)
    run = run_of(*read, Marked(1, "mask"), TurnStarted(turn=3), decided)
    assert (run.observations[0].state, run.observations[0].masked_at, run.observations[0].reason) == (
        "masked",
        3,
        "masked by you",
    )
    assert (run.masked_tokens, run.masked_count) == (90, 1)
    assert run_of(*read, Marked(1, "mask"), Marked(1, "none")).observations[0].pending == "live"


def test_the_edge_of_the_window_counts_only_turns_that_brought_something() -> None:
    read = turn(1, seen(1)) + turn(2, seen(2, error=True)) + turn(3, seen(3), seen(4)) + turn(4, seen(5))
    assert run_of(*read).window_edge == 2
    assert run_of(*read, PolicySet(Policy(window=3))).window_edge == 0
    assert run_of(*read, PolicySet(Policy(window=0))).window_edge == 0
    assert run_of(*turn(1, seen(1, error=True)), *turn(2, seen(2)), PolicySet(Policy(window=1))).window_edge == 1
    wider = run_of(*read, PolicySet(Policy(window=1)))
    assert wider.window_edge == 4
    assert [row.pending for row in wider.observations] == ["masked", "kept", "masked", "masked", "live"]
    assert wider.policy == Policy(window=2)
    assert wider.next_policy == Policy(window=1)


def test_each_change_of_what_is_seen_leaves_a_note_with_both_sizes() -> None:
    run = run_of(
        *turn(1, seen(1, tool="search")),
        *turn(2, seen(2), before=[Decided((Decision(1, "masked", "older than 1 turn"),))]),
        *turn(3, before=[Decided((Decision(1, "masked", "older than 1 turn"),))]),
        *turn(4, before=[Decided((Decision(1, "live", "shown again by you"),))]),
    )
    assert [(note.turn, note.kind, note.text) for note in run.notes] == [
        (2, "masked", "masked 1 search  100 → 10 tokens  older than 1 turn"),
        (4, "shown", "shown again 1 search  10 → 100 tokens  shown again by you"),
    ]
    assert run.observations[0].masked_at == 0


# ── what the screens read ────────────────────────────────────────────────────────────────────────


def test_the_recorded_run_in_numbers() -> None:
    run = fold_all(fakes.RUN).run
    assert run is not None
    assert (run.running, run.ended, run.seconds, run.told) == (False, "answered", 58.0, True)
    assert [row.number for row in run.turns] == list(range(1, 8))
    assert {row.status for row in run.turns} == {"done"}
    assert [call.tool for call in run.turns[3].calls] == ["search", "find"]
    assert run.turns[3].observations == (4, 5)
    assert [row.state for row in run.observations] == ["masked", "masked", "kept", "pinned", "masked", "live", "live"]
    assert run.masked_tokens == 1904 + 2311 + 412
    assert (run.limit, run.reserved) == (8192, 1024)
    assert run.tokens == sum(segment.tokens for segment in run.segments)
    assert run.decoded == 7 * 240
    assert run.speed == pytest.approx(72 / 2.4)


def test_sources_are_documents_once_each_with_what_was_read_of_them() -> None:
    run = fold_all(fakes.RUN).run
    assert run is not None
    guide, keys = run.sources()
    assert (guide.uri, guide.title, guide.cursors, guide.cited) == ("docs/masking.md", "Masking", (1, 1, 1), True)
    assert (keys.uri, keys.cited) == ("docs/keys.md", True)
    missing = Citation("[2:L1]", "So.", 2, 1, 1, "/b.md", state="missing")
    run = run_of(*turn(1, seen(1, error=True), seen(2, uri="/b.md"), before=[CitationChecked(missing)]))
    assert [(row.uri, row.cited, row.tokens) for row in run.sources()] == [("/b.md", False, 100)]


def test_a_turn_passes_from_reading_to_done() -> None:
    steps = (
        (TurnStarted(turn=1), "reading"),
        (PromptProgress(64, 512), "reading"),
        (CacheEdited(10, 502, 0, 0.5), "thinking"),
        (story.FIRST[4], "calling"),
        (TurnEnded("raw", "t", "stop", Timings()), "done"),
    )
    state, statuses, progress = fold(AppState(), START), [], []
    for event, _ in steps:
        state = fold(state, event)
        assert state.run is not None
        statuses.append(state.run.turns[-1].status)
        progress.append((state.run.turns[-1].read, state.run.turns[-1].to_read))
    assert statuses == [status for _, status in steps]
    assert progress[1] == (64, 512)
    assert progress[-1] == (0, 0)


def test_a_view_of_evidence_alone_does_not_move_the_meter() -> None:
    turn_view, evidence = ViewBuilt((), 900, 2048, 320), ViewBuilt((), 80, 2048, 320, "evidence")
    run = run_of(TurnStarted(turn=1), turn_view, evidence)
    assert (run.tokens, run.turns[0].view_tokens) == (900, 900)


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def test_a_follow_up_puts_the_first_question_behind_it_and_keeps_marks() -> None:
    state = fold_all(story.WHOLE)
    assert state.run is not None
    assert [run.question for run in state.earlier] == ["Who was the first keeper?"]
    assert (state.run.question, state.session, state.title) == (
        "And the second?",
        story.SESSION,
        state.earlier[0].question,
    )
    assert state.run.marks == {1: "none"}
    other = fold(state, dataclasses.replace(START, session="another"))
    assert (other.session, other.title, other.earlier) == ("another", "why?", ())
    assert other.run is not None and other.run.marks == {}


def test_a_cut_off_session_opens_as_one_that_can_go_on() -> None:
    state = fold_all([*story.WHOLE, SessionOpened("Keepers", True, session=story.SESSION)])
    assert state.run is not None
    assert (state.can_continue, state.title, state.run.running) == (True, "Keepers", False)
    assert [row.status for row in state.run.turns] == ["done", "stopped"]


def test_continuing_drops_the_unfinished_turn_and_goes_on_in_the_same_run() -> None:
    told = dataclasses.replace(story.SECOND[0], resumed=True, session=story.SESSION)
    state = fold_all([*story.WHOLE, SessionOpened("Keepers", True, session=story.SESSION), told])
    assert state.run is not None
    assert (state.run.number, state.run.running, state.can_continue) == (2, True, False)
    assert [row.number for row in state.run.turns] == [1]
    assert [row.number for row in state.run.observations] == [4]
    assert len(state.earlier) == 1


def test_a_continued_run_has_the_policy_it_was_continued_with() -> None:
    read = turn(1, seen(1)) + turn(2, seen(2))[:-1]
    cut = run_of(*read, PolicySet(Policy(window=1)), EngineStopped("it was killed"))
    assert [row.pending for row in cut.observations] == ["masked", "live"]
    again = dataclasses.replace(START, resumed=True, policy=Policy(window=1))
    run = run_of(*read, EngineStopped("it was killed"), again)
    assert (run.policy, run.next_policy) == (Policy(window=1), Policy(window=1))
    assert [(row.number, row.pending) for row in run.observations] == [(1, "live")], "2 went with its turn"
    run = run_of(*read, PolicySet(Policy(window=1)), EngineStopped("it was killed"), again)
    assert [(row.number, row.pending) for row in run.observations] == [(1, "live")]


# ── the engine and the library ───────────────────────────────────────────────────────────────────


def test_a_lost_engine_ends_the_run_and_says_why() -> None:
    events = (EngineReady(protocol=1, version="0", pid=1), *fakes.RUNNING)
    state = fold_all([*events, EngineStopped("it was ended by SIGKILL", restarting=True)])
    assert state.run is not None
    assert (state.connection, state.problem, state.can_continue) == ("starting", "it was ended by SIGKILL", True)
    assert (state.run.running, state.run.turns[-1].status) == (False, "stopped")
    assert "it was ended by SIGKILL" in state.run.notes[-1].text and state.run.notes[-1].kind == "error"
    assert fold(state, EngineReady(protocol=1, version="0", pid=2)).connection == "ready"
    assert fold(state, EngineStopped("again", restarting=False)).connection == "lost"


def test_model_library_and_indexing() -> None:
    progress = IndexProgress("default", "read", 1, 3)
    ended = IndexEnded("default", 3, 0, 0, 0, {}, (), 9, 1.0)
    opened = LibraryOpened("default", 3, 9, 9)
    state = fold_all([ModelLoading("tiny"), progress])
    assert (state.model_loading, state.indexing, state.model) == ("tiny", progress, None)
    state = fold_all([ModelLoaded(MODEL, 1.0), ended, opened], state)
    assert (state.model_loading, state.model, state.indexing, state.indexed) == ("", MODEL, None, ended)
    assert state.library == opened
    assert fold(state, progress).indexed is None


def test_failures_are_kept_and_noted_beside_the_run_they_met() -> None:
    failed = Failed("ModelMissing", "There is no model.", "Install one.")
    assert fold_all([ModelLoading("tiny"), failed]) == AppState(failures=(failed,))
    run = fold_all([START, TurnStarted(turn=1), failed]).run
    assert run is not None
    assert [(note.turn, note.kind, note.text) for note in run.notes] == [(1, "error", "There is no model.")]


def test_unknown_events_are_kept_and_change_nothing_else() -> None:
    strange = decode_event('{"kind":"Sparkled","stars":3,"session":"s1"}')
    assert isinstance(strange, Unknown)
    before = fold_all(fakes.RUNNING)
    assert fold(before, strange) == dataclasses.replace(before, unknown=(strange,))


@given(st.lists(st.sampled_from([*fakes.RUN, *story.WHOLE, *fakes.READY, EngineStopped("x")]), max_size=25))
def test_events_in_any_order_fold(events: list[Event]) -> None:
    state = fold_all(events)
    ids = [event.session for event in events if isinstance(event, RunStarted)]
    assert state.session == (ids[-1] if ids else "")
    assert (state.run is not None) == bool(ids)


@pytest.mark.parametrize("told", [fakes.RUN, fakes.RUNNING])
def test_a_session_told_again_leaves_out_the_pieces_of_what_it_tells_whole(told: Sequence[Event]) -> None:
    again = list(without_pieces(told))
    assert len(again) < len(told)
    assert fold_all(again) == fold_all(told)
