from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ModelError, ModelLoadFailed
from engine.model.llamacpp import LlamaCppModel
from tests.engine.model.views import ask, parts

pytestmark = pytest.mark.model


def test_the_first_complaint_is_the_reason(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>not found</html>" * 9)
    with pytest.raises(ModelLoadFailed, match=r"invalid magic characters: '<htm'"):
        LlamaCppModel(tmp_path / "page.gguf")


def test_a_closed_model_says_so(load: Callable[[], LlamaCppModel]) -> None:
    model = load()
    assert model.count("once seen") > 0
    parts(model, ask("Once seen?"))
    model.close()
    for use in (
        lambda: model.count("never seen"),
        lambda: model.measure(ask("Never?")),
        lambda: parts(model, ask("Once seen?")),
    ):
        with pytest.raises(ModelError, match="has been closed"):
            use()


def test_a_core_is_left_to_others(model_file: Path) -> None:
    model = LlamaCppModel(model_file, context=512)
    threads = model._lib.llama_n_threads(model.context.native)
    model.close()
    import psutil

    assert 1 <= threads <= max(1, (psutil.cpu_count(logical=False) or 2) - 1)
