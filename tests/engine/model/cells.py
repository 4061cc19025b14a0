"""What native memory really holds, read from a saved state, and how near two next-token distributions are."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import numpy as np

from engine.model.llamacpp import LlamaCppModel

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def positions(model: LlamaCppModel, sequence: int = 0) -> list[int]:
    """The positions of all cells of a sequence, sorted, in a memory that is one plain cache."""
    lib, context = model._lib, model.context.native
    size = lib.llama_state_seq_get_size(context, sequence)
    state = (ctypes.c_uint8 * size)()
    lib.llama_state_seq_get_data(context, state, size, sequence)
    _, _, streams, cells = struct.unpack_from("<4I", state, 0)
    assert streams == 1
    found, at = [], 16
    for _ in range(cells):
        position, sequences = struct.unpack_from("<iI", state, at)
        at += 8 + 4 * sequences
        found.append(position)
    return sorted(found)


def _logs(logits: Any) -> Numbers:
    shifted = logits.astype(np.float64) - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def divergence(exact: Any, other: Any) -> float:
    """KL(exact || other) in nats, of two rows of logits."""
    p, q = _logs(exact), _logs(other)
    return float((np.exp(p) * (p - q)).sum())


NOISE = 0.02
"""The same text read in batches of other sizes differs by less (measured: up to 0.008)."""
