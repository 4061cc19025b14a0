"""A run that is stopped, a program that ends, and a run that goes on: nothing is read twice."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.protocol import Ask, CacheEdited, CacheKept, Continue, Event, ModelLoaded, RunEnded, Stop, TurnEnded
from engine.settings import Settings
from tests.engine.model import tiny
from tests.engine.running import PATIENCE, QUESTION, settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder

pytestmark = pytest.mark.model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A library, and a model that says nothing sensible but in the grammar of actions."""
    file = tiny.write(tmp_path / "tiny.gguf", "llama", context=16384)
    made = settings_in(tmp_path, model=str(file), context=16384, threads=1, temperature=1.0, max_turns=30)
    stock(made, tmp_path / "notes")
    return made


class Told:
    """An engine and what it tells."""

    def __init__(self, settings: Settings) -> None:
        self._told: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.events: list[Event] = []
        self.engine = Engine(settings, self._told.put, embedder=HashEmbedder())

    def until(self, kind: type[Event], count: int = 1) -> Event:
        while count:
            self.events.append(self._told.get(timeout=4 * PATIENCE))
            count -= isinstance(self.events[-1], kind)
        return self.events[-1]

    def close(self) -> None:
        self.engine.close()
        while not self._told.empty():
            self.events.append(self._told.get())


@pytest.fixture
def stopped(settings: Settings) -> Iterator[tuple[Settings, str, Told]]:
    """A run that was stopped in its fourth turn, and the engine closed."""
    one = Told(settings)
    one.engine.handle(Ask(QUESTION))
    one.until(TurnEnded, 3)
    one.until(CacheEdited)
    one.engine.handle(Stop())
    ended = one.until(RunEnded)
    assert isinstance(ended, RunEnded) and ended.why == "stopped"
    one.close()
    yield settings, ended.session, one


def test_a_run_goes_on_after_a_restart_without_reading_anything_again(stopped: tuple[Settings, str, Told]) -> None:
    settings, session, one = stopped
    kept = next(event for event in one.events if isinstance(event, CacheKept))
    file = settings.caches_dir / f"{session}.kv"
    assert (kept.action, kept.bytes) == ("saved", file.stat().st_size)
    two = Told(settings)
    two.engine.handle(Continue(session))
    back = two.until(CacheKept)
    assert isinstance(back, CacheKept)
    assert (back.action, back.tokens) == ("restored", kept.tokens)
    cost = two.until(CacheEdited)
    assert isinstance(cost, CacheEdited)
    assert cost.decoded == 1
    two.engine.handle(Stop())
    two.until(RunEnded)
    two.close()


def test_a_cache_of_another_model_is_refused_and_thrown_away(
    stopped: tuple[Settings, str, Told], tmp_path: Path
) -> None:
    settings, session, _ = stopped
    other = tiny.write(tmp_path / "other.gguf", "llama", context=16384, seed=1)
    two = Told(replace(settings, model=str(other)))
    two.engine.handle(Continue(session))
    cost = two.until(CacheEdited)
    assert isinstance(cost, CacheEdited)
    assert cost.reused == 0
    assert not any(isinstance(event, CacheKept) for event in two.events)
    two.engine.handle(Stop())
    two.until(RunEnded)
    two.close()


def test_none_is_saved_where_the_user_wants_none(settings: Settings) -> None:
    one = Told(replace(settings, saved_cache_mb=0))
    one.engine.handle(Ask(QUESTION))
    one.until(CacheEdited)
    one.engine.handle(Stop())
    one.until(RunEnded)
    one.close()
    assert not any(isinstance(event, CacheKept) for event in one.events)
    assert list(settings.caches_dir.iterdir()) == []


def test_a_full_disk_costs_the_saved_cache_and_nothing_else(settings: Settings) -> None:
    one = Told(settings)
    one.engine.handle(Ask(QUESTION))
    one.until(CacheEdited)
    settings.caches_dir.rmdir()
    settings.caches_dir.write_text("in the way")
    one.engine.handle(Stop())
    ended = one.until(RunEnded)
    assert isinstance(ended, RunEnded) and ended.why == "stopped"
    settings.caches_dir.unlink()
    one.close()


def test_a_context_longer_than_the_model_was_trained_for_is_said(settings: Settings, tmp_path: Path) -> None:
    short = tiny.write(tmp_path / "short.gguf", "llama", context=2048)
    one = Told(replace(settings, model=str(short), context=8192))
    one.engine.warm()
    loaded = one.until(ModelLoaded)
    assert isinstance(loaded, ModelLoaded)
    assert (loaded.model.context, loaded.model.trained) == (2048, 2048)
    assert "2,048 tokens of context, all it was trained for; 8,192 were asked for" in loaded.note
    one.close()
