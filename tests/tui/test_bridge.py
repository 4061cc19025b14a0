"""The pipe to the engine process: what goes through it, and what happens when the process ends, hangs or says nonsense."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocol import (
    AnswerDelta,
    Continue,
    EngineReady,
    EngineStopped,
    Event,
    Failed,
    LibraryOpened,
    PageOpened,
    Search,
    SearchResults,
    ThoughtDelta,
    TurnStarted,
    Unknown,
)
from engine.settings import Settings, load_settings
from tui import bridge
from tui.bridge import Coalescer, Door, EngineProcess, InProcess

CHILD = """\
import os, sys, time
from engine import protocol
from engine.protocol import EngineReady, Search, SearchResults, Shutdown

def tell(line):
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()

tell(protocol.encode(EngineReady(protocol=1, version="0", pid=os.getpid())))
for line in sys.stdin:
    command = protocol.decode_command(line)
    if isinstance(command, Shutdown):
        open(sys.argv[1], "a").write("ended in order")
        break
    verb, _, rest = command.query.partition(" ")
    if verb == "exit":
        os._exit(int(rest))
    elif verb == "raw":
        tell(rest)
    elif verb == "half":
        sys.stdout.write(rest)
        sys.stdout.flush()
        os._exit(1)
    elif verb == "print":
        print(rest, file=sys.stderr, flush=True)
    elif verb == "hang":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tell(protocol.encode(SearchResults("hanging", (), 0.0)))
        time.sleep(60)
    else:
        tell(protocol.encode(SearchResults(command.query, (), 0.0)))
"""
"""Speaks the protocol and misbehaves when it is told to. It stands for a crash of native code, not for an engine."""


class Heard:
    """What a door told, to be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def __call__(self, event: Event) -> None:
        self._queue.put(event)

    def until(self, kind: type[Event]) -> Event:
        while True:
            self.events.append(self._queue.get(timeout=30))
            if isinstance(self.events[-1], kind):
                return self.events[-1]

    def rest(self) -> list[Event]:
        events = []
        while not self._queue.empty():
            events.append(self._queue.get())
        return events


class Child:
    """An engine process that runs ``CHILD``, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.script, self.goodbye = folder / "child.py", folder / "goodbye"
        self.script.write_text(CHILD)
        self.settings = Settings(data_dir=folder / "data")
        self.heard = Heard()
        command = [sys.executable, str(self.script), str(self.goodbye)]
        self.door = EngineProcess(self.settings, self.heard, command=command)
        self.heard.until(EngineReady)

    def says(self, query: str) -> None:
        self.door.send(Search(query))

    def answers(self) -> bool:
        self.says("still there?")
        return self.heard.until(SearchResults) == SearchResults("still there?", (), 0.0)

    def stopped(self) -> EngineStopped:
        event = self.heard.until(EngineStopped)
        assert isinstance(event, EngineStopped)
        return event


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child(tmp_path)
    yield child
    child.door.close()


def test_commands_go_in_and_events_come_out_in_order(child: Child) -> None:
    queries = [f"{number} “wörds” \u2028 \x1b[31m\r\n\t\0 🗼" for number in range(50)]
    for query in queries:
        child.says(query)
    assert [child.heard.until(SearchResults) for _ in queries] == [SearchResults(query, (), 0.0) for query in queries]


def test_closing_lets_the_child_finish_and_is_no_crash(child: Child) -> None:
    child.door.close()
    assert child.goodbye.read_text() == "ended in order"
    assert child.heard.rest() == []
    child.says("nobody hears this")
    child.door.close()


@pytest.mark.parametrize("line", ["no JSON at all \x1b[31m", "[1, 2]", '{"kind":"RunEnded"}', ""])
def test_lines_that_are_no_events_are_shown_not_dropped(child: Child, line: str) -> None:
    child.says(f"raw {line}")
    event = child.heard.until(Unknown)
    assert isinstance(event, Unknown)
    assert event.name == "unreadable"
    assert event.data["line"] == line.replace("\x1b", "␛")
    assert child.answers()


def test_events_of_a_newer_engine_come_through(child: Child) -> None:
    child.says('raw {"kind":"Sparkled","stars":3,"session":"s1"}')
    event = child.heard.until(Unknown)
    assert isinstance(event, Unknown)
    assert (event.name, event.session, event.data["stars"]) == ("Sparkled", "s1", 3)


def test_what_the_child_prints_goes_to_the_log(child: Child, capfd: pytest.CaptureFixture[str]) -> None:
    child.says("print llama_decode: oh no")
    assert child.answers()
    assert (child.settings.log_dir / "engine.log").read_text() == "llama_decode: oh no\n"
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_in_the_terminal_does_not_reach_the_child(child: Child) -> None:
    assert os.getsid(child.door.pid) != os.getsid(0)


# ── it ends by itself ────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault
def test_a_killed_child_is_said_and_started_again(child: Child) -> None:
    before = child.door.pid
    os.kill(before, signal.SIGKILL)
    stopped = child.stopped()
    assert stopped.restarting
    assert "was ended by SIGKILL" in stopped.reason
    assert str(child.settings.log_dir / "engine.log") in stopped.reason
    ready = child.heard.until(EngineReady)
    assert isinstance(ready, EngineReady)
    assert ready.pid == child.door.pid != before
    assert child.answers()


def test_an_exit_code_is_said(child: Child) -> None:
    child.says("exit 7")
    assert "ended with code 7" in child.stopped().reason
    assert child.answers()


def test_a_line_cut_off_by_the_end_is_shown(child: Child) -> None:
    child.says('half {"kind":"TurnSta')
    child.stopped()
    assert Unknown(name="unreadable", data={"line": '{"kind":"TurnSta'}) in child.heard.events


def test_it_gives_up_after_three_restarts_in_a_minute(child: Child) -> None:
    said = []
    for _ in range(bridge.RESTARTS + 1):
        child.says("exit 1")
        said.append(child.stopped().restarting)
    assert said == [True, True, True, False]
    child.says("nobody hears this, and nothing is raised")
    child.door.close()
    assert child.heard.rest() == []


def test_restarts_are_forgotten_after_a_minute(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    for death in range(bridge.RESTARTS + 2):
        monkeypatch.setattr(bridge, "time", SimpleNamespace(monotonic=lambda death=death: start + 61 * death))
        child.says("exit 1")
        assert child.stopped().restarting


def test_a_child_that_cannot_be_started_again_is_lost(tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.write_text(f"#!{sys.executable}\n{CHILD}")
    program.chmod(0o700)
    heard = Heard()
    door = EngineProcess(Settings(data_dir=tmp_path / "data"), heard, command=[str(program), str(tmp_path / "bye")])
    heard.until(EngineReady)
    program.unlink()
    door.send(Search("exit 1"))
    stopped = heard.until(EngineStopped)
    assert isinstance(stopped, EngineStopped)
    assert not stopped.restarting
    door.close()


@pytest.mark.fault
def test_a_child_that_will_not_end_is_ended(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "_PATIENCE", 0.2)
    child.says("hang")
    child.heard.until(SearchResults)
    pid = child.door.pid
    child.door.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not child.goodbye.exists()
    assert child.heard.rest() == []


# ── the engine itself, both ways ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [EngineProcess, InProcess])
def test_both_doors_lead_to_the_same_engine(kind: Callable[[Settings, Heard], Door], tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path, "model": str(tmp_path / "none.gguf")}, env={})
    heard = Heard()
    door = kind(settings, heard)
    ready, opened, failed = heard.until(EngineReady), heard.until(LibraryOpened), heard.until(Failed)
    assert isinstance(ready, EngineReady) and isinstance(failed, Failed)
    assert (ready.pid == os.getpid()) == (kind is InProcess)
    assert opened == LibraryOpened("default", 0, 0, 0)
    assert failed.error == "ModelMissing" and failed.hint
    door.send(Continue("20200101-bcdf"))
    assert heard.until(Failed) == failed  # it still listens: without a model nothing goes on
    door.close()


# ── batches ──────────────────────────────────────────────────────────────────────────────────────


class Batches:
    """What a coalescer delivered. ``gate`` holds a delivery up, as a busy screen does."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Event]] = []
        self.gate = threading.Event()
        self.arrived = threading.Semaphore(0)

    def __call__(self, events: Sequence[Event]) -> None:
        self.batches.append(events)
        self.arrived.release()
        self.gate.wait(30)

    def wait(self) -> None:
        assert self.arrived.acquire(timeout=30)


