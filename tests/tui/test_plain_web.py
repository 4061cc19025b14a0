"""The front end without a screen asks before anything is sent, at a real terminal; without one the word is no."""

from __future__ import annotations

import io
import os
import pty
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from engine.protocol import (
    ApprovalGiven,
    ApprovalNeeded,
    Approve,
    Ask,
    Command,
    EndReason,
    Event,
    Network,
    NetworkEntry,
    RunEnded,
    Stop,
)
from tests.tui import fakes
from tui.plain import Conversation

NEEDED = ApprovalNeeded("3", "query", "keeper of the lamp", "searx.lan")


class Door:
    """An engine that wants a word before it answers a question, and ends the run once it has it."""

    def __init__(self, receive: Callable[[Event], None]) -> None:
        self.receive = receive
        self.commands: list[Command] = []

    def send(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Ask():
                for event in (*fakes.RUNNING, NEEDED):
                    self.receive(event)
            case Approve(request, allowed):
                self.receive(ApprovalGiven(request, NEEDED.what, NEEDED.text, NEEDED.host, allowed, session="s", run=1))
                self.end("answered")
            case Stop():
                self.end("stopped")

    def end(self, why: EndReason) -> None:
        self.receive(RunEnded(why, 3, 1.0, session=fakes.SESSION, run=1))

    def close(self) -> None: ...


def converse(keyboard: IO[str], err: IO[str], *, json: bool = False) -> tuple[int, Door]:
    doors: list[Door] = []

    def make(receive: Callable[[Event], None]) -> Door:
        doors.append(Door(receive))
        return doors[-1]

    conversation = Conversation(make, out=io.StringIO(), err=err, keyboard=keyboard, json=json)
    return conversation.ask(Ask("Who?")), doors[0]


@contextmanager
def terminal() -> Iterator[tuple[int, IO[str], IO[str]]]:
    """The person's side of a terminal, and the program's: what it reads and what it writes."""
    person, program = pty.openpty()
    with os.fdopen(program, "r", closefd=False) as reads, os.fdopen(program, "w", closefd=False) as writes:
        yield person, reads, writes
    os.close(program)
    os.close(person)


@pytest.mark.parametrize(
    ("typed", "allowed"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False), ("\x04", False)]
)
def test_the_person_at_the_terminal_is_asked(typed: str, allowed: bool) -> None:
    with terminal() as (person, reads, writes):
        os.write(person, typed.encode())
        _, door = converse(reads, writes)
        shown = ""
        while "[y/N]" not in shown:
            shown += os.read(person, 100_000).decode()
    assert door.commands[-1] == Approve("3", allowed)
    assert "query for searx.lan: keeper of the lamp" in shown and "send it? [y/N]" in shown


def test_ctrl_c_at_the_question_stops_the_run() -> None:
    def interrupt() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    with terminal() as (_, reads, writes):
        threading.Thread(target=interrupt).start()
        code, door = converse(reads, writes)
    assert (code, door.commands[-1]) == (130, Stop())


@pytest.mark.parametrize("json", [False, True])
def test_without_a_terminal_nothing_is_sent_and_that_is_said(json: bool) -> None:
    err = io.StringIO()
    _, door = converse(io.StringIO("y\n"), err, json=json)
    assert door.commands[-1] == Approve("3", False)
    assert "not sent: there is no terminal to ask at. --web on sends without asking." in err.getvalue()


def test_every_request_is_told() -> None:
    entry = NetworkEntry(
        fakes.START, "page", "GET", "http://site.test/", "site.test", "93.184.215.14", 200, 1234, 0.5, "read"
    )
    err = io.StringIO()

    class Quiet(Door):
        def send(self, command: Command) -> None:
            for event in (*fakes.RUNNING, Network(entry, session=fakes.SESSION, run=1)):
                self.receive(event)
            self.end("answered")

    Conversation(Quiet, out=io.StringIO(), err=err).ask(Ask("Who?"))
    assert "web  GET http://site.test/  read, 1,234 bytes" in err.getvalue()
    assert "web  off" in err.getvalue()
