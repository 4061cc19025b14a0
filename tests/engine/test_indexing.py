"""Indexing and libraries through the engine's commands: several at once, a pause, vectors made anew."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    AnswerReady,
    Ask,
    CancelIndex,
    Event,
    Failed,
    IndexEnded,
    IndexPaths,
    IndexPaused,
    IndexProgress,
    LibraryOpened,
    Observed,
    OpenPage,
    OpenSession,
    PageOpened,
    PauseIndex,
    Reembed,
    ReembedCost,
    RunEnded,
    RunStarted,
    Search,
    SearchResults,
    SessionOpened,
)
from engine.reins import Reins
from engine.settings import Settings
from engine.sources.library import Library
from tests.engine.running import PATIENCE, STORY, E, Talk, settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = settings_in(tmp_path)
    stock(made, tmp_path / "shelf")
    other = tmp_path / "log"
    other.mkdir()
    (other / "keepers.txt").write_text("The first keeper of the book of keepers was Bo.\n")
    library = Library(made.libraries_dir, "log", embedder=HashEmbedder())
    library.index([other])
    library.close()
    return made


@pytest.fixture
def talk(settings: Settings) -> Iterator[Talk]:
    made = Talk(settings, STORY)
    yield made
    made.close()


# ── several libraries ────────────────────────────────────────────────────────────────────────────


def test_a_question_over_two_libraries_says_where_each_source_is_from_and_is_told_again(
    talk: Talk, settings: Settings
) -> None:
    assert talk.ask(Ask("Who was the first keeper?", library="default,log"), RunEnded).why == "answered"
    assert talk.of(RunStarted)[0].library == "default, log"
    found, opened = (event.observation for event in talk.of(Observed)[:2])
    assert "in default, log" in found.header
    assert {link.uri.rpartition("/")[2] for link in found.links} >= {"keeper.txt", "keepers.txt"}
    assert opened.path.startswith(("default:", "log:")) and opened.path in opened.header
    session = talk.of(RunStarted)[0].session
    page = talk.ask(OpenPage(opened.uri, "default, log"), PageOpened)
    assert page.uri == opened.uri and page.text
    again = Talk(settings, STORY)
    try:
        again.ask(OpenSession(session), SessionOpened)
        assert again.of(RunStarted)[0].library == "default, log" and again.of(AnswerReady)
        again.ask(Ask("Who was the first keeper?", session, library="default,log"), RunEnded)
        assert again.of(RunEnded)[-1].why == "answered"
    finally:
        again.close()


def test_searching_two_libraries(talk: Talk) -> None:
    hits = talk.ask(Search("first keeper", "log, default"), SearchResults).hits
    assert [hit.library for hit in hits[:2]] == ["log", "default"]
    assert {hit.library for hit in talk.ask(Search("first keeper", "log"), SearchResults).hits} == {""}


@pytest.mark.parametrize("name", ["lgo", "default,lgo"])
def test_a_wrong_name_is_told_with_the_right_one(talk: Talk, name: str) -> None:
    for command in (Search("keeper", name), Ask("Who?", library=name)):
        failed = talk.ask(command, Failed)
        assert "no library 'lgo'" in failed.message and failed.hint == "Did you mean 'log'?"
    assert talk.ask(Ask("Who was the first keeper?"), RunEnded).why == "answered", "the engine is not left busy"


def test_several_cannot_be_indexed_at_once_and_the_engine_is_not_left_busy(talk: Talk) -> None:
    assert "One library" in talk.ask(IndexPaths((), "default,log"), Failed).message
    assert talk.ask(IndexPaths(()), IndexEnded).unchanged == 5


# ── a pause ──────────────────────────────────────────────────────────────────────────────────────


class Slow(HashEmbedder):
    """Waits for leave before each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.leave = threading.Semaphore(0)

    def embed(self, texts: Sequence[str]) -> Vectors:
        assert self.leave.acquire(timeout=PATIENCE)
        return super().embed(texts)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Engine, Slow, queue.SimpleQueue[Event]]]:
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
    embedder = Slow()
    engine = Engine(settings_in(tmp_path), heard.put, load_model=lambda _: ScriptedModel(STORY), embedder=embedder)
    yield engine, embedder, heard
    embedder.leave.release(1000)
    engine.close()


def until(heard: queue.SimpleQueue[Event], kind: type[E]) -> E:
    while not isinstance(event := heard.get(timeout=PATIENCE), kind):
        assert not isinstance(event, Failed), event
    return event


def test_indexing_rests_while_questions_go_on(
    slow: tuple[Engine, Slow, queue.SimpleQueue[Event]], tmp_path: Path
) -> None:
    engine, embedder, heard = slow
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(f"The first keeper of tower {number} was Ada{number}.\n")
    engine.handle(IndexPaths((str(folder),)))
    while (told := until(heard, IndexProgress)).phase != "embed":
        pass
    engine.handle(PauseIndex())
    assert until(heard, IndexPaused) == IndexPaused(True)
    embedder.leave.release(1000)
    engine.handle(Search("Ada7"))
    assert until(heard, SearchResults).hits[0].uri.endswith("07.txt")
    engine.handle(Ask("Who was the first keeper of tower 7?"))
    until(heard, RunEnded)
    assert embedder.embedded <= 8, "what was under way, and no more"
    engine.handle(PauseIndex(False))
    assert until(heard, IndexPaused) == IndexPaused(False)
    ended = until(heard, IndexEnded)
    assert ended.embedded == ended.chunks == 40 and not ended.cancelled
    engine.handle(PauseIndex())
    engine.handle(Search("Ada7"))
    until(heard, SearchResults)
    assert told


def test_what_rests_can_be_cancelled(slow: tuple[Engine, Slow, queue.SimpleQueue[Event]], tmp_path: Path) -> None:
    engine, embedder, heard = slow
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"Story {number}.")
    engine.handle(IndexPaths((str(folder),)))
    until(heard, IndexProgress)
    engine.handle(PauseIndex())
    until(heard, IndexPaused)
    engine.handle(CancelIndex())
    embedder.leave.release(1000)
    assert until(heard, IndexEnded).cancelled


def test_reins() -> None:
    reins = Reins()
    assert not reins() and not reins.paused
    reins.pause()
    assert reins.paused
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    asking = threading.Thread(target=lambda: answers.put(reins()))
    asking.start()
    assert answers.empty()
    reins.cancel()
    assert answers.get(timeout=PATIENCE) is True
    asking.join()
    reins.pause()
    assert not reins.paused and reins()


# ── another embedder ─────────────────────────────────────────────────────────────────────────────


class Other(HashEmbedder):
    name = "other"
    dimensions = 16


def test_another_embedder_is_told_priced_and_put_in_place(settings: Settings) -> None:
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine = Engine(settings, heard.put, load_model=lambda _: ScriptedModel(STORY), embedder=Other())
    try:
        engine.warm()
        assert "made by hashing" in until(heard, LibraryOpened).note
        engine.handle(Search("first keeper"))
        found = until(heard, SearchResults)
        assert found.hits and "--re-embed" in found.note
        engine.handle(Reembed())
        cost = until(heard, ReembedCost)
        assert (cost.library, cost.old, cost.new, cost.chunks) == ("default", "hashing", "other", 5)
        engine.handle(Reembed(go=True))
        ended = until(heard, IndexEnded)
        assert ended.embedded == ended.chunks == 5 and ended.note == ""
        engine.handle(Search("first keeper"))
        found = until(heard, SearchResults)
        assert found.hits[0].vector_rank and found.note == ""
    finally:
        engine.close()
