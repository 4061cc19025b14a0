"""llama.cpp's own interface to a model's memory, for tests that do to it exactly what they say, wise or not."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]


class Native:
    """A model file on llama.cpp's own interface: what is asked of its memory is done as asked."""

    def __init__(self, path: Path) -> None:
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")
        from llama_cpp import llama_cpp

        self.lib: Any = llama_cpp
        self.lib.llama_backend_init()
        self.model = self.lib.llama_model_load_from_file(os.fsencode(path), self.lib.llama_model_default_params())
        assert self.model
        self._size = self.lib.llama_vocab_n_tokens(self.lib.llama_model_get_vocab(self.model))

    @contextmanager
    def context(self, **settings: Any) -> Iterator[Context]:
        params = self.lib.llama_context_default_params()
        params.n_ctx, params.n_ubatch, params.n_threads, params.n_threads_batch = 512, 64, 1, 1
        for name, value in settings.items():
            setattr(params, name, value)
        native = self.lib.llama_init_from_model(self.model, params)
        assert native
        try:
            yield Context(self.lib, native, self._size)
        finally:
            self.lib.llama_free(native)

    def read(self, tokens: Sequence[int], **settings: Any) -> Logits:
        """What a fresh context expects after these tokens."""
        with self.context(**settings) as context:
            return context.decode(tokens, 0)

    def close(self) -> None:
        self.lib.llama_model_free(self.model)


class Context:
    def __init__(self, lib: Any, native: Any, vocabulary: int) -> None:
        self.lib, self._native, self._vocabulary = lib, native, vocabulary
        self.memory = lib.llama_get_memory(native)

    def decode(self, tokens: Sequence[int], position: int, sequence: int = 0) -> Logits:
        found = self.try_decode(tokens, position, sequence)
        assert found is not None
        return found

    def try_decode(self, tokens: Sequence[int], position: int, sequence: int = 0) -> Logits | None:
        """The logits after the last of these tokens; None if llama.cpp refuses them."""
        batch = self.lib.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index] = token, position + index
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
            batch.logits[index] = index == len(tokens) - 1
        status = self.lib.llama_decode(self._native, batch)
        self.lib.llama_batch_free(batch)
        if status:
            return None
        row = self.lib.llama_get_logits_ith(self._native, -1)
        return np.ctypeslib.as_array(row, (self._vocabulary,)).astype(np.float32)

    def remove(self, start: int, end: int) -> bool:
        return bool(self.lib.llama_memory_seq_rm(self.memory, 0, start, end))

    def shift(self, start: int, by: int) -> None:
        self.lib.llama_memory_seq_add(self.memory, 0, start, -1, by)

    def copy(self, end: int) -> None:
        """Give sequence 1 the past of sequence 0 before ``end``."""
        self.lib.llama_memory_seq_cp(self.memory, 0, 1, 0, end)

    def save(self) -> Any:
        """The part of the memory that cannot be cut."""
        flags = self.lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        size = self.lib.llama_state_seq_get_size_ext(self._native, 0, flags)
        saved = (ctypes.c_uint8 * size)()
        assert self.lib.llama_state_seq_get_data_ext(self._native, saved, size, 0, flags) == size
        return saved

    def restore(self, saved: Any) -> None:
        flags = self.lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        assert self.lib.llama_state_seq_set_data_ext(self._native, saved, len(saved), 0, flags) == len(saved)

    @property
    def positions(self) -> tuple[int, int]:
        """The first and the last that the memory says it holds all between of."""
        lib, memory = self.lib, self.memory
        return lib.llama_memory_seq_pos_min(memory, 0), lib.llama_memory_seq_pos_max(memory, 0)

    @property
    def may_shift(self) -> bool:
        return bool(self.lib.llama_memory_can_shift(self.memory))


def divergence(expected: Logits, found: Logits) -> float:
    """KL in nats."""
    left, right = _log_probabilities(expected), _log_probabilities(found)
    return float((np.exp(left) * (left - right)).sum())


def _log_probabilities(logits: Logits) -> npt.NDArray[np.float64]:
    wide = logits.astype(np.float64) - logits.max()
    normed: npt.NDArray[np.float64] = wide - np.log(np.exp(wide).sum())
    return normed
