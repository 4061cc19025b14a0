"""Remembers what was found out about model files, by the hash of what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.model.probe import Agreement, Verdict
from engine.model.weights import Weights

_VERSION = 1
"""Raised whenever a verdict of before may be wrong now."""


class KnownModels:
    """What is known of model files, in a small JSON file. One that cannot be read is as good as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def verdict(self, weights: Weights, find: Callable[[], Verdict]) -> Verdict:
        """The verdict on a model, found now if it is not known."""
        key = f"{self.digest(weights.path)} {_llama_version()} {_VERSION}"
        try:
            return _verdict(self._read()["verdicts"][key])
        except (KeyError, TypeError):
            found = find()
            self._keep("verdicts", key, asdict(found))
            return found

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file, looked up if the file is the one of before. Raises ModelError if it cannot be read."""
        try:
            stat = path.stat()
            name = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
            known = self._read()["files"].get(name)
            if isinstance(known, str):
                return known
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path.name} cannot be read: {error.strerror}") from error
        self._keep("files", name, digest)
        return digest

    def _keep(self, part: str, key: str, value: Any) -> None:
        known = self._read()
        known[part][key] = value
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(known, indent=1), encoding="utf-8")
            new.replace(self._path)
        except OSError:  # it is found out again next time
            pass

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = None
        if not isinstance(known, dict) or not all(isinstance(known.get(part), dict) for part in ("files", "verdicts")):
            return {"files": {}, "verdicts": {}}
        return known


def _llama_version() -> str:
    import llama_cpp

    return str(llama_cpp.__version__)


def _verdict(told: dict[str, Any]) -> Verdict:
    agreements = {part: Agreement(**told[part]) if told[part] else None for part in ("noise", "carry", "repair")}
    return Verdict(**{**told, **agreements})
