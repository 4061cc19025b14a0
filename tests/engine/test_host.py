"""The engine's own process, run as the front end runs it: nothing but events on its stdout, whatever libraries print."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from engine import __version__, protocol
from engine.protocol import (
    Ask,
    Command,
    EngineReady,
    Event,
    Failed,
    LibraryOpened,
    Search,
    SearchResults,
    Shutdown,
    decode_event,
    encode,
)
from engine.settings import Settings
from tests.engine.running import QUESTION, settings_in

E = TypeVar("E", bound=Event)

HOST = ("-m", "engine.host")


class Host:
    """A child that serves an engine, and what it wrote to its stdout and stderr."""

    def __init__(self, settings: Settings, program: tuple[str, ...] = HOST) -> None:
        self.child = subprocess.Popen(
            [sys.executable, *program, "--settings", settings.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.log = settings.log_dir / "engine.log"

    def say(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def until(self, kind: type[E]) -> E:
        """The next event of this kind. Every line on the way must be an event."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            event = decode_event(line)
            if isinstance(event, kind):
                return event
        raise AssertionError(f"it ended before any {kind.__name__}")

    def ask(self, command: Command, kind: type[E]) -> E:
        self.say(encode(command))
        return self.until(kind)

    def end(self) -> tuple[list[Event], str]:
        """Close its stdin and wait. The events it still told, and what is on its stderr."""
        out, err = self.child.communicate(timeout=60)
        return [decode_event(line) for line in out.splitlines()], err


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No model is there: what these tests ask for needs none, and a missing one is told at once."""
    return settings_in(tmp_path, model=str(tmp_path / "none.gguf"))


@pytest.fixture
def host(settings: Settings) -> Iterator[Host]:
    host = Host(settings)
    yield host
    host.child.kill()
    host.child.communicate()


def test_it_says_first_that_it_is_ready(host: Host) -> None:
    ready = host.until(EngineReady)
    assert (ready.protocol, ready.version, ready.pid) == (protocol.VERSION, __version__, host.child.pid)
    assert ready.log == str(host.log)
    assert host.until(LibraryOpened).documents == 0


@pytest.mark.parametrize("ending", ["stdin is closed", "it is told to"])
def test_it_ends_in_order(host: Host, ending: str) -> None:
    host.until(EngineReady)
    if ending == "it is told to":
        host.say(encode(Shutdown()))
        assert host.child.wait(60) == 0, "with its stdin still open"
    assert host.end()[1] == ""
    assert host.child.returncode == 0


@pytest.mark.parametrize(
    "line", ["nonsense", "[1]", '{"kind":"Dance"}', '{"kind":"Ask"}', '{"kind":"IndexPaths","paths":5}', ""]
)
def test_a_line_that_is_no_command_is_told_and_the_next_one_is_taken(host: Host, line: str) -> None:
    host.say(line)
    failed = host.until(Failed)
    while failed.error == "ModelMissing":  # told while it warms up
        failed = host.until(Failed)
    assert failed.error == "ProtocolError"
    assert host.ask(Search("lamp"), SearchResults).hits == ()


def test_a_question_it_cannot_answer_is_told_with_what_helps(host: Host) -> None:
    failed = host.ask(Ask(QUESTION), Failed)
    assert (failed.error, bool(failed.hint)) == ("ModelMissing", True)
    assert host.child.poll() is None


LOUD = """
import ctypes, os, sys
from engine import host

libc = ctypes.CDLL(None)
class Loud(host.Engine):
    def warm(self):
        print("python prints")
        print("and complains", file=sys.stderr)
        os.write(1, b"native output\\n")
        os.write(2, b"native complaint\\n")
        libc.puts(b"from C")
        libc.fflush(None)
        os.system("echo a child prints; cat")  # 'cat' would eat the commands, if it could read them
host.Engine = Loud
host.main()
"""


def test_nothing_but_events_comes_out_whatever_is_printed(settings: Settings) -> None:
    host = Host(settings, ("-c", LOUD))
    assert host.ask(Search("lamp"), SearchResults).hits == ()
    told, err = host.end()
    assert (host.child.returncode, err) == (0, "")
    assert told == []
    log = host.log.read_text()
    for line in ("python prints", "and complains", "native output", "native complaint", "from C", "a child prints"):
        assert line in log
    assert host.log.stat().st_mode & 0o077 == 0, "what is read is nobody else's business"


def test_settings_it_cannot_use_end_it_with_the_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *HOST, "--settings", '{"windo": 3}'], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert "windo" in done.stderr


@pytest.mark.fault
def test_it_ends_when_nobody_reads_any_more(settings: Settings) -> None:
    host = Host(settings)
    host.until(EngineReady)
    assert host.child.stdout is not None
    host.child.stdout.close()
    host.say(encode(Search("lamp")))
    assert host.child.wait(60) == 0
    for pipe in (host.child.stdin, host.child.stderr):
        assert pipe is not None
        pipe.close()


PHONES_HOME = """
import socket, sys
import engine.host, engine.loaded
def load(settings, record):
    socket.create_connection(("127.0.0.1", int(settings.model)), 5).close()
    raise RuntimeError("connected")
engine.loaded.load = load
engine.host.main()
"""
"""A host in which loading a model looks for the network, as a hub's library might."""


@pytest.mark.parametrize(("web", "says"), [("off", "The network is off"), ("on", "connected")])
def test_nothing_in_an_engines_process_gets_out_while_the_web_is_off(settings: Settings, web: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        host = Host(replace(settings, web=web, model=port), ("-c", PHONES_HOME))
        assert says in host.until(Failed).message
        host.end()
