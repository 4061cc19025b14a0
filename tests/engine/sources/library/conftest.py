from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.sources.library import Library
from tests.engine.sources.library.hashing import HashEmbedder


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder()


@pytest.fixture
def open_library(tmp_path: Path, embedder: HashEmbedder) -> Iterator[Callable[[], Library]]:
    """Opens the same library again and again, as one process after the other would."""
    opened: list[Library] = []

    def again() -> Library:
        opened.append(Library(tmp_path / "libraries", embedder=embedder))
        return opened[-1]

    yield again
    for each in opened:
        each.close()


@pytest.fixture
def library(open_library: Callable[[], Library]) -> Library:
    return open_library()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of three small documents."""
    folder = tmp_path / "notes"
    (folder / "far").mkdir(parents=True)
    lamp = "# Lamp\n\n## Oil\n\nThe lamp burns whale oil.\n\n## Keeper\n\nIt is lit by the keeper at dusk.\n"
    (folder / "lamp.md").write_text(lamp)
    (folder / "tower.txt").write_text("The tower is thirty-one metres high.\nIt was built of basalt.\n")
    (folder / "far" / "boat.rst").write_text("Boat\n====\n\nThe supply boat comes every second Thursday.\n")
    return folder
