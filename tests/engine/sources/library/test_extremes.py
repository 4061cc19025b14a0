"""Files and folders of a size that nobody has at home. Small ones here; FAULT_SIZE=large makes them as large as told.

With ``-s`` each says what it took.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.protocol import IndexProgress
from engine.sources.library import Library
from tests.engine.sources.library.extract.files import WORD, pdf
from tests.engine.sources.library.extract.test_hostile import bomb
from tests.engine.sources.library.hashing import HashEmbedder

LARGE = os.environ.get("FAULT_SIZE") == "large"

pytestmark = pytest.mark.fault


@contextmanager
def measured(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{what}: {time.perf_counter() - began:.1f} s, peak {peaks[0]:.0f} MB here, {peaks[1]:.0f} MB in a reader")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "odd"
    made.mkdir()
    (made / "lamp.md").write_text("# Lamp\n\nThe lamp burns whale oil.\n")
    return made


def test_a_text_file_of_two_gigabytes_is_left_out_by_name(library: Library, folder: Path) -> None:
    block = b"A line of a log that never ends, and says nothing much.\n" * 18_725
    with (folder / "endless.log").open("wb") as file:
        for _ in range(2048 if LARGE else 51):
            file.write(block)
    with measured("a text file"):
        ended = library.index([folder])
    assert ended.added == 1 and [each.path for each in ended.failures] == ["odd/endless.log"]
    assert "too large" in ended.failures[0].reason and "Split" in ended.failures[0].hint
    assert library.search("whale oil", 1)
    (folder / "endless.log").unlink()


def test_a_pdf_of_ten_thousand_pages_is_read_to_its_last_page(library: Library, folder: Path) -> None:
    pages = 10_000 if LARGE else 400
    (folder / "long.pdf").write_bytes(pdf([[f"Page {each} tells of harbour{each}."] for each in range(1, pages + 1)]))
    with measured(f"a PDF of {pages:,} pages"):
        ended = library.index([folder])
    assert ended.added == 2 and ended.failures == ()
    for page in (1, pages // 2, pages):
        assert any(f"harbour{page}." in hit.text for hit in library.search(f"harbour{page}", 3))


def test_a_zip_bomb_is_told_and_the_rest_is_indexed(library: Library, folder: Path) -> None:
    body = f'<w:document xmlns:w="{WORD}"><w:p><w:r><w:t>'.encode(), b"a", b"</w:t></w:r></w:p></w:document>"
    (folder / "bomb.docx").write_bytes(bomb(*body, 1 << (32 if LARGE else 26)))
    with measured("a zip bomb"):
        ended = library.index([folder])
    assert ended.added == 1 and [each.path for each in ended.failures] == ["odd/bomb.docx"]
    assert "200 times" in ended.failures[0].reason and ended.failures[0].hint
    assert library.search("whale oil", 1)


def test_a_folder_of_very_many_small_files(library: Library, folder: Path) -> None:
    many = 200_000 if LARGE else 1_500
    for number in range(many):
        path = folder / f"{number:06}.md"
        path.write_text(f"Note {number} tells of harbour{number}.\n")
        os.utime(path, (1e9, 1e9))
    with measured(f"{many:,} files"):
        ended = library.index([folder])
    assert ended.added == many + 1 and ended.failures == ()
    for number in (0, many // 2, many - 1):
        assert any(hit.uri.endswith(f"{number:06}.md") for hit in library.search(f"harbour{number}", 3))
    with measured(f"{many:,} files again, unchanged"):
        again = library.index()
    assert (again.added, again.changed, again.removed) == (0, 0, 0) and again.unchanged == many + 1


# ── searching while indexing, and indexing while searching ───────────────────────────────────────


def notes(folder: Path, count: int) -> Path:
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(f"Story {number} tells of harbour{number}.\n")
    return folder


def test_searching_goes_on_at_every_step_of_indexing(
    open_library: Callable[[], Library], library: Library, folder: Path
) -> None:
    """Indexing stands still at each step until three searches are done: if one had to wait for it, both would for good."""
    notes(folder, 300)
    library.index([folder / "lamp.md"])
    reader = open_library()
    steps: dict[str, int] = {}

    def step(progress: IndexProgress) -> None:
        found: list[bool] = []

        def look() -> None:
            found.extend(bool(each.search("whale oil", 1)) for each in (library, reader, library))

        searching = threading.Thread(target=look, daemon=True)
        searching.start()
        searching.join(60)
        assert found == [True] * 3
        steps[progress.phase] = steps.get(progress.phase, 0) + 1

    assert library.index([folder], progress=step).added == 300
    assert set(steps) == {"scan", "read", "embed"}


class Held(HashEmbedder):
    """A query's vector is made only when it is let go: a search stands still in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        return HashEmbedder, ()

    def query(self, text: str):
        self.begun.set()
        assert self.go_on.wait(60)
        return super().query(text)


def test_indexing_goes_on_to_its_end_in_the_middle_of_a_search(tmp_path: Path, folder: Path) -> None:
    embedder = Held()
    library = Library(tmp_path / "libraries", embedder=embedder)
    try:
        library.index([folder])
        found: list[int] = []
        searching = threading.Thread(target=lambda: found.append(len(library.search("whale oil"))), daemon=True)
        searching.start()
        assert embedder.begun.wait(60)
        told: list[IndexProgress] = []
        assert library.index([notes(folder, 300)], progress=told.append).embedded == 301
        assert told and not found, "the search was still in the middle"
        embedder.go_on.set()
        searching.join(60)
        assert found and found[0] > 0
    finally:
        embedder.go_on.set()
        library.close()
