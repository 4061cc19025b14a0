"""How work that goes on by itself is held back or called off, from another thread."""

from __future__ import annotations

import threading


class Reins:
    """Asked now and then, between two pieces of work, whether to end. While it is paused, the answer waits."""

    def __init__(self) -> None:
        self._going = threading.Event()
        self._going.set()
        self._cancelled = False

    def __call__(self) -> bool:
        """Whether to end."""
        self._going.wait()
        return self._cancelled

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    def pause(self, paused: bool = True) -> None:
        """Rest, or go on. What was called off does not rest any more."""
        if paused and not self._cancelled:
            self._going.clear()
        else:
            self._going.set()

    def cancel(self) -> None:
        """End, also out of a pause."""
        self._cancelled = True
        self._going.set()
