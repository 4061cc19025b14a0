"""In which numbers the embedding model computes: the short ones where this machine is faster with them, and as good."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

FAITHFUL = 0.99
"""The least cosine to the vector in full precision that any text may have."""

_FASTER = 1.2
"""How many times faster it must be to be worth it."""

_HOPELESS = 0.5
"""So much slower that nothing a second look could show would change it."""

_TEXTS, _CHARACTERS, _ROUNDS = 4, 240, 3
"""Little: a processor without instructions for it takes ten times as long."""

_BATCH = 16


def encode(model: Any, texts: list[str]) -> Vectors:
    """One row of length 1 for each text."""
    import numpy as np

    made = model.encode(texts, batch_size=_BATCH, convert_to_numpy=True, show_progress_bar=False)
    vectors: Vectors = np.asarray(made, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)  # after rounding, also those that were normal before
    return vectors


def choose(model: Any, texts: Sequence[str], known: str) -> tuple[Any, str]:
    """The model to use from now on, and the choice in words to keep; empty while there is nothing to measure with."""
    import torch

    machine = f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()} {os.cpu_count()}"
    choice = _read(known)
    if choice.get("machine") != machine:
        if len(texts) < _TEXTS:
            return model, ""
        choice = {"machine": machine, **_measure(model, [text[:_CHARACTERS] for text in texts[:_TEXTS]])}
    chosen = copy.deepcopy(model).to(torch.bfloat16) if choice.get("precision") == "bf16" else model
    return chosen, json.dumps(choice)


def describe(choice: str) -> str:
    """A kept choice for people, empty where there is none."""
    kept = _read(choice)
    try:
        measured = f"bf16 ran at {kept['speed']:.2f} times the speed of fp32, cosine {kept['cosine']:.4f} or more"
        return f"{kept['precision']}; {measured}"
    except (KeyError, TypeError, ValueError):
        return ""


def _measure(model: Any, texts: list[str]) -> dict[str, object]:
    """Both ways in turn, so that what else the machine does disturbs both."""
    import torch

    short = copy.deepcopy(model).to(torch.bfloat16)
    exact, rounded = encode(model, texts), encode(short, texts)  # also the first time, which takes longer
    cosine = float((exact * rounded).sum(axis=1).min())
    times: tuple[list[float], list[float]] = ([], [])
    speed = 1.0
    for _ in range(_ROUNDS):
        for each, taken in zip((model, short), times, strict=True):
            began = time.perf_counter()
            encode(each, texts)
            taken.append(time.perf_counter() - began)
        speed = min(times[0]) / min(times[1])
        if speed < _HOPELESS:
            break
    precision = "bf16" if speed >= _FASTER and cosine >= FAITHFUL else "fp32"
    return {"precision": precision, "speed": round(speed, 3), "cosine": round(cosine, 5)}


def _read(choice: str) -> dict[str, Any]:
    try:
        kept = json.loads(choice)
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}
