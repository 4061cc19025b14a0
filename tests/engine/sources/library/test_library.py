from __future__ import annotations

import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.clean import clean
from engine.errors import LibraryCorrupt, LibraryError, LibraryLocked, NotFound
from engine.protocol import IndexEnded, IndexProgress, encode
from engine.sources.library import Library, vectors
from engine.sources.library.table import Row, Table
from tests.engine.sources.library.hashing import HashEmbedder

Open = Callable[[], Library]


def counts(ended: IndexEnded) -> tuple[int, int, int, int]:
    return ended.added, ended.changed, ended.unchanged, ended.removed


def titles(library: Library) -> list[str]:
    return [each.title for each in library.documents()]


def test_a_new_library_is_empty_and_makes_no_files(library: Library, tmp_path: Path) -> None:
    assert library.search("lamp") == () and library.documents() == () and library.failures() == ()
    assert library.status().documents == 0
    with pytest.raises(NotFound):
        library.open("/nowhere")
    assert not (tmp_path / "libraries").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "x\x1b[0m", "C:"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LibraryError, match="cannot name a library"):
        Library(tmp_path, name)


def test_index_search_open(library: Library, notes: Path) -> None:
    ended = library.index([notes])
    assert counts(ended) == (3, 0, 0, 0) and ended.failures == () and not ended.cancelled
    status = library.status()
    assert (status.documents, status.chunks, status.embedded) == (3, ended.chunks, ended.chunks)
    hit = library.search("lit by the keeper at dusk", 3)[0]
    assert (hit.uri, hit.title, hit.heading) == (str(notes / "lamp.md"), "Lamp", "Lamp > Keeper")
    assert (hit.first, hit.last) == (7, 9)
    assert hit.text_rank and hit.vector_rank and 0 < hit.similarity <= 1
    document = library.open(hit.uri)
    assert (document.path, document.title) == ("notes/lamp.md", "Lamp")
    assert "\n".join(document.text.split("\n")[hit.first - 1 : hit.last]) == hit.text
    assert [each.shown for each in library.documents()] == ["notes/far/boat.rst", "notes/lamp.md", "notes/tower.txt"]


def test_a_document_opens_as_it_was_indexed(library: Library, notes: Path) -> None:
    library.index([notes])
    text = library.open(str(notes / "tower.txt")).text
    (notes / "tower.txt").unlink()
    assert library.open(str(notes / "tower.txt")).text == text


def test_unchanged_files_are_not_read_again(library: Library, notes: Path, embedder: HashEmbedder) -> None:
    library.index([notes])
    embedded = embedder.embedded
    os.utime(notes / "lamp.md")
    assert counts(library.index()) == (0, 0, 3, 0)
    assert counts(library.index([notes / "far"])) == (0, 0, 1, 0)
    assert embedder.embedded == embedded


