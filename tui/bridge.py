"""The way to an engine: in a process of its own, which may crash and is started again, or in this one.

Both ways are doors: commands go in with ``send``, events come out through the function the door was made with, on a
thread of the door's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import IO, TYPE_CHECKING, Protocol

from engine import protocol
from engine.clean import clean_line
from engine.errors import ProtocolError
from engine.protocol import AnswerDelta, Command, EngineStopped, Event, Shutdown, ThoughtDelta, Unknown

if TYPE_CHECKING:
    from engine.settings import Settings

OnEvent = Callable[[Event], None]

RESTARTS = 3
"""An engine that dies more often than this within a minute stays down: something is wrong that a restart won't mend."""

_PATIENCE = 8.0
"""Seconds an engine gets to finish writing before it is ended."""


class Door(Protocol):
    """An engine, seen from outside."""

    def send(self, command: Command) -> None:
        """Give a command. Never blocks on what the engine does with it."""
        ...

    def close(self) -> None:
        """Let the engine finish writing and end it."""
        ...


class EngineProcess:
    """An engine in a child process. When it dies, an EngineStopped event says why, and another one is started.

    ``command`` is run instead of the engine's own host. Raises SettingsError where there is no place for the log.
    """

    def __init__(self, settings: Settings, on_event: OnEvent, *, command: Sequence[str] = ()) -> None:
        settings.prepare()
        self._command = list(command) or [sys.executable, "-m", "engine.host", "--settings", settings.to_json()]
        self._log = settings.log_dir / "engine.log"
        self._on_event = on_event
        self._lock = threading.Lock()
        self._closing = False
        self._deaths: list[float] = []
        self._child = self._spawn()
        self._reader = threading.Thread(target=self._read, name="engine-events", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id; another one after a restart."""
        return self._child.pid

    def send(self, command: Command) -> None:
        with self._lock:
            _write(self._child.stdin, protocol.encode(command))

    def close(self) -> None:
        with self._lock:
            self._closing = True
            _write(self._child.stdin, protocol.encode(Shutdown()))
            child = self._child
        for harder in (child.terminate, child.kill, child.kill):
            try:
                child.wait(_PATIENCE)
                break
            except subprocess.TimeoutExpired:
                harder()
        self._reader.join(_PATIENCE)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _close(pipe)

    def _spawn(self) -> subprocess.Popen[str]:
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,  # what it says before it has a log of its own must not land on the screen either
                text=True,
                encoding="utf-8",
                errors="backslashreplace",
                bufsize=1,
                start_new_session=True,  # ctrl+c in the terminal is for the front end to interpret
            )
        finally:
            os.close(log)

    def _read(self) -> None:
        while True:
            child = self._child
            for line in child.stdout or ():
                self._on_event(_event(line))
            code = child.wait()
            with self._lock:
                if self._closing:
                    return
                restarting = self._restart()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    _close(pipe)
            reason = f"the engine process {_died(code)}; see {self._log}"
            self._on_event(EngineStopped(reason, restarting))
            if not restarting:
                return

    def _restart(self) -> bool:
        """Start another child, unless too many have died lately or none can be started."""
        now = time.monotonic()
        self._deaths = [*(death for death in self._deaths if now - death < 60), now]
        if len(self._deaths) > RESTARTS:
            return False
        try:
            self._child = self._spawn()
        except OSError:
            return False
        return True


class InProcess:
    """An engine in this very process: no isolation, easy to debug. Events come on the engine's threads."""

    def __init__(self, settings: Settings, on_event: OnEvent) -> None:
        from engine import __version__
        from engine.engine import Engine
        from engine.errors import DeepSearchError
        from engine.offline import hold

        self._error = DeepSearchError
        self._on_event = on_event
        server = settings.server
        self._engine = Engine(settings, on_event, guard=partial(hold, allowed=[server.place] if server else []))
        on_event(protocol.EngineReady(protocol=protocol.VERSION, version=__version__, pid=os.getpid()))
        self._engine.warm()

    def send(self, command: Command) -> None:
        try:
            self._engine.handle(command)
        except self._error as error:
            self._on_event(protocol.Failed(type(error).__name__, str(error), error.hint))

    def close(self) -> None:
        self._engine.close()


class Coalescer:
    """Passes events on in batches, at most ``rate`` a second, with pieces of one text joined. Fed from any thread.

    ``deliver`` is called on a thread of the coalescer's own.
    """

    def __init__(self, deliver: Callable[[Sequence[Event]], object], rate: float = 20) -> None:
        self._deliver = deliver
        self._pause = 1 / rate
        self._waiting: list[Event] = []
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._run, name="coalescer", daemon=True).start()

    def put(self, event: Event) -> None:
        with self._changed:
            last = self._waiting[-1] if self._waiting else None
            if (joined := _joined(last, event)) is not None:
                self._waiting[-1] = joined
            else:
                self._waiting.append(event)
            self._changed.notify()

    def close(self) -> None:
        """Deliver nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                batch, self._waiting = self._waiting, []
            self._deliver(batch)
            time.sleep(self._pause)  # what comes meanwhile goes together


def _joined(last: Event | None, event: Event) -> Event | None:
    """One event for two pieces of the same text, or None."""
    for kind in (ThoughtDelta, AnswerDelta):
        if isinstance(event, kind) and isinstance(last, kind) and _place(last) == _place(event):
            return replace(event, text=last.text + event.text)
    return None


def _place(event: Event) -> tuple[str, int, int]:
    return event.session, event.run, event.turn


def _event(line: str) -> Event:
    try:
        return protocol.decode_event(line)
    except ProtocolError:
        return Unknown(name="unreadable", data={"line": clean_line(line)})


def _died(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _write(pipe: IO[str] | None, line: str) -> None:
    try:
        if pipe is not None:
            pipe.write(line + "\n")
            pipe.flush()
    except (OSError, ValueError):
        return  # it has died: the reader says so and starts another


def _close(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except OSError:
        return
