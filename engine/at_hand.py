"""What an engine is about at the moment: the session that was asked in or opened last, and the run under way in it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine import replay
from engine.agent.loop import Controls, Run
from engine.protocol import Event, Policy
from engine.recorder import Recorder
from engine.sessions import Journal


class AtHand:
    """At most one run. ``controls`` are there from the moment a question is taken, ``run`` once it is prepared."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.recorder: Recorder | None = None
        self.controls: Controls | None = None
        self.run: Run | None = None
        self._emit = emit
        self._lock = threading.Lock()
        self._said: list[Event] = []  # marks and policies set before there was a session

    @property
    def busy(self) -> bool:
        return self.controls is not None

    def begin(self, policy: Policy) -> Controls | None:
        """Take a question; None where another one is being answered."""
        with self._lock:
            if self.controls is not None:
                return None
            self.controls = Controls(policy=policy)
            return self.controls

    def take(self, recorder: Recorder, run: Run | None = None) -> None:
        """From now on it is about this session."""
        self.recorder = recorder
        self._said.clear()
        if run is not None:
            self.run = run

    def end(self, controls: Controls) -> None:
        """The run with these controls is over."""
        with self._lock:
            if self.controls is controls:
                self.controls = self.run = None

    def tell(self, event: Event) -> None:
        """Record in the session. Before there is one, just emit, and keep it for :meth:`catch_up`."""
        if self.recorder is not None:
            self.recorder.record(event)
        else:
            self._said.append(event)
            self._emit(event)

    def catch_up(self, journal: Journal, session: str) -> None:
        """Record what was said before any session was at hand. After a crash, that was about the one that goes on."""
        if session and self.recorder is None and self._said:
            recorder = Recorder(journal, session, replay.past_of(journal.events(session)).run, self._emit)
            for event in self._said:
                recorder.record(event)
