"""The model of an engine: loaded when it is first wanted, and again when another is chosen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.model.base import LanguageModel
from engine.protocol import Event, ModelInfo, ModelLoaded, ModelLoading, NetworkEntry
from engine.settings import Settings

Load = Callable[[Settings], LanguageModel]
Record = Callable[[NetworkEntry], None]


class Loaded:
    """Keeps at most one model. ``load`` makes it; what the settings say of the model follows :meth:`choose`."""

    def __init__(self, settings: Settings, emit: Callable[[Event], None], load: Load) -> None:
        self.settings = settings
        self._emit, self._load = emit, load
        self._lock = threading.RLock()
        self._model: LanguageModel | None = None
        self._chosen_by = settings.model  # what the loaded one was chosen by

    @property
    def model(self) -> LanguageModel | None:
        """The model if it is loaded."""
        return self._model

    def ready(self) -> LanguageModel:
        """The model, loaded now if it is not. Raises ModelError where it cannot be."""
        with self._lock:
            if self._chosen_by != self.settings.model:
                self.free()
            if self._model is None:
                began = time.monotonic()
                self._emit(ModelLoading(_named(self.settings)))
                self._chosen_by = self.settings.model
                self._model = self._load(self.settings)
                info = self._model.info
                self._emit(ModelLoaded(info, time.monotonic() - began, info.note or _shortened(info, self.settings)))
            return self._model

    def choose(self, model: str) -> None:
        """Another ``model`` setting, for when a model is wanted next."""
        self.settings = replace(self.settings, model=model)

    def free(self, *, busy: Callable[[], bool] = lambda: False) -> bool:
        """Let go of the model, to be loaded again when it is wanted; false where it is ``busy``."""
        with self._lock:
            if busy():
                return False
            if self._model is not None:
                self._model.close()
                self._model = None
            return True


def load(settings: Settings, record: Record) -> LanguageModel:
    """The model of the settings. ``record`` hears of every request, where it is at a server."""
    from engine.model import loading

    return loading.load(settings, record)


def _shortened(info: ModelInfo, settings: Settings) -> str:
    """A note where the model takes less context than was asked for; else empty."""
    if info.endpoint or info.context >= settings.context:
        return ""
    return f"{info.context:,} tokens of context, all it was trained for; {settings.context:,} were asked for"


def _named(settings: Settings) -> str:
    """What is being loaded, for a person."""
    if settings.server is not None:
        return f"{settings.endpoint_model or 'the model'} at {settings.server.label}"
    return Path(settings.model).name or "starter model"
