"""Loads the model that the settings name, with its cache in the mode that is known to work for it."""

from __future__ import annotations

from engine.errors import ModelError
from engine.model.base import LanguageModel
from engine.model.catalogue import resolve_model
from engine.model.edits import MODES, Mode
from engine.model.endpoint.model import connect
from engine.model.endpoint.wire import Record
from engine.model.llamacpp import LlamaCppModel
from engine.model.probe import Verdict, probe
from engine.model.verdicts import KnownModels
from engine.model.weights import Weights
from engine.settings import Settings


def load(settings: Settings, record: Record | None = None) -> LanguageModel:
    """The model of the settings. With ``cache`` on auto, a model seen for the first time is tried out first.

    ``record`` is told of each request that leaves this machine, where the model is at a server.

    Raises ModelMissing, ModelLoadFailed or another ModelError.
    """
    if settings.endpoint:
        return connect(settings, record)
    weights = Weights(resolve_model(settings.model, settings.models_dir))
    try:
        verdict = known(settings, weights) if settings.cache != "strict" else None
    except ModelError:
        weights.close()
        raise
    mode: Mode = "strict"
    if verdict is not None:
        wished = [each for each in MODES if each == settings.cache]
        mode = wished[0] if wished and not verdict.recurrent else verdict.mode
    return LlamaCppModel(
        weights,
        context=settings.context,
        threads=settings.threads,
        mode=mode,
        resync=settings.resync,
        shift=verdict is None or verdict.moves != "gap",
        note=verdict.words if verdict else "strict, as set: after a mask the rest is read again",
    )


def known(settings: Settings, weights: Weights) -> Verdict:
    """What is known of a model's cache, found out now if it was not."""
    return KnownModels(settings.known_models).verdict(weights, lambda: probe(weights, threads=settings.threads))
