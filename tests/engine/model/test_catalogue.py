from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ModelMissing
from engine.model import catalogue
from engine.model.catalogue import resolve_model, starter_model


def test_nothing_set_means_the_starter_model(tmp_path: Path) -> None:
    assert resolve_model("", tmp_path) == starter_model()


def test_a_path_means_that_file(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "own.gguf"
    file.parent.mkdir()
    file.touch()
    assert resolve_model(str(file), tmp_path / "models") == file


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "own.gguf").touch()
    assert resolve_model("~/own.gguf", tmp_path / "models") == tmp_path / "own.gguf"


@pytest.mark.parametrize("name", ["small.gguf", "small"])
def test_a_name_means_a_file_among_the_models(tmp_path: Path, name: str) -> None:
    (tmp_path / "small.gguf").touch()
    assert resolve_model(name, tmp_path) == tmp_path / "small.gguf"


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        resolve_model(str(tmp_path), tmp_path)


def test_what_is_missing_and_where_it_may_be_put_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"other\.gguf") as caught:
        resolve_model("other.gguf", tmp_path)
    assert str(tmp_path) in caught.value.hint


def test_without_the_starter_package_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_STARTER_PACKAGE", "a_package_that_nobody_has")
    assert starter_model() is None
    with pytest.raises(ModelMissing) as caught:
        resolve_model("", tmp_path)
    assert "deepsearch-tui[starter]" in caught.value.hint
