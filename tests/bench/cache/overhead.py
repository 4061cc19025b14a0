"""What one generated token costs beside llama.cpp's own decoding of it: our loop, its samplers, the grammar.

Three things are timed in turn, several rounds of each: our loop without and with a grammar, and a bare loop over
``llama_decode`` that decodes the same text after the same prompts, with nothing of ours around it. Processor seconds.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.agent.formats.guided import Guided
from engine.agent.moves import Moves
from engine.context.segments import View
from engine.model.base import Finished, Prefilled, Sampling
from tests.bench.cache import ours, trajectory

TURNS = (2, 3, 4)
"""The views that are answered."""

EACH = 70
"""Tokens written to each view, at most."""

ROUNDS = 3


@dataclass(frozen=True)
class Overhead:
    """Shares of the seconds that the bare loop's ``llama_decode`` takes for a token: 0.05 is five per cent.

    ``python`` is what our loop takes outside llama.cpp, ``samplers`` llama.cpp's drawing of tokens and its grammar,
    ``decode`` how much longer ``llama_decode`` takes in our loop than in the bare one (it asks us whether to stop).
    ``tokens`` were generated in all rounds, ``milliseconds`` is a token's time in the bare loop.
    """

    grammar: bool
    tokens: int
    milliseconds: float
    python: float
    samplers: float
    decode: float

    @property
    def total(self) -> float:
        return self.python + self.samplers + self.decode


@dataclass
class _Spent:
    """Seconds by where they went, and tokens."""

    whole: float = 0.0
    decode: float = 0.0
    samplers: float = 0.0
    tokens: int = 0

    def each(self, seconds: float) -> float:
        return seconds / max(1, self.tokens)


def measure(path: Path, *, rounds: int = ROUNDS, each: int = EACH) -> tuple[Overhead, ...]:
    """Without a grammar and with the one that answers are held to."""
    from llama_cpp import llama_cpp as lib

    model = ours.load(path)
    run = trajectory.record(max(TURNS) + 1)
    views = [trajectory.look(run, turn, window=4) for turn in TURNS]
    grammars = {False: "", True: Guided(led=False).grammar(Moves(answer=True))}
    shares: dict[bool, list[tuple[float, float, float, float]]] = {use: [] for use in grammars}
    written = dict.fromkeys(grammars, 0)
    try:
        with _bare(lib, path) as decode:
            for _ in range(rounds):
                spent = {use: (_Spent(), _Spent()) for use in grammars}
                for view, use in itertools.product(views, grammars):
                    loop, base = spent[use]
                    text = _generate(lib, model, view, grammars[use], each, loop)
                    prompt = [token for span in ours.spans(model, view) for token in span]
                    decode(prompt, ours.tokens(model, text), base)
                for use, (loop, base) in spent.items():
                    unit = base.each(base.decode)
                    outside = loop.whole - loop.decode - loop.samplers
                    parts = (loop.each(outside), loop.each(loop.samplers), loop.each(loop.decode) - unit)
                    shares[use].append((unit, *(part / unit for part in parts)))
                    written[use] += loop.tokens
    finally:
        model.close()
    return tuple(
        Overhead(use, written[use], *_scaled([statistics.median(column) for column in zip(*rows, strict=True)]))
        for use, rows in shares.items()
    )


def _scaled(medians: list[float]) -> tuple[float, ...]:
    return medians[0] * 1000, *medians[1:]


def _generate(lib: Any, model: Any, view: View, grammar: str, most: int, spent: _Spent) -> str:
    """Our loop, timed from when the prompt has been read."""
    text = ""
    with _timed(lib, ("llama_decode",)) as decode, _timed(lib, ("llama_sampler_apply", "llama_sampler_accept")) as draw:
        began = skipped = drawn = 0.0
        for part in model.generate(view, sampling=Sampling(max_tokens=most), grammar=grammar):
            if isinstance(part, Prefilled):
                began, skipped, drawn = time.process_time(), decode(), draw()
            elif isinstance(part, Finished):
                text = part.text
                spent.tokens += part.tokens
        spent.whole += time.process_time() - began
        spent.decode += decode() - skipped
        spent.samplers += draw() - drawn
    return text


@contextmanager
def _timed(lib: Any, names: tuple[str, ...]) -> Iterator[Callable[[], float]]:
    """Functions of llama.cpp's binding replaced by timed ones; yields what tells the seconds spent in them so far."""
    seconds = 0.0
    originals = {name: getattr(lib, name) for name in names}

    def timed(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal seconds
            began = time.process_time()
            try:
                return original(*arguments)
            finally:
                seconds += time.process_time() - began

        return call

    for name, original in originals.items():
        setattr(lib, name, timed(original))
    try:
        yield lambda: seconds
    finally:
        for name, original in originals.items():
            setattr(lib, name, original)


@contextmanager
def _bare(lib: Any, path: Path) -> Iterator[Callable[[list[int], tuple[int, ...], _Spent], None]]:
    """A context of llama.cpp's own, without anything of ours. Yields what decodes a reply after a prompt, timed."""
    model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
    params = lib.llama_context_default_params()
    params.n_ctx = ours.CONTEXT
    params.n_threads = params.n_threads_batch = 1
    if not lib.llama_supports_gpu_offload():  # as ours: fused attention would make this loop the slower one
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = lib.llama_init_from_model(model, params)
    held: list[int] = []

    def feed(tokens: tuple[int, ...] | list[int]) -> None:
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        status = lib.llama_decode(context, lib.llama_batch_get_one(array, len(tokens)))
        if status:
            raise RuntimeError(f"llama_decode: {status}")

    def decode(prompt: list[int], reply: tuple[int, ...], spent: _Spent) -> None:
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(held, prompt[:-1], strict=False))
        keep = sum(1 for _ in same)
        lib.llama_memory_seq_rm(lib.llama_get_memory(context), 0, keep, -1)
        for start in range(keep, len(prompt), 256):
            feed(prompt[start : start + 256])
        held[:] = prompt
        for token in reply:
            began = time.process_time()
            feed([token])
            spent.decode += time.process_time() - began
        spent.tokens += len(reply)

    try:
        yield decode
    finally:
        lib.llama_free(context)
        lib.llama_model_free(model)
