"""Several libraries searched as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import LibraryError, NotFound
from engine.sources.library import Library
from engine.sources.library.filters import Filters
from engine.sources.several import Several, check, split
from tests.engine.sources.library.hashing import HashEmbedder

HOME = {
    "lamp.md": "# Lamp\n\nThe lamp in the hall burns oil.\n",
    "shared.md": "# Rules\n\nThe gate is shut at nine.\n",
    "tea.md": "# Tea\n\nTea is kept in the tin.\n",
}
WORK = {"press.md": "# Press\n\nThe oil of the press is changed in May.\n", "lift.md": "# Lift\n\nThe lift is old.\n"}


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[tuple[Library, Library]]:
    embedder = HashEmbedder()
    made = []
    for name, documents in (("home", HOME), ("work", WORK)):
        folder = tmp_path / name
        folder.mkdir()
        for file, text in documents.items():
            (folder / file).write_text(text)
        library = Library(tmp_path / "libraries", name, embedder=embedder)
        library.index([folder])
        made.append(library)
    yield made[0], made[1]
    for library in made:
        library.close()


def test_names_are_split_and_each_counts_once() -> None:
    assert split("home, work,home") == ("home", "work")
    assert split("home") == ("home",) and split("") == ("",) and split(" , ") == ("",)


def test_an_unknown_name_is_told_with_the_one_that_may_be_meant(
    libraries: tuple[Library, Library], tmp_path: Path
) -> None:
    check(["home", "work"], tmp_path / "libraries")
    with pytest.raises(LibraryError, match="no library 'hoem'") as near:
        check(["work", "hoem"], tmp_path / "libraries")
    assert near.value.hint == "Did you mean 'home'?"
    with pytest.raises(LibraryError) as far:
        check(["zzz"], tmp_path / "libraries")
    assert far.value.hint == "There are: home, work."
    with pytest.raises(LibraryError) as none:
        check(["zzz"], tmp_path / "nowhere")
    assert "index PATH" in none.value.hint


def test_the_lists_are_fused_by_place_and_each_hit_names_its_library(libraries: tuple[Library, Library]) -> None:
    both = Several(libraries)
    assert both.name == "home, work"
    hits = both.search("oil", 10)
    assert [(hit.library, hit.path) for hit in hits[:2]] == [
        ("home", "home:home/lamp.md"),
        ("work", "work:work/press.md"),
    ]
    assert hits[0].score == hits[1].score, "the first of each list is worth the same"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(both.search("oil", 1)) == 1
    assert both.search("press")[0].library == "home" or both.search("press")[1].library == "work"


def test_documents_open_from_the_library_that_has_them(libraries: tuple[Library, Library]) -> None:
    both = Several(libraries)
    for hit in both.search("oil"):
        document = both.open(hit.uri)
        assert document.path == hit.path and hit.text in document.text
    with pytest.raises(NotFound, match="home, work"):
        both.open("/nowhere")


def test_a_file_in_both_is_the_first_ones(libraries: tuple[Library, Library], tmp_path: Path) -> None:
    home, work = libraries
    shared = tmp_path / "home" / "shared.md"
    shared.write_text("# Rules\n\nThe gate is shut at ten.\n")
    work.index([shared])  # as it is now; the other library has it as it was
    for one, other, hour in ((home, work, "nine"), (work, home, "ten")):
        both = Several([one, other])
        found = [hit for hit in both.search("gate shut") if hit.uri == str(shared)]
        assert len(found) == 1 and found[0].library == one.name and hour in found[0].text
        assert hour in both.open(str(shared)).text, "what is opened is what was found"


def test_filters_and_notes_and_counts_are_those_of_all(libraries: tuple[Library, Library]) -> None:
    both = Several(libraries)
    assert [hit.library for hit in both.find("oil", 10, Filters(("press.md",), (), 0.0)).hits] == ["work"]
    nothing = both.find('"no such phrase"')
    assert nothing.hits == () and "home: No chunk" in nothing.note and "work: No chunk" in nothing.note
    status = both.status()
    assert (status.library, status.documents) == ("home, work", 5) and status.chunks == status.embedded == 5
    assert both.holds_any() and len(both.similarity("oil", ["oil", "tea"])) == 2


def test_their_recall_is_known_once_that_of_each_is(libraries: tuple[Library, Library]) -> None:
    both = Several(libraries)
    assert both.recall() is None
    measured = both.measure_recall(lambda: False)
    each = [library.recall() for library in libraries]
    assert (measured is None) == (None in each) and both.recall() == measured
    assert both.measure_recall(lambda: True) is None
