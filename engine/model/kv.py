"""Makes a model's cache equal to the tokens of a view by the cheapest edit it knows.

This version edits strictly: what comes after the first difference is dropped and read again, so that the cache is
what a fresh context would hold that read the same tokens in the same batches (other batches, other rounding). The
rule that always holds: token i of the mirror sits in the cache at position i.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import GenerationFailed

CHUNK = 256
"""Prompt tokens decoded at a time: how often progress is told."""


@dataclass(frozen=True)
class Plan:
    """Of the tokens held keep the first ``keep``, remove the ``remove`` after them, then decode ``decode`` new ones."""

    keep: int
    remove: int
    decode: int


def plan(held: Sequence[int], wanted: Sequence[int]) -> Plan:
    """The edit that turns ``held`` into ``wanted``. At least the last token is decoded: its logits are needed."""
    keep = 0
    for old, new in zip(held, wanted[:-1], strict=False):
        if old != new:
            break
        keep += 1
    return Plan(keep, len(held) - keep, len(wanted) - keep)


class Aborted(Exception):
    """Decoding was interrupted. Mirror and cache agree on what was finished before."""


class Cache:
    """The tokens in a llama.cpp context's memory, and the only way to change them. Sequence 0 is the one in use."""

    def __init__(self, context: Any) -> None:
        from llama_cpp import llama_cpp as lib

        self._lib = lib
        self._context = context
        self._memory = lib.llama_get_memory(context)
        self.tokens: list[int] = []

    def remove_from(self, position: int) -> None:
        """Drop everything from ``position`` on; everything at all where the memory cannot be cut (recurrent models).

        Asked of the memory also where the mirror has nothing to drop: should an exception ever have come between a
        decode and the mirror, the memory holds more, and what is appended next would land behind it.
        """
        if position > 0 and self._lib.llama_memory_seq_rm(self._memory, 0, position, -1):
            del self.tokens[position:]
        else:
            self.clear()

    def decode(self, tokens: Sequence[int]) -> Iterator[int]:
        """Append ``tokens``, yielding how many are done after each chunk. Logits of the last one are ready afterwards.

        Raises Aborted, or GenerationFailed after clearing the cache.
        """
        for start in range(0, len(tokens), CHUNK):
            chunk = tokens[start : start + CHUNK]
            array = (ctypes.c_int32 * len(chunk))(*chunk)  # the batch only points to it: it must outlive the call
            batch = self._lib.llama_batch_get_one(array, len(chunk))
            status = self._lib.llama_decode(self._context, batch)
            if status == 2:
                self._agree(chunk)
                raise Aborted
            if status != 0:
                held = len(self.tokens)
                self.clear()
                raise GenerationFailed(
                    f"llama.cpp could not decode {len(chunk)} tokens after {held:,} (status {status})",
                    "Ask again. If it happens often, use a smaller context.",
                )
            self.tokens += chunk
            yield start + len(chunk)

    def _agree(self, chunk: Sequence[int]) -> None:
        """After an abort the memory may hold the first part of the chunk: the mirror follows it."""
        highest = self._lib.llama_memory_seq_pos_max(self._memory, 0)
        done = highest + 1 - len(self.tokens)
        if 0 <= done <= len(chunk):
            self.tokens += chunk[:done]
        else:
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._lib.llama_memory_clear(self._memory, True)
        self.tokens.clear()

    @property
    def consistent(self) -> bool:
        """Whether the memory's highest position is the mirror's last token's."""
        return bool(self._lib.llama_memory_seq_pos_max(self._memory, 0) == len(self.tokens) - 1)
