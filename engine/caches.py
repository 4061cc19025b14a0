"""Keeps the model's cache of a run that was stopped, and brings it back when the run goes on after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from engine.errors import ModelError
from engine.model.base import Keeper, LanguageModel
from engine.protocol import CacheKept
from engine.settings import Settings


class Caches:
    """The saved caches of one data folder: a file for each session, the oldest deleted when they take too much."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._most = settings.saved_cache_mb << 20
        self._at_hand = ""  # the session whose view the model's cache holds

    def bring(self, model: LanguageModel, session: str, *, resumed: bool) -> Iterator[CacheKept]:
        """Before a run: give the model what it had read of a session when that was stopped. Tells of it, if it could."""
        here, self._at_hand = self._at_hand, session
        file = self.file(session)
        if not resumed or here == session or not isinstance(model, Keeper) or not file.is_file():
            return
        began = time.monotonic()
        try:
            size = file.stat().st_size
            tokens = model.restore(file, key=self._key(model))
        except (OSError, ModelError):
            tokens = 0
        if tokens:
            yield CacheKept("restored", tokens, size, time.monotonic() - began)
        else:
            self.forget(session)  # of another model, or damaged: of no use to anybody

    def keep(self, model: LanguageModel, session: str) -> Iterator[CacheKept]:
        """After a run was stopped. A disk that is full costs the saved cache and nothing else."""
        from engine.model.saved import tidy

        if not self._most or not isinstance(model, Keeper):
            return
        began = time.monotonic()
        try:
            saved = model.save(self.file(session), key=self._key(model), most=self._most)
            tidy(self._settings.caches_dir, most=self._most)
        except (OSError, ModelError):
            return
        if saved.bytes:
            yield CacheKept("saved", saved.tokens, saved.bytes, time.monotonic() - began)

    def forget(self, session: str) -> None:
        """Delete what is kept of a session."""
        self.file(session).unlink(missing_ok=True)

    def file(self, session: str) -> Path:
        """Where a session's cache is kept."""
        return self._settings.caches_dir / f"{session}.kv"

    def _key(self, model: LanguageModel) -> str:
        from engine.model.verdicts import KnownModels

        return KnownModels(self._settings.known_models).digest(Path(model.info.path))
