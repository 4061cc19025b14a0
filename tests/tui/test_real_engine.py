"""The whole way, with nothing stood in for: engine process, llama.cpp, LanceDB, journal, command line."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.protocol import (
    Ask,
    Command,
    Continue,
    EngineReady,
    EngineStopped,
    Event,
    Failed,
    IndexEnded,
    IndexPaths,
    RunEnded,
    RunStarted,
    TurnEnded,
    decode_event,
)
from engine.sessions import Journal
from engine.settings import Settings, load_settings
from tui.bridge import EngineProcess
from tui.fold import fold_all

pytestmark = [pytest.mark.model, pytest.mark.embedder, pytest.mark.timeout(600)]

NOTES = {
    "lamp.md": "# The lamp\n\nThe lamp of the lighthouse burns whale oil.\n\n## Lighting\n\nIt is lit at dusk by the keeper.\n",
    "keeper.md": "# The keeper\n\nThe first keeper was Ada Quill.\n\n## Years\n\nShe kept the lamp for nineteen years.\n",
    "tower.md": "# The tower\n\nThe tower is thirty-one metres high.\n\n## Stone\n\nIt was built of basalt in 1874.\n",
}


class Talk:
    """A door and the events that came out of it."""

    def __init__(self, settings: Settings) -> None:
        self.told: list[Event] = []
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.door = EngineProcess(settings, self._queue.put)

    def send(self, command: Command) -> None:
        self.door.send(command)

    def until(self, right: Callable[[Event], bool]) -> Event:
        while True:
            event = self._queue.get(timeout=180)
            self.told.append(event)
            if right(event):
                return event
            assert not (isinstance(event, Failed) and not event.session), event


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    talk = Talk(load_settings({"data_dir": tmp_path / "data", "threads": 1}, env={}))
    talk.send(IndexPaths((str(folder),)))
    talk.until(lambda event: isinstance(event, IndexEnded))
    yield talk
    talk.door.close()


@pytest.mark.fault
def test_a_killed_engine_comes_back_and_the_run_goes_on(talk: Talk, tmp_path: Path) -> None:
    talk.send(Ask("Who was the first keeper of the lighthouse?"))
    talk.until(lambda event: isinstance(event, TurnEnded) and event.turn == 2)
    os.kill(talk.door.pid, signal.SIGKILL)
    stopped = talk.until(lambda event: isinstance(event, EngineStopped))
    assert isinstance(stopped, EngineStopped)
    assert "SIGKILL" in stopped.reason and stopped.restarting
    talk.until(lambda event: isinstance(event, EngineReady))

    ended = [event for event in talk.told if isinstance(event, TurnEnded)]
    session = ended[0].session
    journal = Journal(tmp_path / "data" / "sessions.db")
    kept = list(journal.events(session))
    assert [event for event in kept if isinstance(event, TurnEnded)][: len(ended)] == ended
    state = fold_all(talk.told)
    assert state.run is not None and not state.run.running and state.can_continue

    talk.send(Continue(session))
    resumed = talk.until(lambda event: isinstance(event, RunStarted))
    assert isinstance(resumed, RunStarted) and resumed.resumed
    done = talk.until(lambda event: isinstance(event, RunEnded))
    assert isinstance(done, RunEnded) and done.turns > len(ended)
    events = list(journal.events(session))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    journal.close()


def test_what_was_told_and_what_was_kept_fold_to_the_same(talk: Talk, tmp_path: Path) -> None:
    talk.send(Ask("How high is the tower?"))
    talk.until(lambda event: isinstance(event, RunEnded))
    session = talk.told[-1].session
    journal = Journal(tmp_path / "data" / "sessions.db")
    live = fold_all(event for event in talk.told if event.session == session)
    assert fold_all(journal.events(session)) == live
    assert live.run is not None and live.run.citations and live.run.answer_final
    journal.close()


def test_demo_without_a_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--data-dir", str(tmp_path), "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n  sees  ") >= 4
    assert "\n  masked  " in done.stdout
    assert "\n✓ verified  [" in done.stdout


def test_json_lines_are_the_events(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "keeper.md").write_text(NOTES["keeper.md"])
    base = [sys.executable, "-m", "tui", "--data-dir", str(tmp_path / "data")]
    subprocess.run([*base, "index", str(folder)], check=True, capture_output=True)
    asked = [*base, "ask", "--json", "--max-turns", "3", "Who was the first keeper?"]
    done = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    told = [event for event in map(decode_event, lines) if event.session]
    assert isinstance(told[-1], RunEnded)
    journal = Journal(tmp_path / "data" / "sessions.db")
    assert fold_all(journal.events(told[-1].session)) == fold_all(told)
    journal.close()


OFFLINE = """
import sys
reached = []
# Left out: socket.bind. A library of transformers binds one to ::1 when it is imported, to see whether there is IPv6.
wanted = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname")
sys.addaudithook(lambda event, args: reached.append((event, args)) if event in wanted else None)
from tui.cli import main
home, folder = sys.argv[1:]
for arguments in (["index", folder], ["ask", "--max-turns", "3", "Who was the first keeper?"]):
    try:
        main(["--in-process", "--data-dir", home, *arguments])
    except SystemExit as end:
        assert end.code in (0, 3), end.code
sys.exit(f"the network was reached for: {reached}" if reached else 0)
"""


def test_offline_means_offline(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "keeper.md").write_text(NOTES["keeper.md"])
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path / "data"), str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ada Quill" in done.stdout
