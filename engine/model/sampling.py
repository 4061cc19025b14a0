"""Draws the next token. A grammar is asked about the token drawn first, and about all others only if it refuses.

Checking a grammar against a whole vocabulary costs several times a small model's decode; a model that was told what
to write mostly writes what the grammar allows.
"""

from __future__ import annotations

import ctypes
from typing import Any, Self

from engine.errors import GenerationFailed, ModelError
from engine.model.base import Sampling


class Sampler:
    """llama.cpp's samplers for one reply; leaving the context frees them. Raises ModelError for a bad grammar."""

    def __init__(self, lib: Any, vocab: Any, sampling: Sampling, grammar: str) -> None:
        import numpy as np

        self._lib, self._vocab = lib, vocab
        self._lazy = None if grammar else sampling.lazy
        self._size = int(lib.llama_vocab_n_tokens(vocab))
        self._candidates = np.zeros(self._size, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._ids = np.arange(self._size, dtype=np.int32)
        self._np = np
        self._grammar = self._rules(grammar, "root") if grammar else None
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for sampler in self._samplers(sampling):
            lib.llama_sampler_chain_add(self._chain, sampler)

    def wrote(self, text: str) -> None:
        """The reply so far: from here on a lazy grammar may hold.

        llama.cpp can wait for a mark itself, but then ends the process where the token that completes the mark brings
        text after it that the grammar does not allow. Here the grammar begins with the next token.
        """
        if self._lazy is not None and (root := self._lazy.root(text)):
            self._grammar = self._rules(self._lazy.rules, root)
            self._lazy = None

    def _rules(self, grammar: str, root: str) -> Any:
        rules = grammar.encode("utf-8", errors="replace")
        # llama.cpp reads up to a NUL and takes no rules at all for permission to write anything.
        readable = rules.strip() and b"\0" not in rules
        made = self._lib.llama_sampler_init_grammar(self._vocab, rules, root.encode()) if readable else None
        if not made:  # a NULL sampler in use would end the process
            raise ModelError(f"the grammar cannot be read: {grammar[:200]}")
        return made

    def _samplers(self, sampling: Sampling) -> list[Any]:
        lib = self._lib
        chosen = []
        if sampling.repeat_penalty != 1.0:
            chosen.append(lib.llama_sampler_init_penalties(self._size, 64, sampling.repeat_penalty, 0.0, 0.0))
        if sampling.temperature <= 0:
            return [*chosen, lib.llama_sampler_init_greedy()]
        return [
            *chosen,
            lib.llama_sampler_init_top_k(sampling.top_k),
            lib.llama_sampler_init_top_p(sampling.top_p, 1),
            lib.llama_sampler_init_temp(sampling.temperature),
            lib.llama_sampler_init_dist(sampling.seed),
        ]

    def sample(self, context: Any) -> int:
        """The next token after the last one decoded, accepted by grammar and penalties."""
        logits = self._np.ctypeslib.as_array(self._lib.llama_get_logits_ith(context, -1), (self._size,))
        token = self._draw(logits)
        if self._grammar is not None and not self._allowed(token):
            token = self._draw(logits, by_grammar=True)
        if self._grammar is not None:
            self._lib.llama_sampler_accept(self._grammar, token)
        self._lib.llama_sampler_accept(self._chain, token)
        return token

    def _draw(self, logits: Any, *, by_grammar: bool = False) -> int:
        self._candidates["id"] = self._ids
        self._candidates["logit"] = logits
        array = self._array(self._candidates)
        if by_grammar:
            self._lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
            if not self._np.isfinite(self._candidates["logit"]).any():
                raise GenerationFailed("the grammar allows no token here")
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _allowed(self, token: int) -> bool:
        one = self._np.zeros(1, dtype=self._candidates.dtype)
        one["id"] = token
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(self._array(one)))
        return bool(self._np.isfinite(one["logit"][0]))

    def _array(self, candidates: Any) -> Any:
        data = candidates.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        return self._lib.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.llama_sampler_free(self._chain)
        if self._grammar is not None:
            self._lib.llama_sampler_free(self._grammar)
