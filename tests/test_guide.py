"""The guide answers the questions people ask of it: the right section is among the first five hits for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.sources.library import Library

ROOT = Path(__file__).parent.parent
QUESTIONS: list[dict[str, Any]] = json.loads((ROOT / "tests/data/questions.json").read_text())["questions"]


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = Library(tmp_path_factory.mktemp("libraries"), "guide")
    library.index([ROOT / "docs"])
    return library


@pytest.mark.embedder
@pytest.mark.parametrize("known", QUESTIONS, ids=[known["question"] for known in QUESTIONS])
def test_the_right_section_is_found(guide: Library, known: dict[str, Any]) -> None:
    hits = guide.search(known["question"], 5)
    name = Path(known["path"]).name
    assert any(Path(hit.uri).name == name and known["heading"] in hit.heading for hit in hits), hits
    assert known["line_contains"] in (ROOT / "docs" / name).read_text()


def test_the_page_on_the_architecture_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for package in ("engine", "tui"):
        for each in sorted((ROOT / package).iterdir()):
            if each.suffix == ".py" and not each.name.startswith("__"):
                assert f"`{package}/{each.name}`" in page
            elif each.is_dir() and any(each.glob("*")) and each.name != "__pycache__":
                assert f"`{package}/{each.name}/`" in page
