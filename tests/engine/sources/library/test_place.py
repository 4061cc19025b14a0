"""A library whose chunks are not in its folder: in an object store, here moto's on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import offline
from engine.errors import LibraryError
from engine.sources.library import Library
from engine.sources.library.place import at, host, options
from tests.engine.sources.library.hashing import HashEmbedder

BUCKET = "tests.engine.sources.library.bucket"
KEY = "not-to-be-written-anywhere"

Open = Callable[[], Library]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    command = [sys.executable, "-m", BUCKET, "shelves"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        yield int(server.stdout.readline())
        server.stdin.close()


@pytest.fixture
def store(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
    ):
        monkeypatch.setenv(name, value)
    return f"s3://shelves/{tmp_path.name}"


@pytest.mark.fault
def test_index_search_change_remove_and_reopen_in_an_object_store(
    open_library: Open, notes: Path, store: str, tmp_path: Path
) -> None:
    offline.forbid()  # nothing in Python reaches out: LanceDB's own part does, to the place that was named
    library = open_library()
    library.move(store)
    assert library.index([notes]).added == 3
    status = library.status()
    assert (status.documents, status.embedded) == (3, status.chunks)
    assert library.search("supply boat")[0].uri == str(notes / "far" / "boat.rst")
    assert library.find('"burns whale oil"').hits[0].heading == "Lamp > Oil"
    (notes / "tower.txt").write_text("The tower is of granite.\n")
    (notes / "fog.md").write_text("# Fog\n\nIn fog a bell rings.\n")
    ended = library.index()
    assert (ended.added, ended.changed, ended.unchanged) == (1, 1, 2)
    assert library.forget(notes / "far") == 1
    library.close()
    reopened = open_library()
    assert reopened.at().uri == store
    assert [each.title for each in reopened.documents()] == ["Fog", "Lamp", "tower.txt"]
    assert "granite" in reopened.search("granite")[0].text
    assert all("supply" not in each.text for each in reopened.search("supply boat"))
    home = tmp_path / "libraries" / "default"
    assert not (home / "chunks").exists()
    assert all(KEY.encode() not in path.read_bytes() for path in home.rglob("*") if path.is_file())


@pytest.mark.fault
def test_two_libraries_at_one_address_leave_each_other_alone(open_library: Open, notes: Path, store: str) -> None:
    library = open_library()
    other = Library(notes.parent / "others", embedder=HashEmbedder())
    try:
        for each in (library, other):
            each.move(store)
            each.index([notes])
        other.rebuild()
        other.forget(notes)
        assert library.search("supply boat") and library.status().chunks == 4
    finally:
        other.close()


@pytest.mark.fault
def test_a_library_moves_there_and_back_only_when_told_to_make_its_chunks_again(
    open_library: Open, notes: Path, store: str, tmp_path: Path
) -> None:
    library = open_library()
    library.index([notes])
    with pytest.raises(LibraryError, match="holds 4 chunks") as refused:
        library.move(store)
    assert "--rebuild" in refused.value.hint and not library.at().remote
    shutil.rmtree(notes)  # what the library keeps of the texts is enough
    for uri in (store, "local"):
        library.move(uri, again=True)
        library.index()
        assert library.status().embedded == library.status().chunks == 4
        assert library.search("supply boat")[0].uri == str(notes / "far" / "boat.rst")
    assert (tmp_path / "libraries" / "default" / "chunks").exists() and not open_library().at().remote


@pytest.mark.fault
def test_a_place_that_cannot_be_reached_is_told_and_nothing_is_lost(
    open_library: Open, notes: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library()
    library.move(store)
    library.index([notes])
    library.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(LibraryError, match="cannot be used") as away:
        library.search("boat")
    assert type(away.value) is LibraryError and "127.0.0.1:1" in away.value.hint
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LibraryError, match="no key"):
        library.search("boat")
    assert len(library.documents()) == 3


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/tmp/x",
        "http://host/x",
        "s3://",
        "s3://key:pass@bucket/x",
        "s3://bucket/x?key=1",
        "s3://b/../c",
        "s3://b\x1b/",
    ],
)
def test_what_is_no_place_is_refused_and_no_secret_is_repeated(library: Library, uri: str) -> None:
    with pytest.raises(LibraryError) as refused:
        library.move(uri)
    assert "pass" not in str(refused.value) and "s3://" in refused.value.hint


def test_credentials_are_asked_of_the_environment_and_of_nothing_else() -> None:
    key = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    told = options(at("s3://shelves/one/"), key)
    assert (told["aws_access_key_id"], told["aws_secret_access_key"]) == ("a", "b")
    for uri in ("s3://shelves/one", "gs://shelves", "az://shelves/x", "db://shelves"):
        with pytest.raises(LibraryError, match="no key"):
            options(at(uri), {})
    assert host(at("s3://b"), {"AWS_REGION": "eu-north-1"}) == "s3.eu-north-1.amazonaws.com"
    assert host(at("s3://b"), {"AWS_ENDPOINT_URL": "https://me:it@store.example:9000/"}) == "store.example:9000"
    assert host(at("db://shelves"), {}) == "shelves.us-east-1.api.lancedb.com"
    assert host(at("local")) == ""


def test_a_library_is_in_its_folder_until_its_user_says_otherwise(
    library: Library, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    library.index([notes])
    assert not library.at().remote and library.search("boat")
    assert not (tmp_path / "libraries" / "default" / "place.json").exists()
    (tmp_path / "libraries" / "default" / "place.json").write_text(json.dumps({"uri": 1}))
    library.close()
    with pytest.raises(LibraryError, match="damaged"):
        library.search("boat")
