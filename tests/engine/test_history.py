"""Undo and redo: what is taken back is taken back whole, and a journal replays to what was live, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from engine import replay, steering
from engine.agent.loop import Controls
from engine.context import masking, view
from engine.context.transcript import Transcript
from engine.history import History, remember
from engine.protocol import (
    CallStarted,
    Event,
    Mark,
    Marked,
    ModelInfo,
    Observed,
    Policy,
    PolicySet,
    Redo,
    RunStarted,
    SetMark,
    SetMasking,
    Timings,
    TurnEnded,
    TurnStarted,
    Undo,
    decode_event,
    encode,
)
from tests.engine.context.strategies import POLICIES, transcripts

MARKS: st.SearchStrategy[Mark] = st.sampled_from(["pin", "mask", "unmask", "none"])
Said = steering.Steer | Literal["turn"]


@st.composite
def sayings(draw: st.DrawFn, numbers: list[int]) -> list[Said]:
    """What a user does in a run, and where turns end in between."""
    some = st.sampled_from(numbers or [1])
    marks = st.builds(SetMark, some, MARKS, st.lists(some, max_size=3).map(tuple))
    changes = st.one_of(
        marks, marks, st.builds(SetMasking, POLICIES), st.just(Undo()), st.just(Undo()), st.just(Redo())
    )
    return draw(st.lists(st.one_of(changes, changes, st.just("turn")), max_size=25))


class Live:
    """A run as the engine steers it: controls that a loop would read, and the journal of what was told."""

    def __init__(self, transcript: Transcript, policy: Policy) -> None:
        self.whole = transcript
        self.controls = Controls(policy)
        self.history = History()
        self.journal: list[Event] = []
        self.shown = replace(transcript, turns=())
        self.tell(RunStarted(transcript.question, policy, "l", ModelInfo("m"), 9, run=1))

    def tell(self, event: Event) -> None:
        self.journal.append(decode_event(encode(replace(event, session="s", run=1))))
        self.history = remember(self.history, self.journal[-1])

    def say(self, command: Said) -> None:
        if command == "turn":
            return self.turn()
        policy = command.policy if isinstance(command, SetMasking) else Policy()
        for event in steering.changes(command, self.history, policy):
            steering.apply(self.controls, event)
            self.tell(event)
        return None

    def turn(self) -> None:
        """The next turn of the transcript happens."""
        number = len(self.shown.turns)
        if number == len(self.whole.turns):
            return
        turn = self.whole.turns[number]
        self.tell(TurnStarted(turn=turn.number))
        for call in turn.calls:
            self.tell(CallStarted(call.id, call.tool, call.arguments, turn=turn.number))
        for observation in turn.observations:
            self.tell(Observed(observation, turn=turn.number))
        self.tell(TurnEnded(turn.raw, turn.thought, "stop", Timings(), turn=turn.number))
        self.shown = self.shown.add(turn)

    def text(self) -> bytes:
        return _text(self.shown, self.controls.policy, self.controls.marks)


def _text(transcript: Transcript, policy: Policy, marks: Mapping[int, Mark]) -> bytes:
    decisions = masking.decide(transcript.turns, policy, marks)
    built = view.build(transcript, decisions, policy, system="system")
    return repr([(message.role, message.segments) for message in built.messages]).encode("utf-8", "surrogatepass")


@given(st.data(), transcripts(), POLICIES)
def test_a_journal_replays_to_the_same_view_byte_for_byte(data: st.DataObject, made: Transcript, first: Policy) -> None:
    made = replace(made, history=())
    live = Live(made, first)
    for said in data.draw(sayings([each.number for each in made.observations()])):
        live.say(said)
        past = replay.past_of(live.journal)
        assert _text(past.transcript, past.policy, past.marks) == live.text()
        assert past.history == live.history
        assert (past.history.policy, dict(past.history.marks)) == (past.policy, dict(past.marks))


@given(st.data(), transcripts(), POLICIES)
def test_undoing_all_and_redoing_all_leads_back(data: st.DataObject, made: Transcript, first: Policy) -> None:
    made = replace(made, history=())
    live = Live(made, first)
    while len(live.shown.turns) < len(made.turns):
        live.turn()
    before = live.text()
    for said in data.draw(sayings([each.number for each in made.observations()])):
        live.say(said)
    while live.history.undone:
        live.say(Redo())
    after, steps = live.text(), len(live.history.done)
    for _ in range(steps):
        live.say(Undo())
    assert live.text() == before
    assert live.history.done == ()
    for _ in range(steps):
        live.say(Redo())
    assert live.text() == after


def history(*events: Event) -> History:
    past = History()
    for event in events:
        past = remember(past, event)
    return past


def test_one_command_is_one_step_however_many_it_marks() -> None:
    past = history(*steering.changes(SetMark(3, "unmask", (4, 3, 5)), History(), Policy()))
    assert [step.number for step in past.done] == [1]
    assert [(each.observation, each.mark) for each in past.undo() if isinstance(each, Marked)] == [
        (5, "none"),
        (4, "none"),
        (3, "none"),
    ]


def test_a_new_change_forgets_what_was_taken_back() -> None:
    past = history(Marked(1, "pin"), Marked(2, "mask"))
    past = history_from(past, *past.undo())
    assert [step.number for step in past.undone] == [2]
    past = history_from(past, PolicySet(Policy(9), 3))
    assert past.undone == () and [step.number for step in past.done] == [1, 3]


def test_what_changed_nothing_is_no_step_and_a_new_question_begins_anew() -> None:
    past = history(Marked(1, "none"), PolicySet(Policy()), Marked(1, "pin"))
    assert len(past.done) == 1
    asked = RunStarted("q", Policy(2), "l", ModelInfo("m"), 9)
    assert history_from(past, asked) == History({1: "pin"}, Policy(2), (), (), 3)
    assert history_from(past, replace(asked, resumed=True)).done == past.done
    assert list(History().undo()) == list(History().redo()) == []


def test_a_window_that_followed_advice_is_in_force_and_no_step_to_take_back() -> None:
    past = history(Marked(1, "pin"), PolicySet(Policy(7, auto=True), how="advised"))
    assert past.policy == Policy(7, auto=True)
    assert [step.number for step in past.done] == [1]


def history_from(past: History, *events: Event) -> History:
    for event in events:
        past = remember(past, event)
    return past
