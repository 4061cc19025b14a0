"""Gives a session's events their place in time, writes them down, then passes them on. In that order: what a
front end has seen is in the journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from engine.errors import SessionError
from engine.history import History, remember
from engine.protocol import Event, TurnStarted
from engine.sessions import Journal


class Recorder:
    """The one writer of a session's events. Safe to use from several threads.

    ``history`` is what the user changed in the session so far, and grows with it.
    """

    def __init__(
        self,
        journal: Journal,
        session: str,
        run: int,
        emit: Callable[[Event], None],
        history: History | None = None,
    ) -> None:
        self.session = session
        self.run = run
        self.history = history or History()
        self._journal = journal
        self._emit = emit
        self._lock = threading.Lock()
        self._seq = journal.next_seq(session)
        self._turn = 0

    def record(self, event: Event, *, anyway: bool = False) -> None:
        """Stamp, append, emit. Raises SessionError where the journal cannot be written; ``anyway`` emits even then."""
        with self._lock:
            if isinstance(event, TurnStarted):
                self._turn = event.turn
            stamped = replace(event, session=self.session, run=self.run, turn=self._turn, seq=self._seq, at=time.time())
            try:
                self._journal.append(stamped)
                self._seq += 1
                self.history = remember(self.history, stamped)
            except SessionError:
                if not anyway:
                    raise
            self._emit(stamped)
