"""A real llama.cpp server on this machine, with the starter model: a whole run through it, though it is killed half-way."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.model.catalogue import starter_model
from engine.protocol import (
    Ask,
    CacheEdited,
    Continue,
    Event,
    Failed,
    ModelLoaded,
    Network,
    RunEnded,
    RunStarted,
    TurnEnded,
)
from engine.settings import Settings
from tests.engine.running import settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

QUESTION = "Who was the first keeper of the lighthouse?"
PATIENCE = 240.0


class Server:
    """``python -m llama_cpp.server`` at a port of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.child: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        model = starter_model()
        assert model is not None
        options = ["--model", str(model), "--n_ctx", "4096", "--n_threads", "1", "--host", "127.0.0.1"]
        self.child = subprocess.Popen(
            [sys.executable, "-m", "llama_cpp.server", *options, "--port", str(self.port)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.child.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.1)

    def kill(self) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child = None


class Talk:
    """An engine with its model at a server."""

    def __init__(self, settings: Settings) -> None:
        self.told: list[Event] = []
        self._heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.engine = Engine(settings, self._heard.put, embedder=HashEmbedder())

    def until(self, kind: type[Event], count: int = 1) -> Event:
        while True:
            event = self._heard.get(timeout=PATIENCE)
            self.told.append(event)
            if isinstance(event, kind):
                count -= 1
                if not count:
                    return event
            assert not (isinstance(event, Failed) and not event.session), event


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()


@pytest.fixture
def talk(server: Server, tmp_path: Path) -> Iterator[Talk]:
    settings = settings_in(tmp_path, endpoint=server.url, context=4096, window=1)
    stock(settings, tmp_path / "notes")
    talk = Talk(settings)
    yield talk
    talk.engine.close()


@pytest.mark.fault
def test_a_run_through_a_server_that_is_killed_half_way_goes_on_when_it_is_back(talk: Talk, server: Server) -> None:
    talk.engine.handle(Ask(QUESTION))
    talk.until(TurnEnded, 2)
    server.kill()
    failed = talk.until(Failed)
    assert isinstance(failed, Failed) and failed.error == "EndpointError"
    assert f"127.0.0.1:{server.port}" in failed.message and "go on" in failed.hint
    ended = talk.until(RunEnded)
    assert isinstance(ended, RunEnded) and ended.why == "failed"
    kept = len([event for event in talk.told if isinstance(event, TurnEnded)])

    talk.engine.handle(Continue(ended.session))  # too early: it is told again, and nothing is lost
    again = talk.until(RunEnded)
    assert isinstance(again, RunEnded) and again.why == "failed"

    server.start()
    talk.engine.handle(Continue(ended.session))
    resumed = talk.until(RunStarted)
    assert isinstance(resumed, RunStarted) and resumed.resumed
    done = talk.until(RunEnded)
    assert isinstance(done, RunEnded) and done.why in ("answered", "not_told")
    assert done.turns > kept >= 2

    loaded = next(event for event in talk.told if isinstance(event, ModelLoaded))
    assert loaded.model.endpoint == f"127.0.0.1:{server.port}" and loaded.model.cache == "server"
    assert "does not tell its context" in loaded.note
    assert loaded.model.parameters == 135_000_000, "so small a model is led, at a server too"
    edits = [event for event in talk.told if isinstance(event, CacheEdited)]
    assert {event.mode for event in edits} == {"server"} and any(event.reused for event in edits)
    assert not [event for event in talk.told if isinstance(event, Network)], "nothing left this machine"
