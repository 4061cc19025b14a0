"""Reads files in processes of their own: quick on many files, and a file that kills or hangs its reader is one failure.

For little to read no process is started: that takes longer than the reading.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from engine.errors import LibraryError
from engine.sources.library.discover import Found, Problem
from engine.sources.library.embed import Embedder
from engine.sources.library.read import Reading, read

Job = tuple[Found, str]
"""A file, and the hash it is known by."""

_HARMLESS = frozenset(("text", "markdown", "rst", "html", "code"))
"""Kinds that are read here if there are few of them. Parsers of other formats may hang or crash on a strange file."""

_FEW, _LITTLE = 100, 2_000_000
"""Files and bytes up to which no process is started for harmless ones."""

_MOST = 8
"""Processes at most: one writer takes what they make."""

_AHEAD = 4
"""Files a reader is given before it is done with the first, so that it never waits for the writer."""

_SECONDS, _SECONDS_PER_MB = 60.0, 5.0
"""How long a reader may take for one file."""

_MEMORY = 4 << 30
"""Bytes of address space a reader may take."""

_TICK = 0.5


def readings(
    jobs: Sequence[Job], embedder: Embedder, *, seconds: float = _SECONDS
) -> Generator[tuple[Found, Reading] | None, None, None]:
    """Read the files, in any order. Now and then yields None, so that the caller can see to other things.

    ``seconds`` is the time a reader has for a small file. Closing the generator ends all readers. Raises LibraryError
    where the system lets no process be started.
    """
    few = len(jobs) <= _FEW and sum(found.size for found, _ in jobs) <= _LITTLE
    if few and all(found.kind in _HARMLESS for found, _ in jobs):
        for found, known in jobs:
            yield found, read(found, known, embedder.token_starts)
        return
    yield from _Pool(jobs, embedder, seconds).run()


@dataclass
class _Reader:
    """A process, the pipes to and from it, and the files it was given, the one in hand first."""

    process: BaseProcess
    jobs: Connection
    answers: Connection
    given: deque[Job] = field(default_factory=deque)
    deadline: float = 0.0
    ready: bool = False


class _Pool:
    def __init__(self, jobs: Sequence[Job], embedder: Embedder, seconds: float) -> None:
        self._waiting = deque(jobs)
        self._embedder = embedder
        self._seconds = seconds
        self._readers: list[_Reader] = []

    def run(self) -> Iterator[tuple[Found, Reading] | None]:
        try:
            for _ in range(min(_cores(), _MOST, len(self._waiting))):
                self._readers.append(self._start())
            while any(reader.given for reader in self._readers):
                yield from self._round()
        finally:
            for reader in self._readers:
                reader.process.kill()  # it only reads: there is nothing it could leave half done
            for reader in self._readers:
                self._end(reader)

    def _round(self) -> Iterator[tuple[Found, Reading] | None]:
        """Take what is ready from every reader; see to those that died or take too long."""
        ready = wait([reader.answers for reader in self._readers if reader.given], timeout=_TICK)
        if not ready:
            yield None
        for reader in list(self._readers):
            if reader.answers in ready:
                try:
                    reading = reader.answers.recv()
                except (EOFError, OSError):
                    yield self._lost(reader, "Reading it ended the process that reads.")
                    continue
                if reader.ready:
                    found, _ = reader.given.popleft()
                    yield found, reading
                reader.ready = True
                self._give(reader)
            elif reader.given and time.monotonic() > reader.deadline:
                yield self._lost(reader, "Reading it took too long.")

    def _lost(self, reader: _Reader, reason: str) -> tuple[Found, Reading]:
        """Blame the file in hand, and let a new reader go on with the others."""
        if not reader.ready:
            raise LibraryError("The processes that read files cannot be started.", "The engine's log has the details.")
        (found, _), *others = reader.given
        self._waiting.extendleft(reversed(others))
        reader.process.kill()
        self._end(reader)
        self._readers.remove(reader)
        if self._waiting:
            self._readers.append(self._start())
        hint = "It is tried again when it changes. Open it in its own program and save it again."
        size, mtime_ns = found.size, found.mtime_ns
        return found, Reading(size, mtime_ns, problem=Problem(found.path, reason, hint, kept=True))

    def _start(self) -> _Reader:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of native threads, held
        # Two plain pipes: one for both ways would be a socket, and this program opens none.
        (their_jobs, jobs), (answers, their_answers) = spawn.Pipe(duplex=False), spawn.Pipe(duplex=False)
        arguments = (their_jobs, their_answers, self._embedder, self._seconds)
        process = spawn.Process(target=_work, args=arguments, name="reader", daemon=True)
        process.start()
        their_jobs.close()
        their_answers.close()
        reader = _Reader(process, jobs, answers)
        self._give(reader)
        return reader

    def _give(self, reader: _Reader) -> None:
        """Hand over the next files. The time for the one in hand begins now."""
        while self._waiting and len(reader.given) < _AHEAD:
            job = self._waiting.popleft()
            reader.given.append(job)
            try:
                reader.jobs.send(job)
            except OSError:
                break  # it died: the next look at its pipe notices
        if reader.given:
            reader.deadline = time.monotonic() + _allowed(reader.given[0][0], self._seconds)

    def _end(self, reader: _Reader) -> None:
        reader.process.join(timeout=5)
        reader.jobs.close()
        reader.answers.close()


def _allowed(found: Found, seconds: float) -> float:
    return seconds + found.size / 1e6 * _SECONDS_PER_MB


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(jobs: Connection, answers: Connection, embedder: Embedder, seconds: float) -> None:
    """A reader: answers each file with a reading, until no more can come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is for who started it, and that one ends it
    _be_modest()
    try:
        answers.send(None)  # it could be started
    except OSError:
        return  # whoever started it is gone already
    with Path(os.devnull).open("w") as nowhere:
        while True:
            try:
                found, known = jobs.recv()
                # Whoever waits for this reader ends it in time. Should that one be gone, it ends itself.
                faulthandler.dump_traceback_later(2 * _allowed(found, seconds), exit=True, file=nowhere)
                answers.send(read(found, known, embedder.token_starts))
                faulthandler.cancel_dump_traceback_later()
            except (EOFError, OSError):
                return


def _be_modest() -> None:
    """Leave the machine to its user: yield to every other program, and never take all memory."""
    if sys.platform != "win32":
        import resource

        os.nice(10)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        with suppress(ValueError, OSError):  # not every system knows this limit
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if hard < 0 else min(_MEMORY, hard), hard))
