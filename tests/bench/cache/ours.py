"""This project's runtime. The only file here that knows how it is made."""

from __future__ import annotations

import inspect
from pathlib import Path

from engine.context.segments import View
from engine.model.base import Prefilled, Sampling
from engine.model.llamacpp import LlamaCppModel
from tests.bench.cache.method import CONTEXT, NotMeasured, Step, Stopwatch


def load(path: Path, *, mode: str = "strict", context: int = CONTEXT) -> LlamaCppModel:
    """The model with one thread. Raises NotMeasured if the runtime has no such mode."""
    if "mode" in inspect.signature(LlamaCppModel).parameters:
        return LlamaCppModel(path, context=context, threads=1, mode=mode)
    if mode != "strict":
        raise NotMeasured(f"the runtime has no mode {mode}")
    return LlamaCppModel(path, context=context, threads=1)


def spans(model: LlamaCppModel, view: View) -> tuple[tuple[int, ...], ...]:
    """The tokens of the view, piece by piece."""
    return tuple(span.tokens for span in model._spans(view))


def tokens(model: LlamaCppModel, text: str) -> tuple[int, ...]:
    """The tokens of a reply."""
    return model._tokens(text, False)


class Ours:
    """One mode of the runtime."""

    def __init__(self, name: str, path: Path, *, mode: str = "strict", window: int = 4, batch: int = 1) -> None:
        self.name = name
        self.window = window
        self.batch = batch
        self.model = load(path, mode=mode)

    def step(self, view: View, reply: str) -> Step:
        written = len(tokens(self.model, reply))
        size = sum(segment.tokens for segment in self.model.measure(view))
        watch = Stopwatch()
        parts = self.model.generate(view, sampling=Sampling(max_tokens=written))
        read = next(part for part in parts if isinstance(part, Prefilled))
        parts.close()
        prompt = watch.lap()
        self._force(reply)
        return Step(read.decoded, read.reused, size + written, prompt, watch.lap())

    def _force(self, reply: str) -> None:
        if hasattr(self.model, "force"):
            self.model.force(reply)
            return
        for token in tokens(self.model, reply):
            for _ in self.model._cache.decode([token]):
                pass

    def close(self) -> None:
        self.model.close()
