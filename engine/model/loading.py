"""Loads the model that the settings name: with a context that fits, on what can compute it, its cache in the mode that works."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import ModelError
from engine.model import gpu
from engine.model.base import LanguageModel
from engine.model.catalogue import resolve_model
from engine.model.edits import MODES, Mode
from engine.model.endpoint.model import connect
from engine.model.endpoint.wire import Record
from engine.model.header import Header, read_header
from engine.model.llamacpp import LlamaCppModel
from engine.model.memory import Fit, fit, free_memory
from engine.model.probe import Verdict, probe
from engine.model.verdicts import KnownModels
from engine.model.weights import Weights
from engine.settings import Settings


def load(settings: Settings, record: Record | None = None, *, free: Callable[[], int] = free_memory) -> LanguageModel:
    """The model of the settings. With ``cache`` on auto, a model seen for the first time is tried out first.

    ``record`` is told of each request that leaves this machine, where the model is at a server. ``free`` tells the bytes
    of memory there are.

    Raises ModelMissing, ModelTooLarge before anything is loaded, ModelLoadFailed or another ModelError.
    """
    return connect(settings, record) if settings.endpoint else load_file(settings, free=free)


def load_file(settings: Settings, *, free: Callable[[], int] = free_memory) -> LlamaCppModel:
    """The model file of the settings, as :func:`load` loads it."""
    path = resolve_model(settings.model, settings.models_dir)
    header = read_header(path)
    cards = gpu.cards()
    fitting = fit_to(header, settings.context, free(), cards)
    offload = gpu.offload(header, fitting.context, cards)
    weights = Weights(path, settings.format, layers=offload.layers if cards else None)
    try:
        verdict = known(settings, weights) if settings.cache != "strict" else None
    except ModelError:
        weights.close()
        raise
    mode: Mode = "strict"
    if verdict is not None:
        wished = [each for each in MODES if each == settings.cache]
        mode = wished[0] if wished and not verdict.recurrent else verdict.mode
    model = LlamaCppModel(
        weights,
        context=fitting.context,
        threads=settings.threads,
        mode=mode,
        resync=settings.resync,
        shift=verdict is None or verdict.moves != "gap",
        note=verdict.words if verdict else "strict, as set: after a mask the rest is read again",
    )
    model.tell(note=fitting.note, memory=fitting.estimate.total, gpu=offload.words)
    return model


def fit_to(header: Header, context: int, free: int, cards: tuple[gpu.Card, ...]) -> Fit:
    """The context that a model gets on this machine. Raises ModelTooLarge."""
    return fit(header, context, gpu.room(free, cards), fused=bool(cards))


def known(settings: Settings, weights: Weights) -> Verdict:
    """What is known of a model's cache, found out now if it was not."""
    return KnownModels(settings.known_models).verdict(weights, lambda: probe(weights, threads=settings.threads))
