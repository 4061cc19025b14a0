"""One writer at a time, whichever process it lives in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import LibraryLocked


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the lock on the file ``path`` or raise LibraryLocked. The system lets go of it when a process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _take(descriptor)
        except OSError as error:
            raise LibraryLocked(
                f"Another process is indexing the library {path.parent.name!r}.", "Wait until it is done, or stop it."
            ) from error
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
