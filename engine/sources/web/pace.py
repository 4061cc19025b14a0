"""Manners: one request to a host at a time, and some time between two."""

from __future__ import annotations

import threading
import time
from collections import defaultdict


class Pace:
    """When each host may be asked next. ``interval`` in seconds. Safe to use from several threads."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def turn(self, host: str) -> float:
        """Takes the next turn with a host. Seconds until it comes."""
        with self._lock:
            now = time.monotonic()
            comes = max(now, self._next[host])
            self._next[host] = comes + self._interval
            return comes - now

    def rest(self, host: str, seconds: float) -> None:
        """Ask the host nothing for so long."""
        with self._lock:
            self._next[host] = max(self._next[host], time.monotonic() + seconds)
