"""The engine behind its door: commands in, events out, everything in the journal."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.context.segments import View
from engine.engine import Engine
from engine.errors import ModelMissing
from engine.model.base import LanguageModel
from engine.model.edits import Mode
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    AnswerNow,
    AnswerReady,
    Ask,
    CacheEdited,
    CancelIndex,
    Command,
    Continue,
    Decided,
    Event,
    Failed,
    IndexEnded,
    IndexPaths,
    LibraryOpened,
    Marked,
    ModelLoaded,
    Network,
    Observed,
    OpenPage,
    OpenSession,
    PageOpened,
    Policy,
    PolicySet,
    Price,
    Priced,
    Redo,
    RunEnded,
    RunStarted,
    Search,
    SearchResults,
    SessionOpened,
    SetMark,
    SetMasking,
    Stop,
    TurnEnded,
    TurnStarted,
    Undo,
)
from engine.replay import without_pieces
from engine.sessions import Journal
from engine.settings import Settings
from engine.sources.library import Library
from tests.engine.running import PATIENCE, QUESTION, SEARCHES, STORY, Paced, Talk, act, settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder

Converse = Callable[..., Talk]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    return stock(settings, tmp_path / "notes")


@pytest.fixture
def talk(settings: Settings, folder: Path) -> Iterator[Converse]:
    """Makes engines, one after the other, over the same stocked library."""
    made: list[Talk] = []

    def make(replies: Sequence[str] | Callable[[View], str] = ()) -> Talk:
        made.append(Talk(settings, replies))
        return made[-1]

    yield make
    for each in made:
        each.close()


def kept(settings: Settings, session: str) -> list[Event]:
    with closing(Journal(settings.journal)) as journal:
        return list(journal.events(session))


# ── a question ───────────────────────────────────────────────────────────────────────────────────


def test_a_question_is_told_in_order_and_what_was_told_is_in_the_journal(talk: Converse, settings: Settings) -> None:
    one = talk(STORY)
    ended = one.ask(Ask(QUESTION), RunEnded)
    assert (ended.why, ended.turns) == ("answered", 3)
    in_session = [event for event in one.told if event.session]
    assert [event.seq for event in in_session] == list(range(1, len(in_session) + 1))
    assert {(event.session, event.run) for event in in_session} == {(ended.session, 1)}
    assert [event.turn for event in one.of(TurnEnded)] == [1, 2, 3]
    assert all(event.at > 0 for event in in_session)
    assert kept(settings, ended.session) == in_session
    assert "Ada Quill" in one.of(AnswerReady)[0].text


def test_a_follow_up_knows_what_was_asked_before_and_counts_on(talk: Converse) -> None:
    one = talk([*STORY, act("search", query="tower"), act("open", id=0), act("answer", text="Basalt [3:L2].")])
    first = one.ask(Ask(QUESTION), RunEnded)
    second = one.ask(Ask("And of what is the tower built?", session=first.session), RunEnded)
    assert (second.session, second.run) == (first.session, 2)
    read = "".join(message.text for message in one.model.views[3].messages)
    assert QUESTION in read and "Ada Quill" in read
    assert [event.observation.number for event in one.of(Observed)] == [1, 2, 3, 4]


def test_no_socket_is_connected(talk: Converse, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_: socket.socket, address: object) -> None:
        raise AssertionError(f"somebody wants to reach {address}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    one = talk(STORY)
    one.engine.warm()
    assert one.ask(Ask(QUESTION), RunEnded).why == "answered"
    assert one.of(Failed) == []


def test_another_question_without_a_session_begins_a_new_one(talk: Converse) -> None:
    one = talk([*STORY, *STORY])
    first, second = one.ask(Ask(QUESTION), RunEnded), one.ask(Ask(QUESTION), RunEnded)
    assert second.session != first.session
    assert second.run == 1
    assert one.of(TurnStarted)[3].seq == 2


def test_the_policy_of_a_question_is_its_own(talk: Converse) -> None:
    one = talk([*SEARCHES[:3], act("answer", text="So [0:L1].")])
    one.ask(Ask(QUESTION, policy=Policy(window=1), max_turns=4), RunEnded)
    assert [decision.state for decision in one.of(Decided)[3].decisions] == ["masked", "masked", "live"]
    assert one.of(RunStarted)[0].policy == Policy(window=1)
    assert [event.must_answer for event in one.of(TurnStarted)] == [False, False, False, True]


# ── the user's hand in it ────────────────────────────────────────────────────────────────────────


def test_marks_and_policy_are_written_down_and_take_effect_at_the_next_turn(talk: Converse, settings: Settings) -> None:
    model = Paced([*SEARCHES[:3], act("answer", text="So.")])
    one = talk(model)
    one.send(Ask(QUESTION))
    model.go(2)
    one.until(TurnEnded, 2)
    model.reached(3)
    one.send(SetMasking(Policy(window=1)))
    one.send(SetMark(1, "pin"))
    one.until(Marked)
    model.go(2)
    ended = one.until(RunEnded)
    third, fourth = one.of(Decided)[2:]
    assert [decision.state for decision in third.decisions] == ["live", "live"], "turn 3 was under way already"
    assert [decision.state for decision in fourth.decisions] == ["pinned", "masked", "live"]
    written = kept(settings, ended.session)
    assert [(event.policy, event.turn) for event in written if isinstance(event, PolicySet)] == [(Policy(window=1), 3)]
    assert [(event.observation, event.mark) for event in written if isinstance(event, Marked)] == [(1, "pin")]


def test_what_a_change_will_cost_is_told_before_it_is_paid(talk: Converse) -> None:
    model = Paced([*SEARCHES[:4], act("answer", text="So.")])
    one = talk(model)
    one.send(Ask(QUESTION, policy=Policy(window=2)))
    model.go(3)
    one.until(TurnEnded, 3)
    model.reached(4)
    first = next(event.observation for event in one.of(Observed))
    back = one.ask(SetMark(1, "unmask"), Priced)
    assert (back.observation, back.mark, back.frees) == (1, "unmask", -first.body_tokens)
    assert back.reads == first.body_tokens, "the cache carries on: nothing else is read"
    undone = one.ask(SetMark(1, "none"), Priced)
    assert (undone.frees, undone.reads) == (first.body_tokens, -first.body_tokens)
    wider = one.ask(SetMasking(Policy(window=0)), Priced)
    assert (wider.observation, wider.frees) == (0, -first.body_tokens)
    model.go(2)
    one.until(RunEnded)
    assert one.of(CacheEdited)[-1].decoded > 0
    one.send(SetMark(1, "pin"))
    one.until(Marked)
    one.close()
    assert len(one.of(Priced)) == 3, "without a run there is nobody to pay"


def test_a_price_is_told_for_the_asking_and_changes_nothing(talk: Converse, settings: Settings) -> None:
    model = Paced([*SEARCHES[:4], act("answer", text="So.")])
    one = talk(model)
    one.send(Ask(QUESTION, policy=Policy(window=2)))
    model.go(3)
    session = one.until(TurnEnded, 3).session
    model.reached(4)
    asked = one.ask(Price(1, "unmask"), Priced)
    assert (asked.preview, asked.exact, asked.session) == (True, True, session)
    both = one.ask(Price(2, "mask", also=(3,)), Priced)
    sizes = {event.observation.number: event.observation.body_tokens for event in one.of(Observed)}
    assert (both.also, both.frees) == ((3,), sizes[2] + sizes[3])
    off = one.ask(Price(policy=Policy(window=0)), Priced)
    assert (off.policy, off.frees, off.reads) == (Policy(window=0), asked.frees, asked.reads)
    paid = one.ask(SetMark(1, "unmask"), Priced)
    assert (paid.preview, paid.frees, paid.reads) == (False, asked.frees, asked.reads)
    model.go(2)
    one.until(RunEnded)
    over = one.ask(Price(1, "mask"), Priced)
    assert (over.frees, over.reads, over.exact) == (sizes[1], 0, False), "nobody will read it again"
    written = [event for event in kept(settings, session) if isinstance(event, Priced | Marked)]
    assert [type(event) for event in written] == [Marked, Priced], "what was only asked about is not in the journal"


def test_a_price_where_nothing_is_loaded_counts_tokens_and_says_so(talk: Converse) -> None:
    model = Paced([*SEARCHES[:2], SEARCHES[2]])
    one = talk(model)
    one.send(Ask(QUESTION, policy=Policy(window=0)))
    model.go(2)
    session = one.until(TurnEnded, 2).session
    model.reached(3)
    one.send(Stop())
    model.go()
    one.until(RunEnded)
    known = one.ask(Price(1, "mask"), Priced)
    assert known.exact, "its model is loaded and the run can go on"
    another = talk()
    another.ask(OpenSession(session), SessionOpened)
    guessed = another.ask(Price(1, "mask"), Priced)
    assert (guessed.frees, guessed.reads, guessed.seconds, guessed.exact) == (known.frees, 0, 0.0, False)


def test_undo_and_redo_are_told_written_down_and_take_effect(talk: Converse, settings: Settings) -> None:
    model = Paced([*SEARCHES[:3], act("answer", text="So.")])
    one = talk(model)
    one.send(Ask(QUESTION, policy=Policy(window=1)))
    model.go(2)
    session = one.until(TurnEnded, 2).session
    model.reached(3)
    one.ask(SetMark(1, "unmask", also=(2,)), Priced)
    one.ask(SetMasking(Policy(window=5)), Priced)
    assert one.ask(Undo(), PolicySet).policy == Policy(window=1)
    one.send(Undo())
    assert [(one.until(Marked).observation, "none") for _ in range(2)] == [(2, "none"), (1, "none")]
    back = one.until(Priced)
    assert back.frees > 0, "it is masked again"
    one.ask(Redo(), Priced)
    model.go(2)
    one.until(RunEnded)
    assert [each.state for each in one.of(Decided)[-1].decisions] == ["live", "live", "live"]
    hows = [
        (type(each).__name__, each.step, each.how)
        for each in kept(settings, session)
        if isinstance(each, Marked | PolicySet)
    ]
    assert hows == [
        ("Marked", 1, "said"),
        ("Marked", 1, "said"),
        ("PolicySet", 2, "said"),
        ("PolicySet", 2, "undone"),
        ("Marked", 1, "undone"),
        ("Marked", 1, "undone"),
        ("Marked", 1, "redone"),
        ("Marked", 1, "redone"),
    ]
    another = talk()
    another.ask(OpenSession(session), SessionOpened)
    assert another.ask(Redo(), PolicySet).how == "redone", "what was taken back is remembered with the session"
    assert another.ask(Redo(), Failed).message == "There is nothing to redo."


def test_a_window_set_by_hand_keeps_the_batches_of_the_run_when_it_goes_on(settings: Settings, folder: Path) -> None:
    model = Paced([*SEARCHES[:2], SEARCHES[2], act("answer", text="So.")])
    one = Talk(settings, model)
    one.model = ScriptedModel(model, mode="strict")
    one.send(Ask(QUESTION, policy=Policy(window=2)))
    model.go()
    session = one.until(TurnEnded).session
    model.reached(2)
    assert one.ask(SetMasking(Policy(window=1)), PolicySet).policy == Policy(window=1, batch_turns=4)
    one.send(Stop())
    model.go()
    one.until(RunEnded)
    model.go(2)
    one.ask(Continue(session), RunEnded)
    assert {event.policy for event in one.of(Decided)} == {Policy(2, batch_turns=4), Policy(1, batch_turns=4)}
    one.close()


@pytest.mark.parametrize(
    ("cache", "mode", "batch"), [("auto", "strict", 4), ("auto", "carry", 0), ("strict", "strict", 0)]
)
def test_where_an_edit_is_dear_masks_go_in_batches(
    cache: str, mode: Mode, batch: int, settings: Settings, folder: Path
) -> None:
    told: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine = Engine(
        replace(settings, cache=cache),
        told.put,
        load_model=lambda _: ScriptedModel(STORY, mode=mode),
        embedder=HashEmbedder(),
    )
    engine.handle(Ask(QUESTION))
    while not isinstance(event := told.get(timeout=PATIENCE), RunStarted):
        pass
    engine.close()
    assert event.policy == Policy(window=settings.window, batch_turns=batch)


def test_what_is_marked_after_a_run_holds_for_the_follow_up(talk: Converse) -> None:
    one = talk([*STORY, *SEARCHES[:2], act("answer", text="So.")])
    ended = one.ask(Ask(QUESTION), RunEnded)
    told = one.ask(SetMark(3, "mask"), Marked)
    assert told.session == ended.session
    one.ask(Ask("And?", session=ended.session), RunEnded)
    assert one.of(Decided)[4].decisions[0].state == "masked"


def test_stop_ends_the_run_and_continue_goes_on_with_it(talk: Converse, settings: Settings) -> None:
    model = Paced([*SEARCHES[:2], SEARCHES[2], act("open", id=0), act("answer", text="Oil [3:L1].")])
    one = talk(model)
    one.send(Ask(QUESTION))
    model.go(2)
    one.until(TurnEnded, 2)
    model.reached(3)
    one.send(Stop())
    model.go()
    ended = one.until(RunEnded)
    assert (ended.why, ended.turns) == ("stopped", 2)
    model.go(3)
    again = one.ask(Continue(ended.session), RunEnded)
    assert one.of(RunStarted)[1].resumed
    assert (again.session, again.run) == (ended.session, 1)
    assert [event.turn for event in one.of(TurnEnded)] == [1, 2, 3, 4]
    told = kept(settings, ended.session)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))


def test_another_engine_can_continue_what_one_began(talk: Converse) -> None:
    first = talk([*STORY[:2]])
    failed = first.ask(Ask(QUESTION), RunEnded)
    assert (failed.why, failed.turns) == ("failed", 2)
    second = talk([STORY[2]])
    ended = second.ask(Continue(failed.session), RunEnded)
    assert (ended.why, ended.turns, ended.run) == ("answered", 3, 1)


def test_answer_now_makes_the_next_turn_the_last(talk: Converse) -> None:
    model = Paced([SEARCHES[0], act("answer", text="It was Ada Quill.")])
    one = talk(model)
    one.send(Ask(QUESTION))
    model.reached()
    one.send(AnswerNow())
    model.go(2)
    one.until(RunEnded)
    assert [event.must_answer for event in one.of(TurnStarted)] == [False, True]


def test_one_question_at_a_time(talk: Converse) -> None:
    model = Paced(STORY)
    one = talk(model)
    one.send(Ask(QUESTION))
    model.reached()
    busy = one.ask(Ask("Another?"), Failed)
    assert (busy.error, bool(busy.hint)) == ("Busy", True)
    model.go(3)
    assert one.until(RunEnded).why == "answered"


def test_a_session_is_not_opened_while_a_question_is_being_answered(talk: Converse) -> None:
    model = Paced([*STORY, *STORY])
    one = talk(model)
    model.go(3)
    first = one.ask(Ask(QUESTION), RunEnded)
    model.reached(3)
    one.send(Ask("Again?", session=first.session))
    model.reached()
    assert one.ask(OpenSession(first.session), Failed).error == "Busy"
    told = one.ask(SetMark(1, "pin"), Marked)
    assert told.session == first.session and told.run == 2
    model.go(3)
    assert one.until(RunEnded).why == "answered"


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def test_an_opened_session_is_told_again_and_can_be_followed_up(talk: Converse, settings: Settings) -> None:
    ended = talk(STORY).ask(Ask(QUESTION), RunEnded)
    other = talk(STORY)
    opened = other.ask(OpenSession(ended.session), SessionOpened)
    assert (opened.title, opened.unfinished, opened.session) == (QUESTION, False, ended.session)
    assert other.told[:-1] == list(without_pieces(kept(settings, ended.session)))
    assert other.ask(SetMark(2, "pin"), Marked).session == ended.session
    assert other.ask(Ask("And then?", session=ended.session), RunEnded).run == 2


def test_who_hears_of_an_end_may_go_on_at_once(settings: Settings, folder: Path) -> None:
    index = IndexPaths((str(folder),))
    wanted: list[Command] = [index, index, Ask(QUESTION)]
    told: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def hear(event: Event) -> None:
        if isinstance(event, RunEnded | IndexEnded | Failed):
            told.put(event)
            if wanted:
                engine.handle(wanted.pop())

    model = ScriptedModel([*STORY, *STORY])
    engine = Engine(settings, hear, load_model=lambda _: model, embedder=HashEmbedder())
    engine.handle(Ask(QUESTION))
    ends = [type(told.get(timeout=PATIENCE)) for _ in range(4)]
    engine.close()
    assert ends == [RunEnded, RunEnded, IndexEnded, IndexEnded]


def test_only_what_is_unfinished_can_be_continued(talk: Converse) -> None:
    one = talk(STORY)
    ended = one.ask(Ask(QUESTION), RunEnded)
    assert one.ask(Continue(ended.session), Failed).error == "SessionError"


def test_what_is_said_after_a_crash_holds_for_the_run_that_is_continued(talk: Converse) -> None:
    cut = talk([*SEARCHES[:2]]).ask(Ask(QUESTION), RunEnded)
    other = talk([SEARCHES[2], act("answer", text="So.")])
    other.send(SetMasking(Policy(window=1)))
    other.ask(SetMark(1, "pin"), Marked)
    other.ask(Continue(cut.session), RunEnded)
    assert other.of(RunStarted)[0].policy == Policy(window=1)
    assert [decision.state for decision in other.of(Decided)[1].decisions] == ["pinned", "masked", "live"]


@pytest.mark.parametrize("command", [OpenSession("nope"), Continue("nope"), Ask(QUESTION, session="nope")])
def test_a_session_that_is_not_there(talk: Converse, command: Ask | Continue | OpenSession) -> None:
    failed = talk(STORY).ask(command, Failed)
    assert (failed.error, bool(failed.hint), failed.session) == ("SessionMissing", True, "")


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def test_without_a_model_no_session_is_left(settings: Settings, folder: Path) -> None:
    def missing(_: Settings) -> LanguageModel:
        raise ModelMissing("There is no model.", "Install one.")

    told: list[Event] = []
    failed = threading.Event()

    def hear(event: Event) -> None:
        told.append(event)
        if isinstance(event, Failed):
            failed.set()

    engine = Engine(settings, hear, load_model=missing)
    engine.handle(Ask(QUESTION))
    assert failed.wait(20)
    engine.close()
    last = told[-1]
    assert isinstance(last, Failed)
    assert (last.error, last.message, last.hint) == ("ModelMissing", "There is no model.", "Install one.")
    with closing(Journal(settings.journal)) as journal:
        assert journal.list() == ()


def test_an_empty_library_says_how_to_fill_it(tmp_path: Path) -> None:
    one = Talk(settings_in(tmp_path), STORY)
    failed = one.ask(Ask(QUESTION), Failed)
    one.close()
    assert "holds no documents" in failed.message and "index" in failed.hint


def test_a_model_that_fails_ends_the_run_with_the_reason(talk: Converse) -> None:
    one = talk([SEARCHES[0]])
    ended = one.ask(Ask(QUESTION), RunEnded)
    assert (ended.why, ended.turns) == ("failed", 1)
    assert [(event.error, event.session) for event in one.of(Failed)] == [("GenerationFailed", ended.session)]


def test_a_bug_in_a_run_ends_it_too_and_is_told(talk: Converse, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(view: View) -> str:
        raise ZeroDivisionError("what nobody thought of")

    one = talk(broken)
    ended = one.ask(Ask(QUESTION), RunEnded)
    assert ended.why == "failed"
    (failed,) = one.of(Failed)
    assert failed.error == "ZeroDivisionError" and "nobody thought of" in failed.message and failed.hint
    assert "Traceback" in capfd.readouterr().err, "the log has the details"


def test_a_run_whose_journal_cannot_be_written_ends(talk: Converse, settings: Settings) -> None:
    model = Paced(STORY)
    one = talk(model)
    started = one.ask(Ask(QUESTION), TurnStarted)
    model.reached()
    with closing(Journal(settings.journal)) as journal:
        journal.delete(started.session)
    model.go(3)
    ended = one.until(RunEnded)
    assert (ended.why, ended.session) == ("failed", started.session)
    assert one.of(Failed)[-1].error == "SessionMissing"
    model.go(3)
    assert one.ask(Ask(QUESTION), RunStarted).run == 1


def test_a_corrupt_journal_is_set_aside_and_a_new_one_used(talk: Converse, settings: Settings) -> None:
    settings.journal.write_bytes(b"no database at all " * 400)
    one = talk(STORY)
    ended = one.ask(Ask(QUESTION), RunEnded)
    assert ended.why == "answered"
    corrupt = one.of(Failed)[0]
    assert corrupt.error == "JournalCorrupt" and "set aside" in corrupt.message
    aside = [path for path in settings.data_dir.iterdir() if path.is_file() and b"at all" in path.read_bytes()[:100]]
    assert len(aside) == 1 and str(aside[0]) in corrupt.message, "it is never thrown away"
    assert kept(settings, ended.session)


def test_a_corrupt_library_says_so_and_rebuilding_helps(talk: Converse, settings: Settings, folder: Path) -> None:
    database = settings.libraries_dir / "default" / "documents.db"
    database.write_bytes(b"no database at all " * 400)
    one = talk(STORY)
    failed = one.ask(Ask(QUESTION), Failed)
    assert (failed.error, bool(failed.hint)) == ("LibraryCorrupt", True)
    ended = one.ask(IndexPaths((), rebuild=True), IndexEnded)
    assert ended.added == 5
    assert one.ask(Ask(QUESTION), RunEnded).why == "answered"


# ── beside the runs ──────────────────────────────────────────────────────────────────────────────


def test_index_search_and_read(talk: Converse, folder: Path) -> None:
    one = talk()
    (folder / "new.txt").write_text("The foghorn was added in 1931.\n")
    ended = one.ask(IndexPaths((str(folder),)), IndexEnded)
    assert (ended.added, ended.unchanged) == (1, 5)
    assert one.until(LibraryOpened).documents == 6
    found = one.ask(Search("foghorn", limit=2), SearchResults)
    assert found.hits[0].uri == str(folder / "new.txt") and len(found.hits) <= 2
    assert one.ask(OpenPage(found.hits[0].uri), PageOpened).text == "The foghorn was added in 1931.\n"
    assert one.ask(OpenPage("/nowhere"), Failed).error == "NotFound"


def test_watching_takes_in_changes_until_it_is_cancelled(talk: Converse, folder: Path) -> None:
    one = talk()
    began = one.ask(IndexPaths((str(folder),), watch=True), IndexEnded)
    assert began.watching and not began.cancelled and one.until(LibraryOpened).documents == 5
    (folder / "new.txt").write_text("The foghorn was added in 1931.\n")
    assert one.until(IndexEnded).added == 1
    assert one.until(LibraryOpened).documents == 6
    ended = one.ask(CancelIndex(), IndexEnded)
    assert ended.cancelled and not ended.watching


def test_searching_works_while_a_question_is_answered(talk: Converse) -> None:
    model = Paced(STORY)
    one = talk(model)
    one.send(Ask(QUESTION))
    model.reached()
    assert one.ask(Search("basalt"), SearchResults).hits
    model.go(3)
    assert one.until(RunEnded).why == "answered"


def test_libraries_are_apart(talk: Converse, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Quite another thing.\n")
    one = talk()
    one.ask(IndexPaths((str(other),), library="second"), IndexEnded)
    assert {hit.uri for hit in one.ask(Search("thing keeper", "second"), SearchResults).hits} == {str(other)}
    assert str(other) not in {hit.uri for hit in one.ask(Search("thing keeper"), SearchResults).hits}
    assert one.ask(Search("x", "../up"), Failed).error == "LibraryError"


def test_warm_loads_the_model_before_it_is_needed(talk: Converse) -> None:
    one = talk()
    one.engine.warm()
    assert one.until(LibraryOpened).documents == 5
    assert one.until(ModelLoaded).model.name == "scripted"


def test_close_while_a_question_is_answered_keeps_every_finished_turn(settings: Settings, folder: Path) -> None:
    one = Talk(settings, [SEARCHES[0], act("search", query="word " * 400)], delay=0.02)  # the second takes 6 seconds
    finished = one.ask(Ask(QUESTION), TurnEnded)
    one.until(CacheEdited)
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 4
    written = kept(settings, finished.session)
    assert [event.turn for event in written if isinstance(event, TurnEnded)] == [1]
    last = written[-1]
    assert isinstance(last, RunEnded) and last.why == "stopped"
    assert one.told[-1] == last


def test_a_library_that_is_kept_elsewhere_is_in_the_ledger(
    settings: Settings, talk: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    Library(settings.libraries_dir, "far").move("s3://shelves/mine")
    one = talk()
    one.ask(Search("keeper", "far"), SearchResults)
    one.ask(Search("keeper", "far"), SearchResults)
    entries = [each.entry for each in one.of(Network)]
    assert [(each.purpose, each.host, each.url) for each in entries] == [
        ("library", "127.0.0.1:1", "s3://shelves/mine")
    ]