def test_a_change_of_the_same_length_in_the_same_second_is_noticed(library: Library, notes: Path) -> None:
    library.index([notes])
    status = (notes / "tower.txt").stat()
    (notes / "tower.txt").write_text("The tower is forty-two.. metres high.\nIt was built of granite\n")
    os.truncate(notes / "tower.txt", status.st_size)
    os.utime(notes / "tower.txt", ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert counts(library.index()) == (0, 1, 2, 0)
    assert "granite" in library.search("granite")[0].text


def test_changed_added_and_deleted_files(library: Library, notes: Path, embedder: HashEmbedder) -> None:
    library.index([notes])
    before = embedder.embedded
    with (notes / "lamp.md").open("a") as file:
        file.write("\n## Glass\n\nThe glass came from Murano.\n")
    (notes / "fog.md").write_text("# Fog\n\nIn fog a bell rings.\n")
    (notes / "tower.txt").unlink()
    assert counts(library.index()) == (1, 1, 1, 1)
    assert embedder.embedded == before + 2, "the chunks of the changed file that stayed take their vectors along"
    assert library.search("Murano glass")[0].heading == "Lamp > Glass"
    assert all("basalt" not in each.text for each in library.search("tower of basalt"))
    assert library.status().documents == 3


def test_a_renamed_file_is_found_under_its_new_name_without_embedding(
    library: Library, notes: Path, embedder: HashEmbedder
) -> None:
    library.index([notes])
    before = embedder.embedded
    (notes / "tower.txt").rename(notes / "far" / "spire.txt")
    assert counts(library.index()) == (1, 0, 2, 1)
    assert embedder.embedded == before
    assert [each.uri for each in library.search("tower basalt", 1)] == [str(notes / "far" / "spire.txt")]


def test_roots_inside_one_another_hold_each_document_once(library: Library, notes: Path) -> None:
    library.index([notes / "far", notes / "far" / "boat.rst"])
    assert library.roots() == (notes / "far",)
    assert counts(library.index([notes])) == (2, 0, 1, 0)
    assert library.roots() == (notes,)
    assert library.open(str(notes / "far" / "boat.rst")).path == "notes/far/boat.rst"
    library.forget(notes)
    assert library.documents() == () and library.roots() == () and library.search("boat") == ()


def test_a_folder_that_is_out_of_reach_does_not_empty_the_library(library: Library, notes: Path) -> None:
    library.index([notes])
    notes.rename(notes.with_name("away"))
    ended = library.index()
    assert counts(ended) == (0, 0, 0, 0) and "not there" in ended.failures[0].reason
    assert library.status().documents == 3 and library.status().failures == 1
    notes.with_name("away").rename(notes)
    assert counts(library.index()) == (0, 0, 3, 0)
    assert library.failures() == ()


def test_a_file_indexed_by_its_own_name_and_deleted_is_gone(library: Library, notes: Path) -> None:
    library.index([notes / "tower.txt", notes / "far"])
    (notes / "tower.txt").unlink()
    ended = library.index()
    assert counts(ended) == (0, 0, 1, 1) and ended.failures == ()
    assert library.roots() == (notes / "far",)


def test_broken_files_are_reported_and_the_rest_is_indexed(library: Library, notes: Path) -> None:
    (notes / "empty.md").write_text("")
    (notes / "blank.md").write_text(" \n\n")
    (notes / "program.txt").write_bytes(b"\x7fELF\x00\x00" * 100)
    (notes / "latin.txt").write_bytes("Die Wärterin wohnt im Süden.".encode("latin-1"))
    (notes / "nothing.md").symlink_to(notes / "gone.md")
    (notes / "loop").symlink_to(notes)
    os.mkfifo(notes / "pipe.md")
    with (notes / "huge.txt").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    ended = library.index([notes, notes / "never.md"])
    assert counts(ended) == (4, 0, 0, 0)
    assert ended.skipped == {"empty": 2, "binary": 1, "link": 1, "special file": 1, "too large": 1}
    reasons = {each.path: each.reason for each in ended.failures}
    assert set(reasons) == {"notes/program.txt", "notes/nothing.md", "notes/huge.txt", str(notes / "never.md")}
    assert all(each.hint for each in ended.failures)
    assert {each.path for each in library.failures()} == set(reasons) - {str(notes / "never.md")}
    assert "Süden" in library.search("Wärterin")[0].text
    (notes / "program.txt").write_text("Now a text about seals.")
    library.index()
    assert "notes/program.txt" not in {each.path for each in library.failures()}
    assert library.search("seals")[0].uri == str(notes / "program.txt")


def test_file_names_that_are_no_text_or_hold_escape_codes(library: Library, notes: Path) -> None:
    names = [b"esc\x1b]0;x\x07.md", b"bad\xff.md", b"two\nlines.md", "bidi\u202e.md".encode()]
    for number, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(notes) + b"/" + name)).write_text(f"Word{number} is told here.\n")
    assert library.index([notes]).added == 3 + len(names)
    for number in range(len(names)):
        hit = library.search(f"word{number}", 1)[0]
        document = library.open(hit.uri)
        assert f"Word{number}" in document.text
        for shown in (hit.uri, hit.title, document.path):
            assert clean(shown) == shown and "\n" not in shown
            assert shown.encode()
    assert library.index().unchanged == 3 + len(names)


def test_progress_names_the_phases_and_ends_complete(library: Library, notes: Path) -> None:
    told: list[IndexProgress] = []
    library.index([notes], progress=told.append)
    assert list(dict.fromkeys(each.phase for each in told)) == ["scan", "read", "embed"]
    last = {each.phase: each for each in told}
    assert (last["read"].done, last["read"].total, last["read"].eta) == (3, 3, 0.0)
    assert last["embed"].done == last["embed"].total == library.status().chunks
    assert all(encode(each) for each in told)


def many(folder: Path, count: int = 90) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(f"Story {number} tells of harbour{number}.\n")
    return folder


