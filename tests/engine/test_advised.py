"""A run whose window follows the advice, through the engine's door: every change is an event with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.model.scripted import ScriptedModel
from engine.protocol import Advised, Ask, Continue, Decided, Policy, PolicySet, RunEnded, RunStarted, SetMasking, Stop
from engine.sessions import Journal
from engine.sources.library import Library
from engine.sources.library.recall import Recall, from_json, known_items
from tests.engine.running import QUESTION, STORY, Paced, Talk, act, settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder
from tui.fold import fold_all

AGAIN = [
    act("search", query="lighthouse keeper lamp tower"),
    act("open", id=0),
    act("open", id=1),
    *(act("search", query=word) for word in ("bell", "boat", "oil", "basalt", "Thursday")),
    act("open", cursor=1),
    act("open", cursor=2),
    act("search", query="gallery"),
    STORY[-1],
]
"""Two pages are read early, and read again once they are masked."""


@pytest.fixture
def auto(tmp_path: Path) -> Iterator[Talk]:
    settings = settings_in(tmp_path, masking="auto", window=2)
    stock(settings, tmp_path / "shelf")
    talk = Talk(settings)
    talk.model = ScriptedModel(AGAIN, parameters=4_000_000_000, mode="strict")
    yield talk
    talk.close()


def test_the_window_follows_the_advice_and_each_change_says_why(auto: Talk) -> None:
    auto.ask(Ask(QUESTION, max_turns=12), RunEnded)
    changes = [each for each in auto.of(Advised) if each.changed]
    assert [each.window for each in changes] == [4, 8]
    assert "4B parameters" in changes[0].text and "opened again" in changes[1].text
    assert [each.policy.window for each in auto.of(PolicySet)] == [4, 8]
    assert all(each.policy.auto for each in auto.of(PolicySet))
    masked = [sum(each.state == "masked" for each in told.decisions) for told in auto.of(Decided)]
    assert max(masked) > 0 and masked[-1] < max(masked), "the wider window shows again what was masked"
    state = fold_all(auto.told).run
    assert state is not None
    assert [note.text for note in state.notes if "opened again" in note.text] == [changes[1].text]
    assert state.advice == auto.of(Advised)[-1].text


def test_advice_without_auto_changes_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, window=2)
    stock(settings, tmp_path / "shelf")
    with closing(Talk(settings, STORY)) as talk:
        talk.ask(Ask(QUESTION), RunEnded)
        assert not talk.of(Advised) and not talk.of(PolicySet)
        assert "does not tell its size" in talk.of(RunStarted)[0].advice


def test_the_users_own_window_ends_the_automatic_one_and_a_continued_run_keeps_it(auto: Talk, tmp_path: Path) -> None:
    paced = Paced([*AGAIN, *AGAIN])
    auto.model = ScriptedModel(paced, parameters=4_000_000_000)
    auto.send(Ask(QUESTION, max_turns=12))
    paced.reached()
    paced.go()
    paced.reached()
    auto.ask(SetMasking(Policy(window=3)), PolicySet)
    paced.go()
    paced.reached()
    auto.send(Stop())
    paced.go()
    ended = auto.until(RunEnded)
    told = len(auto.of(Advised))
    paced.go(20)
    auto.send(Continue(ended.session))
    auto.until(RunEnded)
    assert auto.of(RunStarted)[-1].policy == Policy(window=3)
    assert len(auto.of(Advised)) == told
    journal = Journal(tmp_path / "data" / "sessions.db")
    kept = [event for event in journal.events(ended.session) if isinstance(event, Advised)]
    journal.close()
    assert len(kept) == told >= 1


# ── the library's own recall ─────────────────────────────────────────────────────────────────────


def library_of(tmp_path: Path, texts: dict[str, str]) -> Library:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    library = Library(tmp_path / "libraries", embedder=HashEmbedder())
    library.index([folder])
    return library


def test_a_library_finds_what_it_holds_and_remembers_that(tmp_path: Path) -> None:
    animals = ("otter", "heron", "badger", "lynx", "marten", "curlew")
    texts = {
        f"{animal}.txt": f"The {animal} sleeps under a hollow birch near river stones. At dusk the {animal} walks"
        f" seven slow kilometres along frozen northern meadows.\n"
        for animal in animals
    }
    with closing(library_of(tmp_path, texts)) as library:
        assert library.recall() is None, "nobody has asked yet"
        found = library.measure_recall()
        assert found is not None and (found.asked, found.chunks) == (12, library.status().chunks)
        assert found.share > 0.9
        with closing(Library(tmp_path / "libraries", embedder=HashEmbedder())) as again:
            assert again.recall() == found
            for number in range(9):
                (tmp_path / "texts" / f"more{number}.txt").write_text(f"Something else, number {number}.\n")
            again.index(())
            assert again.recall() is None, "it is another library now"
        assert library.measure_recall(lambda: True) is None


def test_a_library_with_nothing_to_ask_for(tmp_path: Path) -> None:
    with closing(library_of(tmp_path, {"a.txt": "Short.\n"})) as library:
        assert library.measure_recall() is None and library.recall() is None


def test_queries_are_spread_and_hold_the_rarer_words() -> None:
    pages = {
        f"/{n}": f"The common words of all pages stand around special{n} thing{n} here. Too short." for n in range(200)
    }
    items = known_items(list(pages), pages.__getitem__)
    assert len(items) == 50 and len({uri for _, uri in items}) == 50
    assert all(f"special{uri[1:]} thing{uri[1:]}" in query for query, uri in items)
    assert known_items([], pages.__getitem__) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"found": 3, "asked": 0, "chunks": 1}', '{"found": 9, "asked": 3, "chunks": 1}']
)
def test_what_is_remembered_wrongly_is_not_believed(text: str) -> None:
    assert from_json(text) is None


def test_what_is_remembered_comes_back() -> None:
    assert from_json(Recall(41, 50, 900).to_json()) == Recall(41, 50, 900)
    assert Recall(41, 50, 900).holds(1000) and not Recall(41, 50, 900).holds(1200)
