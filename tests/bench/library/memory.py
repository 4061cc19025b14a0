"""``python -m tests.bench.library.memory``: the most memory that indexing takes, of a tenth of a corpus and of all of it.

Vectors are made up, since what makes real ones takes the same memory whatever the corpus; all else is as it always is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from engine.sources.library import Library
from engine.sources.library.embed import MiniLM
from tests.bench.library import fetch
from tests.bench.report import BENCHMARKS, replace_block, table

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

PAGES = 2000


class MadeUp(MiniLM):
    """Finds tokens as the real one does; its vectors only depend on the text."""

    def tune(self, texts: Sequence[str], known: str) -> str:
        return known

    def embed(self, texts: Sequence[str]) -> Vectors:
        seeds = (int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest()) for each in texts)
        made = np.stack([np.random.default_rng(seed).normal(size=self.dimensions) for seed in seeds])
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Peak:
    """Of one indexing: what it was given, and the most memory, in MB, of the writer and of its largest helper.

    Helpers are the processes that read files, and the one that tidies a table of many rows.
    """

    files: int
    megabytes: float
    chunks: int
    writer: float
    helper: float


def pages(trees: Path, most: int) -> list[Path]:
    """So many pages of the corpora, in the order of the hashes of their names."""
    found = [path for path in trees.rglob("*.html") if path.is_file() and not path.is_symlink()]
    return sorted(found, key=lambda each: hashlib.blake2b(str(each.relative_to(trees)).encode()).digest())[:most]


def measure(files: Sequence[Path]) -> Peak:
    """Index copies of these files, in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pages"
        folder.mkdir()
        for number, path in enumerate(files):
            shutil.copyfile(path, folder / f"{number:06}.html")
        command = [sys.executable, "-m", "tests.bench.library.memory", "--index", str(folder)]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    size = sum(path.stat().st_size for path in files) / 1e6
    return Peak(len(files), size, **json.loads(told))


def index(folder: Path) -> dict[str, float]:
    """Index a folder beside it; how many chunks it has, and what memory that took."""
    library = Library(folder.parent / "libraries", embedder=MadeUp())
    with helpers() as most:
        ended = library.index([folder])
    library.close()
    if ended.failures or ended.embedded != ended.chunks:
        raise SystemExit(f"{len(ended.failures)} files failed.")
    return {"chunks": ended.chunks, "writer": peak("self"), "helper": max(most)}


def peak(process: int | str) -> float:
    """The most memory in MB that a process had. What the system tells of ended ones includes who started them."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def helpers() -> Iterator[list[float]]:
    """The highest peak, as the only item, of the processes that this one starts meanwhile."""
    most, latest, ended = [0.0], dict[int, float](), threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            with suppress(OSError, psutil.Error):  # one may end just now
                for child in psutil.Process().children():
                    # Just begun, a process tells of its parent's memory; at its end, of none.
                    latest[child.pid] = peak(child.pid) or latest.get(child.pid, 0.0)

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()
        most[0] = max(latest.values(), default=0.0)


def told(peaks: Sequence[Peak]) -> str:
    """The table, and how the largest compares with the smallest."""
    head = ["files", "MB", "chunks", "writer's peak MB", "largest helper's peak MB"]
    rows = [
        [f"{each.files:,}", f"{each.megabytes:.0f}", f"{each.chunks:,}", f"{each.writer:.0f}", f"{each.helper:.0f}"]
        for each in peaks
    ]
    first, last = peaks[0], peaks[-1]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: with {last.chunks / first.chunks:.1f} times the chunks the writer's "
        f"peak is {last.writer / first.writer:.2f} times as high, that of its largest helper "
        f"{last.helper / first.helper:.2f} times.\n\n" + table(head, rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=fetch.cache(), help="where corpora are kept; %(default)s")
    parser.add_argument("--pages", type=int, default=PAGES, help="how many pages are all; %(default)s")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    parser.add_argument("--index", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.index:
        print(json.dumps(index(given.index)))
        return
    files = pages(given.cache / "trees", given.pages)
    report = told([measure(files[: len(files) // 10]), measure(files)])
    print(report)
    if given.write:
        replace_block(BENCHMARKS, "memory", report)


if __name__ == "__main__":
    main()