def test_cancel_while_embedding_keeps_text_search_and_the_next_run_goes_on(
    library: Library, tmp_path: Path, embedder: HashEmbedder
) -> None:
    folder = many(tmp_path / "stories")
    ended = library.index([folder], cancelled=lambda: embedder.embedded >= 32)
    status = library.status()
    assert ended.cancelled and status.documents == 90
    assert (status.chunks, status.embedded) == (90, 32)
    hits = [library.search(f"harbour{number}", 1)[0].uri for number in range(90)]
    assert hits == [str(folder / f"{number:03}.txt") for number in range(90)]
    ended = library.index()
    assert counts(ended) == (0, 0, 90, 0) and not ended.cancelled
    assert library.status().embedded == 90 and embedder.embedded == 90


def test_cancel_while_reading_keeps_what_was_read(library: Library, tmp_path: Path) -> None:
    folder = many(tmp_path / "stories")
    calls = iter(range(10_000))
    ended = library.index([folder], cancelled=lambda: next(calls) > 40)
    read = library.status().documents
    assert ended.cancelled and 0 < read == ended.added < 90
    ended = library.index()
    assert counts(ended) == (90 - read, 0, read, 0)


def test_one_writer_at_a_time_while_others_search(open_library: Open, notes: Path) -> None:
    library, other = open_library(), open_library()
    library.index([notes])
    inside, go_on = threading.Event(), threading.Event()

    def wait(progress: IndexProgress) -> None:
        inside.set()
        go_on.wait(10)

    writer = threading.Thread(target=library.index, kwargs={"progress": wait})
    writer.start()
    try:
        assert inside.wait(10)
        assert other.search("boat")
        for write in (other.index, other.rebuild):
            with pytest.raises(LibraryLocked) as locked:
                write()
            assert locked.value.hint
    finally:
        go_on.set()
        writer.join()
    assert other.index().unchanged == 3


def test_another_reader_sees_what_was_written(open_library: Open, notes: Path) -> None:
    library, reader = open_library(), open_library()
    library.index([notes])
    assert reader.search("boat")
    (notes / "fog.md").write_text("# Fog\n\nThe foghorn sounds.\n")
    library.index()
    deadline = time.monotonic() + 10
    while not any("foghorn" in each.text for each in reader.search("foghorn")):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_without_a_model_words_are_searched_and_vectors_follow_later(
    library: Library, notes: Path, embedder: HashEmbedder
) -> None:
    embedder.missing = True
    ended = library.index([notes])
    assert ended.added == 3 and [each.path for each in ended.failures] == ["hashing"]
    assert library.status().embedded == 0 and library.failures() == ()
    hit = library.search("basalt")[0]
    assert (hit.text_rank, hit.vector_rank, hit.similarity) == (1, 0, 0.0)
    library.warm()
    embedder.missing = False
    assert library.index().failures == ()
    assert library.search("basalt")[0].similarity > 0


def garble(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(4000))


def garble_list(home: Path) -> None:
    garble(home / "documents.db")


def garble_roots(home: Path) -> None:
    garble(home / "roots.json")


def garble_table(home: Path) -> None:
    for path in (home / "chunks").rglob("*"):
        if path.is_file():
            garble(path)


def garble_data(home: Path) -> None:
    for path in (home / "chunks").rglob("data/*.lance"):
        garble(path)


def remove_table(home: Path) -> None:
    shutil.rmtree(home / "chunks")


def replace_table(home: Path) -> None:
    remove_table(home)
    garble(home / "chunks")


