"""Which embedder the settings mean: the starter's, one in a folder, or one that an installed package carries."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from engine.clean import clean_line
from engine.errors import EmbedderMissing
from engine.sources.library.embed import Embedder, MiniLM, SentenceModel, model_folder

_WEIGHTS = "model.safetensors"
_HINT = "The setting embedder names a folder of sentence-transformers with a model.safetensors, or a package with one."


class InFolder(SentenceModel):
    """A model of sentence-transformers in a folder. Where nothing of use is there, it says so once it is needed."""

    def __init__(self, folder: Path, called: str = "") -> None:
        self._path, self._called = folder, called
        super().__init__(self._place, _name(folder, called or folder.name), _dimensions(folder))

    def __reduce__(self) -> tuple[type[InFolder], tuple[Path, str]]:
        return type(self), (self._path, self._called)

    def _place(self) -> Path:
        if not (self._path / _WEIGHTS).is_file():
            raise EmbedderMissing(f"There is no embedding model in {clean_line(str(self._path))}.", _HINT)
        return self._path


def embedder_of(setting: str, models: Path) -> Embedder:
    """The embedder of this setting. ``models`` is the folder in which a bare name is looked for first. Never raises."""
    if not setting:
        return MiniLM()
    path = Path(setting).expanduser()
    if path.is_absolute() or len(path.parts) > 1 or path.is_dir():
        return InFolder(path.absolute())
    if (models / setting / _WEIGHTS).is_file():
        return InFolder(models / setting)
    package = setting.replace("-", "_")
    if package.isidentifier() and importlib.util.find_spec(package) is not None:
        try:
            return InFolder(model_folder(package), setting)
        except EmbedderMissing:
            pass  # told, with what there is, once it is needed
    return InFolder(models / setting)


def trouble(setting: str, models: Path) -> str:
    """What is wrong with this setting, in words, with the name that may be meant; empty where nothing is."""
    embedder = embedder_of(setting, models)
    if not isinstance(embedder, InFolder) or (embedder._path / _WEIGHTS).is_file():
        return ""
    known = [each.parent.name for each in models.glob(f"*/{_WEIGHTS}")]
    near = difflib.get_close_matches(setting, known, 1)
    return clean_line(f"there is no embedding model {setting}" + (f"; did you mean {near[0]}?" if near else ""))


def _name(folder: Path, called: str) -> str:
    """The name with a few letters that change with the model: folders of one name may hold different ones."""
    digest = hashlib.blake2b(digest_size=4)
    for each in ("modules.json", "config.json", _WEIGHTS):
        path = folder / each
        if path.is_file():
            digest.update(str(path.stat().st_size).encode())
            digest.update(path.open("rb").read(1 << 16))
    return f"{clean_line(called)}@{digest.hexdigest()}"


def _dimensions(folder: Path) -> int:
    """The length of a vector, as the model's own files tell it."""
    last = MiniLM.dimensions
    modules = _json(folder / "modules.json")
    last = int(_json(folder / "config.json", {}).get("hidden_size", last))
    for module in modules if isinstance(modules, list) else []:
        told = _json(folder / str(module.get("path", "")) / "config.json", {})
        last = int(
            told.get("out_features", told.get("word_embedding_dimension", told.get("embedding_dimension", last)))
        )
    return last


def _json(path: Path, otherwise: Any = None) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise
