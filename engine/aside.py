"""A SQLite file that cannot be read is set aside, so that a new one can begin and nothing is lost."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path


def set_aside(path: Path) -> Path | None:
    """Move the file and what belongs to it; where it went, if there was one.

    The log of last writes keeps its name beside it, so that SQLite finds it.
    """
    if not path.exists():
        for suffix in ("-wal", "-shm"):  # of no use without their file, and harmful to the next one
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return None
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside
