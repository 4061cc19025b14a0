"""An indexing process killed at its worst moments; what it leaves must open, and the next run must complete it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.sources.library import Library
from tests.engine.sources.library.hashing import HashEmbedder

VICTIM = """
import os, signal, sys
from pathlib import Path
from engine.sources.library import Library
from tests.engine.sources.library.hashing import HashEmbedder

class Mortal(HashEmbedder):
    def token_starts(self, text):
        if f"Story {sys.argv[3]} " in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().token_starts(text)

    def embed(self, texts):
        if self.embedded >= int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(texts)

Library(Path(sys.argv[1]), embedder=Mortal()).index([Path(sys.argv[2])])
"""


@pytest.mark.fault
@pytest.mark.parametrize(("story", "vectors"), [(150, 0), (-1, 0), (-1, 272)], ids=["reading", "before", "embedding"])
def test_the_run_after_a_kill_completes_the_index(tmp_path: Path, story: int, vectors: int) -> None:
    folder = tmp_path / "stories"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number:03}.txt").write_text(f"Story {number} tells of harbour{number}.\n")
    arguments = [str(tmp_path / "libraries"), str(folder), str(story), str(vectors)]
    killed = subprocess.run([sys.executable, "-c", VICTIM, *arguments], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    library = Library(tmp_path / "libraries", embedder=HashEmbedder())
    try:
        left = library.status()
        assert 0 < left.documents <= 300 and left.embedded < 300
        assert library.search("harbour3", 1)[0].uri == str(folder / "003.txt")
        ended = library.index()
        assert ended.added + ended.unchanged == 300 and ended.failures == ()
        status = library.status()
        assert (status.documents, status.chunks, status.embedded) == (300, 300, 300)
    finally:
        library.close()