@pytest.mark.parametrize("harm", [garble_list, garble_roots, garble_table, garble_data, remove_table, replace_table])
def test_a_damaged_index_is_told_and_can_be_rebuilt(
    open_library: Open, notes: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    library = open_library()
    library.index([notes])
    library.close()
    harm(tmp_path / "libraries" / "default")
    damaged = open_library()
    with pytest.raises(LibraryCorrupt) as corrupt:
        damaged.roots() if harm is garble_roots else damaged.search("boat")
    assert "ebuild" in corrupt.value.hint
    damaged.rebuild()
    status = open_library().status()
    assert (status.documents, status.embedded) == (3, status.chunks)
    assert open_library().search("supply boat")[0].uri == str(notes / "far" / "boat.rst")
    assert counts(open_library().index()) == (0, 0, 3, 0)


def test_rebuilding_uses_the_stored_text_where_the_files_are_away(library: Library, notes: Path) -> None:
    library.index([notes])
    before = [(each.uri, each.heading, each.first) for each in library.search("keeper of the lamp")]
    notes.rename(notes.with_name("away"))
    library.rebuild()
    assert [(each.uri, each.heading, each.first) for each in library.search("keeper of the lamp")] == before


def test_indexing_heals_a_table_that_was_taken_away(library: Library, notes: Path, tmp_path: Path) -> None:
    library.index([notes])
    library.close()
    remove_table(tmp_path / "libraries" / "default")
    library.index()
    assert library.status().embedded == library.status().chunks > 0
    assert library.search("boat")


# ── what is known without reading ────────────────────────────────────────────────────────────────


def age(folder: Path) -> None:
    """Make files old: what has just been written is read again the next time, to be sure."""
    for each in folder.rglob("*"):
        if each.is_file():
            os.utime(each, (1e9, 1e9))


def test_files_that_were_of_no_use_are_told_again_without_being_read(library: Library, notes: Path) -> None:
    program = notes / "program.txt"
    program.write_bytes(b"\x7fELF\x00\x00" * 100)
    (notes / "blank.md").write_text(" \n\n")
    age(notes)
    first = library.index([notes])
    program.write_bytes(b"A text " * 85 + b"at last")  # but nothing shows it: as large, and as old
    os.truncate(program, 600)
    age(notes)
    again = library.index()
    assert counts(again) == (0, 0, 3, 0)
    assert (again.failures, again.skipped) == (first.failures, first.skipped)
    os.utime(program)
    assert counts(library.index()) == (1, 0, 3, 0) and library.failures() == ()


def test_a_file_that_becomes_blank_or_binary_is_not_found_any_more(library: Library, notes: Path) -> None:
    library.index([notes])
    (notes / "lamp.md").write_text("\n")
    (notes / "tower.txt").write_bytes(b"\x00" * 64)
    ended = library.index()
    assert counts(ended) == (0, 0, 1, 2) and ended.skipped == {"binary": 1, "empty": 1}
    assert [each.title for each in library.documents()] == ["Boat"]
    assert library.status().chunks == 1


def test_an_unchanged_library_is_not_written_to(library: Library, notes: Path, tmp_path: Path) -> None:
    age(notes)
    library.index([notes])
    library.close()

    def written() -> dict[str, tuple[int, int]]:
        files = [each for each in (tmp_path / "libraries").rglob("*") if each.is_file() and "-shm" not in each.name]
        return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in files}

    before = written()
    library.index()
    library.close()
    assert written() == before


def test_the_library_does_not_index_itself(tmp_path: Path, embedder: HashEmbedder) -> None:
    library = Library(tmp_path / "libraries", embedder=embedder)
    try:
        (tmp_path / "libraries").mkdir()
        (tmp_path / "libraries" / "stray.md").write_text("stray")
        (tmp_path / "a.md").write_text("A word.")
        assert library.index([tmp_path]).added == 1
    finally:
        library.close()


# ── what the user leaves out ─────────────────────────────────────────────────────────────────────


def test_what_is_taken_out_stays_out_until_it_is_named(library: Library, notes: Path) -> None:
    library.index([notes])
    assert library.forget(notes / "far") == 1
    assert library.search("supply boat") == () or "boat" not in library.search("supply boat")[0].text.lower()
    assert counts(library.index()) == counts(library.index([notes])) == (0, 0, 2, 0)
    refused = library.index([notes / "far" / "boat.rst"])
    assert refused.added == 0 and "removed from the library" in refused.failures[0].reason
    assert counts(library.index([notes / "far"])) == (1, 0, 0, 0)
    assert library.places().left_out == ()
    with pytest.raises(NotFound):
        library.forget(notes.parent / "nowhere")


def test_what_the_rules_of_its_folder_leave_out_is_not_taken_in_for_a_moment(library: Library, notes: Path) -> None:
    (notes / ".gitignore").write_text("far/\n")
    assert counts(library.index([notes])) == (2, 0, 0, 0)
    refused = library.index([notes / "far" / "boat.rst"])
    assert refused.added == 0 and "ignored" in refused.failures[0].reason and refused.failures[0].hint
    (notes / ".gitignore").write_text("tower*\n")
    ended = library.index()
    assert counts(ended) == (1, 0, 1, 1) and ended.skipped["ignored"] == 1


# ── text first, vectors behind ───────────────────────────────────────────────────────────────────


