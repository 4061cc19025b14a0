"""Two threads may be the first to need LanceDB at the same moment: one that warms up, one that indexes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading
from pathlib import Path
from engine.sources.library import Library

home, notes = Path(sys.argv[1]), Path(sys.argv[2])
start, problems = threading.Barrier(3), []

def at_once(do):
    start.wait()
    try:
        do()
    except Exception as error:
        problems.append(repr(error))

jobs = (Library(home, "a").warm, Library(home, "b").warm, lambda: Library(home, "c").index([notes]))
threads = [threading.Thread(target=at_once, args=(job,)) for job in jobs]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit("; ".join(problems) or 0)
"""


@pytest.mark.embedder
def test_first_use_by_several_threads(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# Lamp\n\nThe lamp burns whale oil.\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(notes)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
