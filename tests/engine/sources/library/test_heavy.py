"""Heavy libraries are imported by one thread at a time: two at once have been handed half-made modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading
from pathlib import Path
from engine.sources.library import Library
from engine.sources.library.heavy import one_at_a_time

home, notes = Path(sys.argv[1]), Path(sys.argv[2])
jobs = (Library(home, "a").warm, lambda: Library(home, "b").index([notes]))
threads = [threading.Thread(target=job, daemon=True) for job in jobs]
with one_at_a_time():  # as if a third thread were in the middle of an import
    for thread in threads:
        thread.start()
    threads[0].join(1.5)
    early = {"lancedb", "sentence_transformers", "torch"} & set(sys.modules)
for thread in threads:
    thread.join()
late = {"lancedb", "sentence_transformers", "torch"} - set(sys.modules)
sys.exit(f"imported too early: {early}; never imported: {late}" if early or late else 0)
"""


@pytest.mark.embedder
def test_threads_wait_for_each_others_imports(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# Lamp\n\nThe lamp burns whale oil.\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(notes)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
