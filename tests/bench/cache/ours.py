"""This project's runtime. The only file here that knows how it is made."""

from __future__ import annotations

from pathlib import Path

from engine.context.segments import View
from engine.model.edits import Mode
from engine.model.llamacpp import LlamaCppModel
from tests.bench.cache.method import CONTEXT, NotMeasured, Step, Stopwatch


def load(path: Path, *, mode: Mode = "strict", context: int = CONTEXT) -> LlamaCppModel:
    """The model with one thread. Raises NotMeasured if its memory cannot be edited in this mode."""
    model = LlamaCppModel(path, context=context, threads=1, mode=mode)
    if model.cache.mode != mode:
        model.close()
        raise NotMeasured(f"this model's memory can only be kept in mode {model.cache.mode}")
    return model


def spans(model: LlamaCppModel, view: View) -> tuple[tuple[int, ...], ...]:
    """The tokens of the view, piece by piece."""
    return tuple(span.tokens for span in model.spans(view))


def tokens(model: LlamaCppModel, text: str) -> tuple[int, ...]:
    """The tokens of a reply."""
    return model.weights.tokens(text, False)


class Ours:
    """One mode of the runtime."""

    def __init__(self, name: str, path: Path, *, mode: Mode = "strict", window: int = 4, batch: int = 1) -> None:
        self.name = name
        self.window = window
        self.batch = batch
        self.model = load(path, mode=mode)

    def step(self, view: View, reply: str) -> Step:
        size = len(sum(spans(self.model, view), tokens(self.model, reply)))  # which also fills its cache of tokens
        watch = Stopwatch()
        read = self.model.read(view)
        prompt = watch.lap()
        self.model.force(reply)
        return Step(read.decoded, read.reused, size, prompt, watch.lap())

    def close(self) -> None:
        self.model.close()
