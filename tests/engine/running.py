"""A real engine over a real library and journal. Only its two models are stood in for: by a script and by hashing."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from engine.context.segments import View
from engine.engine import Engine
from engine.model.scripted import ScriptedModel
from engine.protocol import Command, Event
from engine.settings import Settings, load_settings
from engine.sources.library import Library
from tests.engine.shelf import shelf
from tests.engine.sources.library.hashing import HashEmbedder

E = TypeVar("E", bound=Event)

QUESTION = "Who was the first keeper?"
PATIENCE = 15.0
"""Seconds after which what has not been told will never be."""


def act(do: str, **arguments: object) -> str:
    """A reply of the model."""
    return json.dumps({"thought": f"I {do}.", "do": do, **arguments})


SEARCHES = [act("search", query=word) for word in ("keeper", "tower", "lamp", "bell", "boat", "oil")]
STORY = [act("search", query="first keeper"), act("open", id=0), act("answer", text="It was Ada Quill [1:L1].")]
"""Search, open, and an answer that holds: page 1 is the first thing opened."""


def settings_in(folder: Path, **values: object) -> Settings:
    return load_settings({"data_dir": folder / "data", "config_file": folder / "config.toml", **values}, env={})


def stock(settings: Settings, folder: Path) -> Path:
    """Put the documents of the shelf into the library. Returns their folder."""
    folder.mkdir()
    for document in shelf().documents:
        (folder / Path(document.uri).name).write_text(document.text)
    library = Library(settings.libraries_dir, embedder=HashEmbedder())
    library.index([folder])
    library.close()
    return folder


class Paced:
    """Replies of a model that waits before each for leave to go on."""

    def __init__(self, replies: Sequence[str]) -> None:
        self._replies = iter(replies)
        self._leave = threading.Semaphore(0)
        self._waiting = threading.Semaphore(0)

    def __call__(self, view: View) -> str:
        self._waiting.release()
        assert self._leave.acquire(timeout=PATIENCE)
        return next(self._replies)

    def go(self, turns: int = 1) -> None:
        self._leave.release(turns)

    def reached(self, turns: int = 1) -> None:
        """Wait until the model has been asked for so many replies more."""
        for _ in range(turns):
            assert self._waiting.acquire(timeout=PATIENCE)


class Talk:
    """An engine and what it tells."""

    def __init__(
        self,
        settings: Settings,
        replies: Sequence[str] | Callable[[View], str] = (),
        *,
        delay: float = 0.0,
        **options: Any,
    ) -> None:
        self.told: list[Event] = []
        self.loads: list[str] = []  # what the settings called the model, each time it was loaded
        self.model = ScriptedModel(replies, delay=delay)
        self._heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.engine = Engine(settings, self._heard.put, load_model=self._load, embedder=HashEmbedder(), **options)

    def _load(self, settings: Settings) -> ScriptedModel:
        self.loads.append(settings.model)
        return self.model

    def send(self, command: Command) -> None:
        self.engine.handle(command)

    def until(self, kind: type[E], count: int = 1) -> E:
        """The ``count``-th event of this kind from now on."""
        while True:
            event = self._heard.get(timeout=PATIENCE)
            self.told.append(event)
            if isinstance(event, kind):
                count -= 1
                if not count:
                    return event

    def ask(self, command: Command, kind: type[E]) -> E:
        """Give a command and wait for an event of this kind."""
        self.send(command)
        return self.until(kind)

    def of(self, kind: type[E]) -> list[E]:
        """What was told of this kind, as far as it was waited for."""
        return [event for event in self.told if isinstance(event, kind)]

    def close(self) -> None:
        self.engine.close()
        while not self._heard.empty():
            self.told.append(self._heard.get())
