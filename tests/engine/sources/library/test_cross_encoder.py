"""Cross-encoders from a folder: which folders are refused, and a real one, tiny and with weights that say nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RerankerFailed
from engine.sources.library import Library
from engine.sources.library.cross_encoder import CrossEncoder, reranker_of, trouble
from tests.engine.sources.library.hashing import HashEmbedder
from tests.engine.sources.library.tiny_encoder import save

CONFIG = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}


def put(folder: Path, **files: Any) -> Path:
    """A folder with these files; ``model`` is the weights."""
    folder.mkdir()
    for name, content in files.items():
        path = folder / ("model.safetensors" if name == "model" else f"{name}.json")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_setting_names_a_folder_or_one_among_the_models_or_nothing(tmp_path: Path) -> None:
    assert reranker_of("", tmp_path) is None
    inside = put(tmp_path / "small", config=CONFIG)
    for setting in ("small", str(inside)):
        found = reranker_of(setting, tmp_path)
        assert found is not None and found.folder == inside and found.name == "small"


Case = tuple[Callable[[Path], object], str]
CASES: dict[str, Case] = {
    "missing": (lambda folder: None, "there is no folder"),
    "a file": (lambda folder: folder.write_text("x"), "there is no folder"),
    "empty": (lambda folder: put(folder), "config.json is missing or damaged"),
    "damaged": (lambda folder: put(folder, config="{", model="x"), "config.json is missing or damaged"),
    "a list": (lambda folder: put(folder, config=[], model="x"), "config.json is missing or damaged"),
    "no weights": (
        lambda folder: put(folder, config=CONFIG),
        "no model.safetensors; weights in other files may run code",
    ),
    "an embedder": (lambda folder: put(folder, config={"architectures": ["BertModel"]}, model="x"), "holds BertModel"),
    "nothing said": (lambda folder: put(folder, config={"architectures": 5}, model="x"), "holds something else"),
    "classes": (
        lambda folder: put(folder, config={**CONFIG, "id2label": {"0": "no", "1": "yes"}}, model="x"),
        "tells 2 classes apart",
    ),
    "own code": (
        lambda folder: put(folder, config=CONFIG, modules=[{"type": "evil.Transformers"}], model="x"),
        "parts of its own",
    ),
    "more parts": (
        lambda folder: put(folder, config=CONFIG, modules=[{"type": "a.Transformer"}, {"type": "a.Dense"}], model="x"),
        "parts of its own",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_cross_encoder_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    make, why = CASES[name]
    make(tmp_path / "given")
    assert why in trouble(tmp_path / "given")
    with pytest.raises(RerankerFailed, match="given") as error:
        CrossEncoder(tmp_path / "given").scores("oil", ["whale oil"])
    assert why in str(error.value) and "Name a folder with a cross-encoder" in error.value.hint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.embedder
def test_a_real_one_gives_a_score_for_each_passage_whatever_stands_in_it(folder: Path) -> None:
    model = CrossEncoder(folder)
    assert trouble(folder) == "" and list(model.scores("oil", [])) == []
    passages = [
        "whale oil burns",
        "",
        "the tower " * 800,
        "日本\x1b[2J\ud800 </s>",
        "whale [SEP] oil",
        "whale [ sep ] oil",
    ]
    together = model.scores("oil", passages)
    assert len(together) == len(passages)
    alone = [model.scores("oil", [each])[0] for each in passages]
    assert together == pytest.approx(alone, abs=1e-5), "a score is of one passage, whatever stands beside it"
    assert together[4] == together[5], "a mark of the model in a passage is text"
    assert together[0] != together[1] and not all(0 <= each <= 1 for each in together), "bare figures"
    assert len(model.scores("oil " * 5000, ["whale oil"])) == 1


@pytest.mark.embedder
def test_threads_share_one_model(folder: Path) -> None:
    model, made = CrossEncoder(folder), list[float]()
    threads = [threading.Thread(target=lambda: made.extend(model.scores("oil", ["whale oil"]))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(made) == 4 and len(set(made)) == 1


@pytest.mark.embedder
def test_a_library_searches_with_it_and_nothing_opens_a_socket(
    folder: Path, notes: Path, tmp_path: Path, nothing_leaves: list[str]
) -> None:
    library = Library(tmp_path / "libraries", embedder=HashEmbedder(), reranker=CrossEncoder(folder))
    library.index([notes])
    library.warm()
    found = library.find("who lights the lamp with oil")
    scores = [hit.rerank for hit in found.hits]
    assert found.note == "" and None not in scores and scores == sorted(scores, key=lambda each: -(each or 0.0))
    assert [hit.uri for hit in library.search("who lights the lamp with oil")] == [hit.uri for hit in found.hits]
    assert nothing_leaves == []
    library.close()


@pytest.mark.embedder
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_damaged_files_leave_the_fused_order(folder: Path, notes: Path, tmp_path: Path, name: str) -> None:
    damaged = save(tmp_path / "damaged")
    (damaged / name).write_bytes(b"not what it says")
    library = Library(tmp_path / "libraries", embedder=HashEmbedder(), reranker=CrossEncoder(damaged))
    library.index([notes])
    found = library.find("who lights the lamp with oil")
    assert found.hits and all(hit.rerank is None for hit in found.hits)
    assert "The reranker damaged is not used: " in found.note and "cannot be loaded" in found.note
    library.close()


@pytest.mark.embedder
def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    folder = save(tmp_path / "pickled")
    ran = tmp_path / "ran"
    pickled = f"cbuiltins\nopen\n(V{ran}\nVw\ntR.".encode()
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.bin", "training_args.bin"):
        (folder / name).write_bytes(pickled)
    with pytest.raises(RerankerFailed, match=r"no model\.safetensors"):
        CrossEncoder(folder).scores("oil", ["whale oil"])
    (folder / "model.safetensors").write_bytes(b"damaged, so that one might fall back")
    with pytest.raises(RerankerFailed, match="cannot be loaded"):
        CrossEncoder(folder).scores("oil", ["whale oil"])
    assert not ran.exists()


@pytest.mark.embedder
def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "coded")
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: ...\n")
    config = json.loads((folder / "config.json").read_text())
    names = ("AutoConfig", "AutoModelForSequenceClassification")
    config |= {"model_type": "own", "auto_map": dict.fromkeys(names, "own.Own")}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RerankerFailed, match="cannot be loaded"):
        CrossEncoder(folder).scores("oil", ["whale oil"])
    assert not ran.exists()
