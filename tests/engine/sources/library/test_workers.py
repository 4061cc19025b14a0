"""Reading in other processes: the same as reading here, and proof against files that kill or hang whoever reads them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.errors import LibraryError
from engine.sources.library import Library
from engine.sources.library.discover import Found, scan
from engine.sources.library.read import Reading, read
from engine.sources.library.workers import readings
from tests.engine.sources.library.hashing import HashEmbedder


class Fragile(HashEmbedder):
    """Ends the process on a text that says so, or never ends."""

    def token_starts(self, text: str) -> Sequence[int]:
        if multiprocessing.parent_process() is not None:
            if "POISON" in text:
                os.kill(os.getpid(), signal.SIGKILL)
            if "TAR PIT" in text:
                time.sleep(600)
        return super().token_starts(text)


class Unborn(HashEmbedder):
    """Cannot be made in another process."""

    def __setstate__(self, state: object) -> None:
        raise RuntimeError("not here")

    def __getstate__(self) -> object:
        return {"not": "empty"}


def tell_stories(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:03}.md"
        path.write_text(f"# Story {number}\n\nIt tells of harbour{number}.\n\n## End\n\nIt ends.\n")
        os.utime(path, (1e9, 1e9))  # long ago: what has just been written is read again the next time
    return folder


def find(folder: Path) -> list[Found]:
    return scan(folder, found=lambda count, folder: None, cancelled=lambda: False).files


def together(files: Sequence[Found], embedder: HashEmbedder, **more: float) -> dict[str, Reading]:
    return {
        result[0].path.name: result[1]
        for result in readings([(each, "") for each in files], embedder, **more)
        if result is not None
    }


def readers() -> list[str]:
    return [child.name for child in multiprocessing.active_children()]


def test_files_are_read_elsewhere_as_they_are_here(tmp_path: Path) -> None:
    files = find(tell_stories(tmp_path / "stories", 130))
    made = together(files, HashEmbedder())
    assert made == {each.path.name: read(each, "", HashEmbedder().token_starts) for each in files}
    assert readers() == []


def test_for_a_few_files_no_process_is_started(tmp_path: Path) -> None:
    results = readings([(each, "") for each in find(tell_stories(tmp_path / "stories", 20))], HashEmbedder())
    assert next(results) is not None and readers() == []
    assert len(list(results)) == 19


def test_stopping_early_ends_the_readers(tmp_path: Path) -> None:
    results = readings([(each, "") for each in find(tell_stories(tmp_path / "stories", 200))], HashEmbedder())
    assert any(result is not None for result in results) and readers()
    results.close()
    assert readers() == []


@pytest.mark.fault
def test_a_file_that_kills_or_hangs_its_reader_costs_that_file_alone(tmp_path: Path) -> None:
    folder = tell_stories(tmp_path / "stories", 130)
    (folder / "040.md").write_text("POISON")
    (folder / "041.md").write_text("POISON")
    (folder / "090.md").write_text("TAR PIT")
    made = together(find(folder), Fragile(), seconds=6)
    assert len(made) == 130
    failed = {name: each.problem.reason for name, each in made.items() if each.problem is not None}
    assert set(failed) == {"040.md", "041.md", "090.md"}
    assert "ended the process" in failed["040.md"] and "too long" in failed["090.md"]
    assert readers() == []


@pytest.mark.fault
def test_such_a_file_is_reported_and_not_tried_again_until_it_changes(tmp_path: Path) -> None:
    folder = tell_stories(tmp_path / "stories", 130)
    (folder / "040.md").write_text("POISON")
    os.utime(folder / "040.md", (1e9, 1e9))
    library = Library(tmp_path / "libraries", embedder=Fragile())
    try:
        ended = library.index([folder])
        assert ended.added == 129 and [each.path for each in ended.failures] == ["stories/040.md"]
        again = library.index()
        assert (again.added, again.changed, again.unchanged) == (0, 0, 129) and again.failures == ended.failures
        (folder / "040.md").write_text("The antidote.")
        healed = library.index()
        assert healed.added == 1 and healed.failures == () and library.failures() == ()
    finally:
        library.close()


def test_where_no_reader_can_be_started_that_is_said(tmp_path: Path) -> None:
    files = find(tell_stories(tmp_path / "stories", 130))
    with pytest.raises(LibraryError, match="cannot be started"):
        together(files, Unborn())
    assert readers() == []


def test_the_library_is_the_same_whoever_reads(tmp_path: Path, open_library: Callable[[], Library]) -> None:
    folder = tell_stories(tmp_path / "stories", 130)
    library = open_library()
    ended = library.index([folder])
    assert (ended.added, ended.chunks, ended.embedded) == (130, 260, 260)
    assert library.search("harbour77", 1)[0].uri == str(folder / "077.md")
    (folder / "077.md").write_text("# Story 77\n\nNow it tells of lakes.\n")
    os.utime(folder / "078.md")
    (folder / "079.md").unlink()
    ended = library.index()
    assert (ended.added, ended.changed, ended.unchanged, ended.removed) == (0, 1, 128, 1)