def thought(text: str, turn: int = 1) -> ThoughtDelta:
    return ThoughtDelta(text, session="s", run=1, turn=turn)


def test_one_event_alone_is_delivered_at_once() -> None:
    batches = Batches()
    coalescer = Coalescer(batches, rate=0.02)  # only the first of two deliveries is not made to wait
    coalescer.put(thought("a"))
    batches.wait()
    assert batches.batches == [[thought("a")]]
    coalescer.close()
    batches.gate.set()


def test_what_comes_meanwhile_goes_together_with_pieces_of_one_text_joined() -> None:
    batches = Batches()
    coalescer = Coalescer(batches, rate=1000)
    coalescer.put(TurnStarted())
    batches.wait()
    other = PageOpened("/a.md", "A", "text")
    told = [thought("a"), thought("b"), thought("c", 2), other, thought("d", 2), AnswerDelta("e"), AnswerDelta("f")]
    for event in told:
        coalescer.put(event)
    batches.gate.set()
    batches.wait()
    assert batches.batches[1] == [thought("ab"), thought("c", 2), other, thought("d", 2), AnswerDelta("ef")]
    coalescer.close()


pieces = st.one_of(
    st.builds(thought, st.text(max_size=3), st.integers(1, 2)),
    st.builds(AnswerDelta, st.text(max_size=3)),
    st.builds(TurnStarted, turn=st.integers(1, 2)),
)


@given(st.lists(pieces, max_size=40))
def test_nothing_is_lost_or_out_of_order(events: list[Event]) -> None:
    delivered: list[Event] = []
    end = PageOpened("end", "", "")
    done = threading.Event()

    def deliver(batch: Sequence[Event]) -> None:
        delivered.extend(batch)
        if end in batch:
            done.set()

    coalescer = Coalescer(deliver, rate=10_000)
    for event in (*events, end):
        coalescer.put(event)
    assert done.wait(30)
    coalescer.close()

    def letters(told: Sequence[Event]) -> list[object]:
        """Text as its letters, each with its kind and turn; other events as they are."""
        return [
            place
            for event in told
            for place in (
                [(type(event), event.turn, letter) for letter in event.text]
                if isinstance(event, ThoughtDelta | AnswerDelta)
                else [event]
            )
        ]

    assert letters(delivered) == letters([*events, end])


def test_a_closed_coalescer_delivers_nothing_more() -> None:
    batches = Batches()
    batches.gate.set()
    coalescer = Coalescer(batches, rate=1000)
    coalescer.close()
    coalescer.put(TurnStarted())
    assert not batches.arrived.acquire(timeout=0.1)
