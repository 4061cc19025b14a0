"""Kills at any moment, several processes at one library, full disks, files that misbehave.

FAULT_ROUNDS sets how often a process is killed; a few times by default.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lancedb
import pytest

from engine.protocol import Hit
from engine.sources.library import Library
from engine.sources.library.heavy import load_lancedb
from engine.sources.library.roots import id_of
from tests.engine.sources.library.hashing import HashEmbedder

VICTIM = "tests.engine.sources.library.victim"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "4"))

pytestmark = pytest.mark.fault


def story(number: int, version: int = 0) -> str:
    parts = (
        f"## Part {part}\n\nStory {number} tells of harbour{number}x{version}, part {part}.\n\n" for part in range(4)
    )
    return f"# Story {number}\n\n" + "".join(parts)


def tell(folder: Path, numbers: range, version: int = 0) -> None:
    for number in numbers:
        (folder / f"{number:04}.md").write_text(story(number, version))


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", VICTIM, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def check_whole(libraries: Path, folder: Path) -> None:
    """Every chunk of every file is in the table just once, with its vector, and nothing else is."""
    table = lancedb.connect(libraries / "default" / "chunks").open_table("chunks")
    rows = table.search().select(["id", "document", "text", "embedded"]).to_list()
    assert all(row["embedded"] for row in rows)
    twice = [each for each, count in Counter(row["id"] for row in rows).items() if count > 1]
    assert not twice
    texts: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row["document"], int(row["id"].split(":")[1]))):
        texts[row["document"]] = texts.get(row["document"], "") + row["text"]
    expected = {id_of(path): "".join(path.read_text().split()) for path in folder.glob("*.md")}
    assert {document: "".join(text.split()) for document, text in texts.items()} == expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "stories"
    made.mkdir()
    return made


def test_killed_at_any_moment_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path, folder: Path) -> None:
    chance = random.Random(4)
    libraries = tmp_path / "libraries"
    tell(folder, range(1500))
    finished = 0
    for round_number in range(ROUNDS):
        process = start("index", libraries, folder)
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0, 5))
        process.kill()
        process.communicate()
        finished += process.returncode == 0
        library = Library(libraries, embedder=HashEmbedder())
        try:
            status = library.status()
            assert status.embedded <= status.chunks
            known = library.documents()
            for record in chance.sample(known, min(3, len(known))):
                hits = library.search(f"harbour{int(Path(record.uri).stem)}", 5)
                assert all(hit.uri for hit in hits)
                assert library.open(record.uri).text
        finally:
            library.close()
        first = chance.randrange(1400)
        tell(folder, range(first, first + 40), round_number + 1)
        for number in chance.sample(range(1500), 10):
            (folder / f"{number:04}.md").unlink(missing_ok=True)
        tell(folder, range(2000 + round_number * 20, 2020 + round_number * 20))
    assert finished < ROUNDS, "it was never killed in the middle"
    library = Library(libraries, embedder=HashEmbedder())
    try:
        assert library.index().failures == ()
        check_whole(libraries, folder)
    finally:
        library.close()


def test_two_processes_index_and_one_searches(tmp_path: Path, folder: Path) -> None:
    libraries = tmp_path / "libraries"
    tell(folder, range(120))
    library = Library(libraries, embedder=HashEmbedder())
    try:
        library.index([folder])
        writers = [start("rounds", libraries, folder, 25) for _ in range(2)]
        version, searches = 0, 0
        while any(each.poll() is None for each in writers):
            version += 1
            tell(folder, range(version % 100, version % 100 + 10), version)
            hits: tuple[Hit, ...] = library.search(f"tells of part {version % 4}", 5)
            assert len(hits) == 5 and all("Story" in hit.text for hit in hits)
            searches += 1
        locked = [int(each.communicate()[0]) for each in writers]
        assert [each.returncode for each in writers] == [0, 0]
        assert searches > 10 and sum(locked) < 50, (searches, locked)
        assert library.index().failures == ()
        check_whole(libraries, folder)
    finally:
        library.close()


@pytest.mark.parametrize(("files", "size"), [(600, 30_000), (600, 300_000), (1, 300_000)])
def test_a_disk_that_takes_no_more_is_told_and_the_next_run_completes(
    tmp_path: Path, folder: Path, files: int, size: int
) -> None:
    libraries = tmp_path / "libraries"
    if files == 1:  # a small list of documents, and chunks that do not fit
        (folder / "all.md").write_text("".join(story(number) for number in range(1000)))
    else:
        tell(folder, range(files))
    starved = start("starve", libraries, folder, size, stderr=subprocess.PIPE)
    said, errors = starved.communicate(timeout=120)
    assert starved.returncode == 0, errors
    assert said.startswith("LibraryError") and "Make room" in said, said
    library = Library(libraries, embedder=HashEmbedder())
    try:
        ended = library.index([folder])
        assert ended.failures == () and library.status().documents == files
        check_whole(libraries, folder)
    finally:
        library.close()


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, folder: Path) -> None:
    path = folder / "log.md"
    path.write_text(story(1))
    os.utime(path, (1e9, 1e9))

    class Meddler(HashEmbedder):
        """Changes the file between its reading and the end of its taking in, size and all."""

        def token_starts(self, text: str):
            if "harbour1x0" in text:
                path.write_text(story(1, 7))
            return super().token_starts(text)

    library = Library(tmp_path / "libraries", embedder=Meddler())
    try:
        library.index([folder])
        assert library.index().changed == 1
        assert library.search("harbour1x7", 1)[0].text_rank == 1
        assert "harbour1x0" not in library.open(str(path)).text
    finally:
        library.close()


def test_loops_of_links_and_names_that_are_no_text(library: Library, folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "up").symlink_to(folder)
    (folder / "a" / "self").symlink_to(folder / "a" / "self")
    (folder / "one").symlink_to(folder / "two")
    (folder / "two").symlink_to(folder / "one")
    (folder / "a" / "zero.md").touch()
    tell(folder / "a" / "b", range(2))
    for name in (b"\xff\xfe.md", b"caf\xe9 \x1b[2J.md"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("An odd name.\n")
    ended = library.index([folder])
    assert ended.added == 4 and ended.skipped["empty"] == 1 and ended.skipped["link"] == 1
    assert library.index().unchanged == 4


@contextmanager
def nobody() -> Iterator[None]:
    """For the superuser, to whom nothing is forbidden: be somebody else for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_told_and_what_was_known_of_it_stays(
    open_library: Callable[[], Library], tmp_path: Path, folder: Path
) -> None:
    (folder / "closed").mkdir()
    tell(folder, range(3))
    tell(folder / "closed", range(3, 5))
    load_lancedb()
    open_library().index([folder])
    with reachable(tmp_path), nobody():
        (folder / "closed").chmod(0)
        (folder / "0001.md").chmod(0)
        os.utime(folder / "0001.md", (1e9, 1e9))
        library = open_library()
        ended = library.index()
        assert sorted(each.path for each in ended.failures) == ["stories/0001.md", "stories/closed"]
        assert all("not allowed" in each.reason and each.hint for each in ended.failures)
        assert library.status().documents == 5 and library.search("harbour4x0", 1)
        (folder / "closed").chmod(0o755)
        (folder / "0001.md").chmod(0o644)
        healed = library.index()
        assert healed.failures == () and healed.unchanged == 5 and library.failures() == ()
        library.close()


@contextmanager
def reachable(tmp_path: Path) -> Iterator[None]:
    """Give what is below to the user that :func:`nobody` is, and let that one come through from above."""
    if os.geteuid():
        yield
        return
    modes = {above: mode for above in tmp_path.parents if not (mode := above.stat().st_mode) & 0o001}
    for above, mode in modes.items():
        above.chmod(mode | 0o011)
    for each in (tmp_path, *tmp_path.rglob("*")):
        os.chown(each, 65534, 65534)
    try:
        yield
    finally:
        for above, mode in modes.items():
            above.chmod(mode)
