"""What one run of indexing has to tell: how far it is, what was left out, what failed, and how it ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from engine.clean import clean_line
from engine.protocol import FileFailure, IndexEnded, IndexProgress

_PROGRESS_SECONDS = 0.1

_FILE = 20_000
"""Bytes. Opening a file and starting on it takes about as long as reading so many."""


def left(seconds: float, done: tuple[int, int], all_of_it: tuple[int, int]) -> float:
    """The seconds that reading the rest will take, from what it took so far. Both are files and bytes."""
    did, whole = (files * _FILE + size for files, size in (done, all_of_it))
    return seconds / did * max(0, whole - did) if did else -1.0


@dataclass
class Telling:
    """Counts of one run. ``files``, ``chunks`` and ``embedded`` are what the library holds now."""

    library: str
    progress: Callable[[IndexProgress], None]
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    files: int = 0
    chunks: int = 0
    embedded: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failures: dict[str, FileFailure] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def fail(self, path: str, reason: str, hint: str) -> None:
        """A file or folder that could not be indexed. Told once, however often it is met."""
        name = clean_line(path)
        self.failures[name] = FileFailure(name, reason, hint)

    def tell(
        self,
        phase: Literal["scan", "read", "embed"],
        done: int,
        total: int,
        path: str = "",
        eta: float = -1.0,
        *,
        speed: float = 0.0,
        now: bool = False,
    ) -> None:
        """Progress, not more often than anyone can read."""
        if now or time.monotonic() - self.told >= _PROGRESS_SECONDS:
            self.told = time.monotonic()
            found = (self.files, self.chunks, self.embedded)
            self.progress(IndexProgress(self.library, phase, done, total, clean_line(path), eta, *found, speed))

    def ended(self, *, cancelled: bool) -> IndexEnded:
        """The report."""
        return IndexEnded(
            library=self.library,
            added=self.added,
            changed=self.changed,
            unchanged=self.unchanged,
            removed=self.removed,
            skipped=dict(self.skipped),
            failures=tuple(self.failures.values()),
            chunks=self.chunks,
            seconds=time.monotonic() - self.began,
            cancelled=cancelled,
            embedded=self.embedded,
        )
