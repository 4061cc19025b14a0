"""A library whose vectors are of another embedder than the one in use, and how they are made anew."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import EmbedderMissing
from engine.sources.library import Library
from tests.engine.sources.library.hashing import HashEmbedder

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

Open = Callable[..., Library]


class Shorter(HashEmbedder):
    """Another one, whose vectors have another length."""

    name = "shorter"
    dimensions = 32


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    libraries: list[Library] = []

    def again(embedder: HashEmbedder) -> Library:
        libraries.append(Library(tmp_path / "libraries", embedder=embedder))
        return libraries[-1]

    yield again
    for each in libraries:
        each.close()


def stories(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(f"Story {number} tells of harbour{number}.\n")
    return folder


def test_with_another_embedder_words_alone_are_searched_and_it_is_said(opened: Open, notes: Path) -> None:
    opened(HashEmbedder()).index([notes])
    other = opened(Shorter())
    found = other.find("supply boat")
    assert "boat.rst" in found.hits[0].uri and all(hit.vector_rank == 0 and hit.text_rank for hit in found.hits)
    assert "made by hashing" in found.note and "shorter" in found.note and "--re-embed" in found.note
    status = other.status()
    assert status.note == found.note and status.embedded == 0 and status.chunks > 0
    assert opened(HashEmbedder()).find("supply boat").note == "", "nothing was changed"


def test_until_then_indexing_takes_in_what_is_new_without_vectors(opened: Open, notes: Path) -> None:
    opened(HashEmbedder()).index([notes])
    other = Shorter()
    library = opened(other)
    (notes / "fog.md").write_text("In fog a bell rings.")
    ended = library.index()
    assert (ended.added, ended.unchanged, ended.failures) == (1, 3, ()) and "--re-embed" in ended.note
    assert other.embedded == 0 and library.search("bell")[0].uri.endswith("fog.md")


def test_what_it_would_cost_is_told_before_anything_is_done(opened: Open, notes: Path) -> None:
    chunks = opened(HashEmbedder()).index([notes]).chunks
    library = opened(Shorter())
    cost = library.reembed_cost()
    assert (cost.old, cost.new, cost.chunks) == ("hashing", "shorter", chunks) and cost.seconds > 0
    assert library.status().note, "nothing was changed"


def test_vectors_are_made_anew_while_words_are_found(opened: Open, notes: Path) -> None:
    opened(HashEmbedder()).index([notes])
    meanwhile: list[str] = []

    class Watching(Shorter):
        def embed(self, texts: Sequence[str]) -> Vectors:
            meanwhile.append(Path(library.search("supply boat")[0].uri).name)
            return super().embed(texts)

    embedder = Watching()
    library = opened(embedder)
    ended = library.reembed()
    assert (ended.added, ended.changed, ended.removed, ended.note) == (0, 0, 0, "")
    assert ended.embedded == ended.chunks == embedder.embedded, "every chunk once; none was cut again"
    assert meanwhile and set(meanwhile) == {"boat.rst"}
    hit = library.find("supply boat").hits[0]
    assert hit.vector_rank == 1 and hit.similarity > 0
    embedded = embedder.embedded
    assert library.index().unchanged == 3 and embedder.embedded == embedded
    assert "made by shorter" in opened(HashEmbedder()).status().note
    again = opened(Watching())
    assert again.find("supply boat").hits[0].vector_rank == 1


def test_another_process_goes_on_reading(opened: Open, notes: Path) -> None:
    opened(HashEmbedder()).index([notes])
    reader, writer = opened(Shorter()), opened(Shorter())
    assert reader.search("supply boat")[0].vector_rank == 0
    writer.reembed()
    assert reader.find("supply boat").hits[0].vector_rank == 1 and not reader.status().note


def test_without_the_new_embedder_nothing_is_thrown_away(opened: Open, notes: Path) -> None:
    opened(HashEmbedder()).index([notes])
    with pytest.raises(EmbedderMissing):
        opened(Shorter(missing=True)).reembed()
    assert opened(HashEmbedder()).find("supply boat").hits[0].vector_rank


def test_cut_off_in_the_middle_the_next_indexing_goes_on(opened: Open, tmp_path: Path) -> None:
    folder = stories(tmp_path / "stories", 40)
    opened(HashEmbedder()).index([folder])
    embedder = Shorter()
    assert opened(embedder).reembed(cancelled=lambda: embedder.embedded >= 16).cancelled
    half = opened(Shorter()).status()
    assert half.chunks == 40 and 0 < half.embedded < 40 and not half.note
    rest = Shorter()
    library = opened(rest)
    assert library.index().embedded == 40 and rest.embedded == 40 - half.embedded


@pytest.mark.fault
def test_a_kill_in_the_middle_loses_nothing(opened: Open, tmp_path: Path) -> None:
    folder = stories(tmp_path / "stories", 40)
    opened(HashEmbedder()).index([folder])
    killed = subprocess.run(
        [sys.executable, "-c", _VICTIM, str(tmp_path / "libraries")], timeout=120, stderr=subprocess.DEVNULL
    )
    assert killed.returncode == -signal.SIGKILL
    rest = Shorter()
    library = opened(rest)
    assert library.search("harbour7", 1)[0].uri.endswith("007.txt")
    ended = library.index()
    assert (ended.chunks, ended.embedded, ended.unchanged, ended.failures) == (40, 40, 40, ())
    assert rest.embedded <= 40 and library.find("harbour7").hits[0].vector_rank


_VICTIM = f"""
import os, signal, sys
from pathlib import Path
from engine.sources.library import Library
from tests.engine.sources.library.test_reembed import Shorter

class Doomed(Shorter):
    def embed(self, texts):
        if self.embedded >= 16:
            os.kill(os.getpid(), {int(signal.SIGKILL)})
        return super().embed(texts)

Library(Path(sys.argv[1]), embedder=Doomed()).reembed()
"""


@pytest.mark.fault
def test_a_kill_before_the_new_table_is_named_changes_nothing(opened: Open, tmp_path: Path) -> None:
    folder = stories(tmp_path / "stories", 40)
    opened(HashEmbedder()).index([folder])
    victim = _VICTIM.replace(
        "class Doomed",
        "from engine.sources.library.documents import Documents\n"
        f"Documents.switch = lambda *given: os.kill(os.getpid(), {int(signal.SIGKILL)})\nclass Doomed",
    )
    killed = subprocess.run(
        [sys.executable, "-c", victim, str(tmp_path / "libraries")], timeout=120, stderr=subprocess.DEVNULL
    )
    assert killed.returncode == -signal.SIGKILL
    library = opened(HashEmbedder())
    assert library.find("harbour7").hits[0].vector_rank and library.status().embedded == 40
    ended = opened(Shorter()).reembed()
    assert ended.embedded == ended.chunks == 40
    chunks = tmp_path / "libraries" / "default" / "chunks"
    assert len(list(chunks.iterdir())) == 1, "tables that are no longer in use are let go of"
