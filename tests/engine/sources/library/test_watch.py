"""Changes are taken in while nobody asks. Real files, the real listening of the system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import LibraryError
from engine.protocol import IndexEnded
from engine.sources.library import Library
from engine.sources.library.watch import Changes
from tests.engine.sources.library.hashing import HashEmbedder


class Watched:
    """A library that is being watched, and what its rounds told."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.told: list[IndexEnded] = []
        self.stop = threading.Event()

    def eventually(self, there: Callable[[], object], seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < until, self.told
            time.sleep(0.05)

    def finds(self, query: str, path: Path | None) -> None:
        """Wait until the first hit that has the word is in ``path``; None: until there is none."""

        def there() -> bool:
            hits = [hit for hit in self.library.search(query, 3) if query in hit.text.lower()]
            return [hit.uri for hit in hits[:1]] == ([str(path)] if path else [])

        self.eventually(there)


@contextmanager
def watching(library: Library, *paths: Path) -> Iterator[Watched]:
    watched = Watched(library)
    arguments = {"cancelled": watched.stop.is_set, "ended": watched.told.append}
    last: list[IndexEnded] = []
    thread = threading.Thread(target=lambda: last.append(library.watch(paths, **arguments)), daemon=True)
    thread.start()
    try:
        watched.eventually(lambda: watched.told)  # the first round; the second one begins with the listening
        yield watched
    finally:
        watched.stop.set()
        thread.join(timeout=30)
    assert last and last[0].cancelled and not last[0].watching


def test_new_changed_renamed_and_deleted_files_are_noticed(library: Library, notes: Path) -> None:
    with watching(library, notes) as watched:
        assert watched.told[0].added == 3 and all(each.watching for each in watched.told)
        (notes / "fog.md").write_text("In fog a bell rings.\n")
        watched.finds("bell", notes / "fog.md")
        (notes / "fog.md").write_text("In fog a gong sounds.\n")
        watched.finds("gong", notes / "fog.md")
        watched.finds("bell", None)
        (notes / "fog.md").rename(notes / "mist.md")
        watched.finds("gong", notes / "mist.md")
        (notes / "mist.md").unlink()
        watched.finds("gong", None)
        assert library.status().documents == 3
        assert library.status().embedded == library.status().chunks


def test_folders_that_come_move_and_go_are_noticed(library: Library, notes: Path, tmp_path: Path) -> None:
    new = tmp_path / "v1.2"
    (new / "deep").mkdir(parents=True)
    (new / "deep" / "seals.md").write_text("Seals sleep on the skerry.\n")
    with watching(library, notes) as watched:
        new.rename(notes / "v1.2")
        watched.finds("seals", notes / "v1.2" / "deep" / "seals.md")
        (notes / "v1.2").rename(notes / "v2.0")
        watched.finds("seals", notes / "v2.0" / "deep" / "seals.md")
        (notes / "v2.0").rename(tmp_path / "away")
        watched.finds("seals", None)


def test_the_way_editors_save_leaves_one_document(library: Library, notes: Path) -> None:
    with watching(library, notes, notes / "tower.txt") as watched:
        for number in range(3):
            for name in ("4913", ".tower.txt.swp", "tower.txt~", "~$tower.txt", "#tower.txt#", "tower.txt.tmp.77"):
                (notes / name).write_text("half")
            fresh = notes / "tower.txt.tmp.77"
            fresh.write_text(f"The tower was painted {number} times: crimson{number}.\n")
            fresh.replace(notes / "tower.txt")
            watched.finds(f"crimson{number}", notes / "tower.txt")
        assert library.status().documents == 3


def test_a_file_indexed_by_itself_is_watched_through_replacement(library: Library, notes: Path) -> None:
    path = notes / "tower.txt"
    with watching(library, path) as watched:
        for number in range(2):
            fresh = notes / "tower.new"
            fresh.write_text(f"The tower is of granite{number}.\n")
            fresh.replace(path)
            watched.finds(f"granite{number}", path)
        assert [each.uri for each in library.documents()] == [str(path)]


def test_an_ignore_file_takes_effect_when_it_is_written(library: Library, notes: Path) -> None:
    with watching(library, notes) as watched:
        (notes / ".gitignore").write_text("far/\n")
        watched.finds("thursday", None)
        (notes / ".gitignore").unlink()
        watched.finds("thursday", notes / "far" / "boat.rst")


def test_a_change_comes_before_vectors_that_are_still_to_be_made(notes: Path, tmp_path: Path) -> None:
    class Slow(HashEmbedder):
        def embed(self, texts):
            time.sleep(0.05)
            return super().embed(texts)

    for number in range(40):
        (notes / f"{number}.md").write_text("".join(f"# S{n}\n\nStory {number}.{n} of a wave.\n\n" for n in range(20)))
    embedder = Slow()
    library = Library(tmp_path / "libraries", embedder=embedder)
    try:
        with watching(library, notes) as watched:
            (notes / "fog.md").write_text("In fog a bell rings.\n")
            watched.finds("bell", notes / "fog.md")
            assert embedder.embedded < library.status().chunks > 800
    finally:
        library.close()


def test_while_another_process_writes_changes_wait(
    library: Library, open_library: Callable[[], Library], notes: Path
) -> None:
    other = open_library()
    with watching(library, notes) as watched:
        held, free = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            held.set()
            free.wait(timeout=30)

        thread = threading.Thread(target=lambda: other.index(progress=hold))
        thread.start()
        assert held.wait(timeout=30)
        (notes / "fog.md").write_text("In fog a bell rings.\n")
        time.sleep(1)
        free.set()
        thread.join(timeout=30)
        watched.finds("bell", notes / "fog.md")


def test_where_the_system_cannot_tell_of_changes_that_is_said() -> None:
    changes = Changes()
    changes.end(OSError("OS file watch limit reached"))
    with pytest.raises(LibraryError, match="watch limit") as error:
        changes.take(1)
    assert error.value.hint
