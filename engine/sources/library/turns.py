"""Who may use the model next: one at a time, in the order of asking, and whoever is waited for before all others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that is fair. A plain one goes back, again and again, to the thread that has just let go of it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: list[object] = []  # the first one has the turn

    @contextmanager
    def take(self, *, urgent: bool = False) -> Iterator[None]:
        """Wait for one's turn and hold it. ``urgent``: right after the one who has it now."""
        ticket = object()
        try:
            with self._changed:
                self._queue.insert(1 if urgent else len(self._queue), ticket)
                self._changed.wait_for(lambda: self._queue[0] is ticket)
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()
