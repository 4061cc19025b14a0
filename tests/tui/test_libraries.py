"""What is told of libraries on disk, through the command line. The index is a real one, made with a small embedder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.sources.library import Library
from engine.sources.library.embed import MiniLM
from tests.engine.sources.library.hashing import HashEmbedder
from tui import cli


class Alike(HashEmbedder):
    """Its vectors have the name and length of those the program makes."""

    name = MiniLM.name
    dimensions = MiniLM.dimensions


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("DEEPSEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(tmp_path / "none.toml"))
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "lamp.md").write_text("The lamp burns oil.")
    (folder / "fog.md").write_text("In fog a bell rings.")
    (folder / "program.txt").write_bytes(b"\x7fELF\0\0")
    index(tmp_path, "default", folder)
    return folder


def index(tmp_path: Path, name: str, folder: Path) -> None:
    library = Library(tmp_path / "data" / "libraries", name, embedder=Alike())
    library.index([folder])
    library.close()


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "data"), "index", *arguments])


def test_status_of_one_and_of_all(tmp_path: Path, notes: Path) -> None:
    index(tmp_path, "work", notes)
    one = run(tmp_path, "--status", "--library", "work")
    assert one.exit_code == 0 and one.stdout.startswith("work: 2 files, 2 chunks, 2 with vectors (100%), 1 failure, ")
    assert "root      " + str(notes) in one.stdout
    every = run(tmp_path, "--status").stdout
    assert "default: 2 files" in every and "work: 2 files" in every


def test_status_where_there_is_nothing_or_it_is_damaged(tmp_path: Path, notes: Path) -> None:
    empty = CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "other"), "index", "--status"])
    assert empty.exit_code == 0 and "no library yet" in empty.stdout
    (tmp_path / "data" / "libraries" / "default" / "documents.db").write_bytes(b"no database at all" * 400)
    done = run(tmp_path, "--status")
    assert done.exit_code == 1 and "default: " in done.stdout and "--rebuild" in done.stdout


def test_failures_are_told_with_what_helps(tmp_path: Path, notes: Path) -> None:
    done = run(tmp_path, "--failures")
    assert done.exit_code == 4
    assert done.stdout.splitlines() == [
        "notes/program.txt",
        "    It is not a text: it holds binary data.",
        "    → If it is a text, save it as UTF-8 and index again.",
        "default: 1 could not be read",
    ]


def test_what_is_removed_stays_away_until_it_is_indexed_by_name(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(notes)
    done = run(tmp_path, "--remove", "fog.md")
    assert done.exit_code == 0 and done.stdout.startswith("default: 1 file removed") and (notes / "fog.md").exists()
    index(tmp_path, "default", notes)
    assert f"removed   {notes / 'fog.md'}" in run(tmp_path, "--status").stdout
    assert "1 file, " in run(tmp_path, "--status").stdout
    index(tmp_path, "default", notes / "fog.md")
    assert "removed   " not in run(tmp_path, "--status").stdout
    assert run(tmp_path, "--remove", str(notes)).exit_code == 0
    assert "0 files" in run(tmp_path, "--status").stdout


def test_what_no_library_knows_cannot_be_removed(tmp_path: Path, notes: Path) -> None:
    done = run(tmp_path, "--remove", "/nowhere")
    assert done.exit_code == 1 and "knows nothing of /nowhere" in done.stderr


def test_a_place_elsewhere_is_remembered_and_refused_where_the_chunks_would_be_lost(
    tmp_path: Path, notes: Path
) -> None:
    refused = run(tmp_path, "--at", "s3://shelves/mine", str(notes))
    assert refused.exit_code == 1 and "--rebuild" in refused.output
    odd = run(tmp_path, "--at", "s3://key:word@shelves/mine", str(notes))
    assert odd.exit_code == 1 and "word@" not in odd.output and "environment" in odd.output
    assert run(tmp_path, "--at", "local", "--status").exit_code == 2