class Looking(HashEmbedder):
    """Looks around when the first vectors are asked of it."""

    look: Callable[[], tuple[str, ...]]
    found: tuple[str, ...] = ()

    def __reduce__(self):
        return HashEmbedder, ()

    def embed(self, texts):
        self.found = self.found or self.look()
        return super().embed(texts)


class Choosy(HashEmbedder):
    """Notes what it was asked to choose with."""

    asked: tuple[tuple[int, str], ...] = ()

    def tune(self, texts, known):
        self.asked += ((len(texts), known),)
        return known or ("quick" if texts else "")


def test_every_text_is_found_by_its_words_before_the_first_vector_is_made(tmp_path: Path) -> None:
    folder = many(tmp_path / "stories", 200)
    embedder = Looking()
    told: list[IndexProgress] = []
    library = Library(tmp_path / "libraries", embedder=embedder)
    embedder.look = lambda: tuple(library.search(f"harbour{number}", 1)[0].uri for number in range(0, 200, 20))
    try:
        library.index([folder], progress=told.append)
        assert embedder.found == tuple(str(folder / f"{number:03}.txt") for number in range(0, 200, 20))
        assert library.status().embedded == 200
    finally:
        library.close()
    embedding = [each for each in told if each.phase == "embed"]
    assert (embedding[0].files, embedding[0].chunks, embedding[0].embedded) == (200, 200, 0)
    assert (embedding[-1].embedded, embedding[-1].done, embedding[-1].eta) == (200, 200, 0.0)
    assert embedding[-1].speed > 0


def test_no_more_rows_wait_for_the_indexes_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, waited = [0], list[int]()
    fill, tidy = Table.fill, Table.tidy

    def filling(table: Table, rows: Sequence[Row], made: Any) -> None:
        written[0] += len(rows)
        fill(table, rows, made)

    def tidying(table: Table) -> None:
        waited.append(written[0])
        written[0] = 0
        tidy(table)

    monkeypatch.setattr(Table, "fill", filling)
    monkeypatch.setattr(Table, "tidy", tidying)
    for name, value in {"_TIDY_AFTER": 16, "_AT_LATEST": 32, "_STORED": 16, "_SLAB": 64}.items():
        monkeypatch.setattr(vectors, name, value)
    library = Library(tmp_path / "libraries", embedder=HashEmbedder())
    try:
        library.index([many(tmp_path / "stories", 300)])
        assert library.status().embedded == 300
    finally:
        library.close()
    assert sum(waited) == 300 and max(waited) == 32


def test_the_newest_file_comes_first(library: Library, tmp_path: Path) -> None:
    folder = many(tmp_path / "stories")
    for number in range(90):
        os.utime(folder / f"{number:03}.txt", (1e9 + number, 1e9 + number))
    calls = iter(range(10_000))
    library.index([folder], cancelled=lambda: next(calls) > 40)
    read = [each.title for each in library.documents()]
    assert read and read == [f"{number:03}.txt" for number in range(90 - len(read), 90)]


def test_what_the_embedder_chose_is_kept_and_given_back(tmp_path: Path) -> None:
    embedder = Choosy()
    library = Library(tmp_path / "libraries", embedder=embedder)
    try:
        library.index([many(tmp_path / "few", 5)])
        library.index([many(tmp_path / "many", 300)])
        (tmp_path / "more.md").write_text("A text that no one knows.")
        library.index([tmp_path / "more.md"])
        library.warm()
        assert [known for _, known in embedder.asked] == ["", "", "quick", "quick"]
        assert [texts > 0 for texts, _ in embedder.asked] == [False, True, False, False]
    finally:
        library.close()


@pytest.mark.parametrize("text", ["The lamp burns whale oil.\n", " \n"], ids=["of use", "of no use"])
def test_an_unchanged_file_costs_few_steps(library: Library, tmp_path: Path, text: str) -> None:
    """Steps are calls, not seconds. Those that do not depend on the number of files are in both counts."""
    folder = tmp_path / "many"
    folder.mkdir()
    taken = []
    for some in (range(50), range(50, 150)):
        for number in some:
            (folder / f"{number}.md").write_text(text)
            os.utime(folder / f"{number}.md", (1e9, 1e9))
        library.index([folder])
        taken.append(calls(library.index))
    assert taken[1] - taken[0] <= 100 * 30


def calls(do: Callable[[], object]) -> int:
    """How many functions are called on the way."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(before)
    return counted
