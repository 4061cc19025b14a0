"""What indexing costs beside what cannot be avoided: embedding alone, and a bare walk over the files."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engine.sources.library import Library
from engine.sources.library.embed import MiniLM
from engine.sources.library.heavy import load_lancedb
from engine.sources.library.table import Row
from tests.engine.sources.library.hashing import HashEmbedder

T = TypeVar("T")

ROUNDS = 7

_BEGINNING = 500
"""Bytes."""
_BATCH = 8
"""As the library embeds: so few texts of one length need no padding."""


@dataclass(frozen=True)
class Ingest:
    """Chunks a second of processor time and of the clock: indexing from files to vectors, and embedding alone."""

    chunks: int
    indexing: tuple[float, float]
    embedding: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Of processor time: what else runs on the machine takes from both clocks, at different moments."""
        return self.indexing[0] / self.embedding[0]


@dataclass(frozen=True)
class Unchanged:
    """Median processor seconds to index a tree again that has not changed, and to walk it with ``os.scandir`` and
    ``stat``.
    """

    files: int
    indexing: float
    walking: float

    @property
    def ratio(self) -> float:
        return self.indexing / self.walking


def measure_ingest(documents: Path, chunks: int) -> Ingest:
    """Index some documents of about so many chunks, then embed the very same chunks alone."""
    embedder = MiniLM()
    load_lancedb()
    embedder.tune([f"What is loaded and chosen once is no part of it {number}. " * 5 for number in range(4)], "")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "documents"
        folder.mkdir()
        size = 0
        for path in sorted(each for each in documents.rglob("*") if each.is_file()):
            if size > chunks * 600:  # characters; a chunk has about so many
                break
            shutil.copy(path, folder / f"{size}-{path.name}")
            size += path.stat().st_size
        library = Library(Path(place) / "libraries", embedder=embedder)
        indexing, ended = _both(lambda: library.index([folder]))
        texts = [row.text for row in _rows(library)]
        library.close()
    texts.sort(key=len, reverse=True)
    embedding, _ = _both(lambda: [embedder.embed(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)])
    count = ended.embedded
    return Ingest(count, (count / indexing[0], count / indexing[1]), (count / embedding[0], count / embedding[1]))


def measure_unchanged(trees: Path) -> Unchanged:
    """Index a copy of the trees, then again and again, each time beside a bare walk.

    Of each file there is only the beginning, and the vectors are not the model's: neither is looked at again.
    """
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "copy"
        for path in (each for each in trees.rglob("*") if each.is_file() and not each.is_symlink()):
            target = copy / path.relative_to(trees)
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as file:
                target.write_bytes(file.read(_BEGINNING))
            os.utime(target, (1e9, 1e9))
        library = Library(Path(place) / "libraries", embedder=HashEmbedder())
        library.index([copy])
        files = library.index().unchanged
        again, walks = [], []
        for _ in range(ROUNDS):
            again.append(_both(library.index)[0][0])
            walks.append(_both(lambda: _walk(copy))[0][0])
        library.close()
        return Unchanged(files, statistics.median(again), statistics.median(walks))


def _rows(library: Library) -> list[Row]:
    return library._table.rows("", 1 << 20)


def _walk(folder: Path) -> int:
    """All files below, each with its size and time."""
    seen, due = 0, [os.fspath(folder)]
    while due:
        with os.scandir(due.pop()) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    due.append(each.path)
                else:
                    each.stat(follow_symlinks=False)
                    seen += 1
    return seen


def _both(do: Callable[[], T]) -> tuple[tuple[float, float], T]:
    """Seconds of this process and of the clock, and what came of it."""
    began, clock = time.process_time(), time.perf_counter()
    made = do()
    return (time.process_time() - began, time.perf_counter() - clock), made
