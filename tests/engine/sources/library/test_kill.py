"""An indexing process killed at its worst moments; what it leaves must open, and the next run must complete it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.sources.library import Library
from tests.engine.sources.library.hashing import HashEmbedder

VICTIM = "tests.engine.sources.library.victim"


STORIES = 900


@pytest.mark.fault
@pytest.mark.parametrize(("story", "vectors"), [(0, 0), (-1, 0), (-1, 520)], ids=["reading", "before", "embedding"])
def test_the_run_after_a_kill_completes_the_index(tmp_path: Path, story: int, vectors: int) -> None:
    folder = tmp_path / "stories"
    folder.mkdir()
    for number in range(STORIES):
        path = folder / f"{number:03}.txt"
        path.write_text(f"Story {number} tells of harbour{number}.\n")
        os.utime(path, (1e9 + number, 1e9 + number))  # the newest is read first: story 0 is the last one
    arguments = [str(tmp_path / "libraries"), str(folder), str(story), str(vectors)]
    killed = subprocess.run([sys.executable, "-m", VICTIM, "die", *arguments], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    library = Library(tmp_path / "libraries", embedder=HashEmbedder())
    try:
        left = library.status()
        assert 0 < left.documents <= STORIES and left.embedded < STORIES
        assert library.search(f"harbour{STORIES - 1}", 1)[0].uri == str(folder / f"{STORIES - 1}.txt")
        ended = library.index()
        assert ended.added + ended.unchanged == STORIES and ended.failures == ()
        status = library.status()
        assert (status.documents, status.chunks, status.embedded) == (STORIES, STORIES, STORIES)
    finally:
        library.close()
