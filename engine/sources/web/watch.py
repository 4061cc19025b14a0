"""How long a request may take, and whether somebody still waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.errors import SourceError

Cancelled = Callable[[], bool]

TICK = 0.05
"""Seconds between two looks at whether a request was called off."""


def never() -> bool:
    """Nobody calls it off."""
    return False


class Watch:
    """The time left to one fetch, all its hops and attempts together.

    ``seconds`` in all, ``idle`` without a byte, ``connect`` for one connection. Time spent waiting for a person or for
    a host's next turn is not counted.
    """

    def __init__(self, seconds: float, idle: float, connect: float, cancelled: Cancelled) -> None:
        self.idle = idle
        self.connect = connect
        self._limit = seconds
        self._ends = time.monotonic() + seconds
        self._cancelled = cancelled

    def check(self) -> None:
        """Raises SourceError when the time is up or the request was called off."""
        if self._cancelled():
            raise SourceError("the request was called off")
        if time.monotonic() > self._ends:
            raise SourceError(f"it took longer than {self._limit:g} seconds")

    def sleep(self, seconds: float, *, counted: bool = True) -> None:
        """Wait, unless called off. Not ``counted``: the fetch ends that much later."""
        if not counted:
            self.excuse(seconds)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(TICK, left))
        self.check()

    def excuse(self, seconds: float) -> None:
        """Let the fetch end that much later."""
        self._ends += max(0.0, seconds)
