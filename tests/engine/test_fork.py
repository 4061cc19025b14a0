"""Forks: a new session that begins as a copy, and nothing of the old one changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import fork
from engine.context import masking, view
from engine.context.segments import View
from engine.errors import SessionError
from engine.protocol import (
    AnswerReady,
    Ask,
    CitationChecked,
    Continue,
    Decided,
    Event,
    Failed,
    Fork,
    Forked,
    Observed,
    Policy,
    RunEnded,
    RunStarted,
    TurnEnded,
)
from engine.replay import Past, past_of
from engine.sessions import Journal
from engine.settings import Settings
from engine.told import runs
from tests.engine.played import played
from tests.engine.running import QUESTION, STORY, Talk, act, settings_in, stock
from tests.engine.story import FIRST, WHOLE
from tui.fold import fold_all


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "sessions.db")) as journal:
        yield journal


def write(journal: Journal, events: Sequence[Event], title: str = "Who was it?") -> str:
    session = journal.create(title)
    journal.append_all([replace(event, session=session, seq=seq) for seq, event in enumerate(events, start=1)])
    return session


def seen(past: Past) -> View:
    """What the model would read next."""
    decisions = masking.decide(past.transcript.turns, past.policy, past.marks)
    return view.build(past.transcript, decisions, past.policy, system="You search.")


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played(), st.data())
def test_a_fork_at_a_turn_replays_to_the_same_view_as_the_run_at_that_turn(
    journal: Journal, events: tuple[Event, ...], data: st.DataObject
) -> None:
    parent = write(journal, events)
    before = list(journal.events(parent))
    answered = {event.turn for event in events if isinstance(event, AnswerReady)}
    finished = [event.turn for event in events if isinstance(event, TurnEnded) if event.turn not in answered]
    turn = data.draw(st.sampled_from([0, *finished]))
    goes_on, told = fork.begin(journal, Fork(parent, turn), None)
    assert goes_on == Continue(told[0].session)
    upto = past_of(fork.kept(events, turn))
    assert seen(past_of(told)) == seen(upto)
    assert past_of(told).next_observation == upto.next_observation
    assert past_of(told).observations == upto.observations
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert list(journal.events(parent)) == before, "the old one stays"
    assert journal.events(told[0].session) and isinstance(told[-1], Forked)


def test_a_fork_keeps_the_questions_before_and_what_was_said_about_masking(journal: Journal) -> None:
    parent = write(journal, WHOLE)
    _, told = fork.begin(journal, Fork(parent, 1), None)
    past = past_of(told)
    assert (past.run, len(past.transcript.history), past.unfinished) == (2, 1, True)
    assert past.policy == Policy(window=2), "what was chosen after the turn is not in force"
    _, first = fork.begin(journal, Fork(parent, 1, run=1), Policy(window=7))
    past = past_of(first)
    assert (past.run, past.transcript.history, past.policy.window) == (1, (), 7)
    assert past.marks == {}, "the pin came after the turn"
    assert past_of(fork.begin(journal, Fork(parent, 2, run=1), None)[1]).marks == {1: "pin"}


def test_another_question_takes_the_place_of_the_old_one_and_names_the_session(journal: Journal) -> None:
    parent = write(journal, FIRST)
    goes_on, told = fork.begin(journal, Fork(parent, 2, question="Who was the second?\x1b"), None)
    session = told[0].session
    assert isinstance(goes_on, Continue) and journal.title(session) == "Who was the second?␛"
    assert past_of(told).transcript.question == "Who was the second?␛"
    assert runs(told)[0].started.question == "Who was the second?␛"
    assert fold_all(told).run.question == "Who was the second?␛"
    assert [match.id for match in journal.search("second")] == [session]
    assert [one.id for one in journal.list() if one.unfinished] == [session]


def test_after_the_answer_only_a_follow_up_makes_sense(journal: Journal) -> None:
    parent = write(journal, FIRST)
    with pytest.raises(SessionError, match="turn 3 is the answer") as refused:
        fork.begin(journal, Fork(parent, 3), Policy(window=2))
    assert "follow up" in refused.value.hint
    goes_on, told = fork.begin(journal, Fork(parent, 3, question="And the second?"), None)
    assert isinstance(goes_on, Ask) and (goes_on.question, goes_on.session) == ("And the second?", told[0].session)
    assert past_of(told).follow_up("And the second?").history[0].answer.startswith("The first keeper")
    state = fold_all(told)
    assert state.run is not None and not state.run.running and state.run.answer


@pytest.mark.parametrize(
    ("turn", "run", "said"),
    [(9, 0, "no turn 9 of question 2"), (2, 0, "no turn 2"), (-1, 0, "no turn -1"), (1, 5, "no turn 1 of question 5")],
)
def test_a_turn_that_is_not_there_is_named(journal: Journal, turn: int, run: int, said: str) -> None:
    parent = write(journal, WHOLE)
    with pytest.raises(SessionError, match=said):
        fork.begin(journal, Fork(parent, turn, run), None)
    assert [one.id for one in journal.list()] == [parent], "and no session is left of it"


def test_a_session_in_which_nothing_was_asked_cannot_be_forked() -> None:
    with pytest.raises(SessionError, match="no turn 1 of this session"):
        fork.kept((), 1)


def test_a_journal_takes_all_of_a_copy_or_none(journal: Journal) -> None:
    session = write(journal, FIRST[:2])
    copies = [replace(event, session=session, seq=seq) for seq, event in enumerate(FIRST[:4], start=5)]
    with pytest.raises(SessionError):
        journal.append_all([*copies, copies[0]])
    assert len(list(journal.events(session))) == 2


# ── in the engine ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    made = settings_in(tmp_path)
    stock(made, tmp_path / "notes")
    return made


@pytest.fixture
def talk(home: Settings) -> Iterator[Callable[..., Talk]]:
    made: list[Talk] = []

    def make(replies: Sequence[str] | Callable[[View], str] = ()) -> Talk:
        made.append(Talk(home, replies))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_fork_goes_on_with_the_pages_cursors_and_citations_it_has(
    talk: Callable[..., Talk], home: Settings, restarted: bool
) -> None:
    again = [
        act("search", query="tower"),
        act("open", id=0),
        act("answer", text="Ada Quill was it [1:L1]. Basalt [3:L2]."),
    ]
    one = talk([*STORY, *([] if restarted else again)])
    first = one.ask(Ask(QUESTION), RunEnded)
    told = list(one.told)
    if restarted:
        one.close()
        one = talk(again)
    ended = one.ask(Fork(first.session, 2, policy=Policy(window=1)), RunEnded)
    assert ended.session != first.session and (ended.why, ended.turns) == ("answered", 5)
    here = [event for event in one.told if event.session == ended.session]
    assert [event.seq for event in here] == list(range(1, len(here) + 1))
    assert [event.observation.number for event in here if isinstance(event, Observed)] == [1, 2, 3, 4]
    assert [event.observation.cursor for event in here if isinstance(event, Observed)] == [0, 1, 2, 3]
    checked = [event.citation for event in here if isinstance(event, CitationChecked)]
    assert [(each.state, Path(each.uri).name) for each in checked] == [
        ("verified", "keeper.txt"),
        ("verified", "tower.txt"),
    ]
    resumed = [event for event in here if isinstance(event, RunStarted)][-1]
    assert resumed.resumed and resumed.policy.window == 1
    decided = next(event for event in here if isinstance(event, Decided) and event.turn == 3)
    masked = [each.observation for each in decided.decisions if each.state == "masked"]
    assert masked == [1], "the new policy holds from the next turn on"
    state = fold_all(here)
    assert state.run is not None and [turn.number for turn in state.run.turns] == [1, 2, 3, 4, 5]
    assert f"forked from {first.session} after turn 2" in [note.text for note in state.run.notes]
    with closing(Journal(home.journal)) as journal:
        assert list(journal.events(ended.session)) == here
        assert [event for event in told if event.session] == list(journal.events(first.session))


def test_a_fork_with_a_question_after_the_answer_is_a_follow_up(talk: Callable[..., Talk]) -> None:
    one = talk([*STORY, *STORY])
    first = one.ask(Ask(QUESTION), RunEnded)
    ended = one.ask(Fork(first.session, 3, question="And who came then?"), RunEnded)
    assert (ended.session != first.session, ended.run) == (True, 2)
    read = "".join(message.text for message in one.model.views[3].messages)
    assert QUESTION in read and "And who came then?" in read and "Ada Quill" in read


def test_a_fork_that_cannot_be_is_said_and_the_engine_goes_on(talk: Callable[..., Talk]) -> None:
    one = talk([*STORY, *STORY])
    first = one.ask(Ask(QUESTION), RunEnded)
    assert "no turn 9" in one.ask(Fork(first.session, 9), Failed).message
    assert "no session" in one.ask(Fork("20200101-zzzz", 1), Failed).message
    assert one.ask(Ask(QUESTION), RunEnded).why == "answered"
