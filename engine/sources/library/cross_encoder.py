"""A reranker from a folder: a cross-encoder of sentence-transformers, which reads query and passage as one text."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.clean import clean_line
from engine.errors import RerankerFailed
from engine.sources.library.heavy import load_sentence_transformers

_WEIGHTS = "model.safetensors"
_KIND = "ForSequenceClassification"
_BATCH = 10
HINT = (
    "Name a folder with a cross-encoder of sentence-transformers: config.json, its tokenizer and"
    f" {_WEIGHTS}. Without a reranker hits stand as they were fused."
)


class CrossEncoder:
    """Loads on first use, from the folder alone: no hub is asked, no code in the folder is run, no pickle is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()  # one batch at a time is fastest, and it is loaded once
        self._model: Any = None

    @property
    def name(self) -> str:
        return clean_line(self.folder.name)

    def scores(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        if not passages:
            return ()
        with self._lock:
            if self._model is None:
                self._model = _load(self.folder)
            from torch.nn import Identity  # loaded by now

            pairs = [(_sound(query), _sound(passage)) for passage in passages]
            try:
                # The bare figures: squeezed between 0 and 1 the best ones would all be 1.
                made = self._model.predict(pairs, batch_size=_BATCH, activation_fn=Identity(), show_progress_bar=False)
            except Exception as error:
                raise RerankerFailed(f"It cannot read this: {error}.", "Use another one, or none.") from error
        return [float(each) for each in made]


def reranker_of(setting: str, models: Path) -> CrossEncoder | None:
    """The reranker of this setting, None for an empty one. ``models``: the folder where a bare name is looked for first."""
    if not setting:
        return None
    path = Path(setting).expanduser()
    inside = models / setting
    return CrossEncoder(inside if len(path.parts) == 1 and inside.is_dir() else path.absolute())


def trouble(folder: Path) -> str:
    """Why no cross-encoder can be loaded from a folder, in words, by a look at its files; empty where nothing is wrong."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    config = _json(folder / "config.json")
    if not isinstance(config, dict):
        return f"{folder} holds no model: its config.json is missing or damaged"
    if not (folder / _WEIGHTS).is_file():
        return f"{folder} has no {_WEIGHTS}; weights in other files may run code and are not loaded"
    kinds = config.get("architectures")
    kind = str(kinds[0]) if isinstance(kinds, list) and kinds else "something else"
    if not kind.endswith(_KIND):
        return f"{folder} holds {kind}, which is no cross-encoder (…{_KIND})"
    labels = config.get("id2label")
    if isinstance(labels, dict) and len(labels) != 1:
        return f"{folder} holds a model that tells {len(labels)} classes apart; a cross-encoder gives one figure"
    modules = _json(folder / "modules.json") if (folder / "modules.json").exists() else [{"type": ".Transformer"}]
    if not isinstance(modules, list) or [_last(each) for each in modules] != ["Transformer"]:
        return f"{folder} holds a model with parts of its own, which are not loaded"
    return ""


def _sound(text: str) -> str:
    """Without halves of characters, which a terminal can hand over and a tokenizer refuses."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _last(module: Any) -> str:
    return str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""


def _load(folder: Path) -> Any:
    if wrong := trouble(folder):
        raise RerankerFailed(f"{clean_line(wrong)}.", HINT)
    try:
        load_sentence_transformers()
        from sentence_transformers import CrossEncoder as Model

        model = Model(
            str(folder),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
            # A passage that holds "[SEP]" holds five characters, and no end of a passage.
            processor_kwargs={"split_special_tokens": True},
        )
    except Exception as error:  # whatever is in the folder: the list stands as it was fused
        reason = clean_line(str(error) or type(error).__name__)[:200]
        raise RerankerFailed(f"{clean_line(str(folder))} cannot be loaded: {reason}.", HINT) from error
    if model.num_labels != 1:
        raise RerankerFailed(f"{clean_line(str(folder))} gives {model.num_labels} figures a passage, not one.", HINT)
    model.eval()
    return model


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
