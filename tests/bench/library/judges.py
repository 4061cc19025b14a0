"""A language model as a reranker, for measuring whether that is worth what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.model.kv import CHUNK
from engine.model.weights import USUAL, Weights

_LONGEST = 256
"""Tokens of a passage, and of a query."""

_AFTER = "\n\nQuestion answered by the passage above: "


class Judge:
    """Scores a passage by how likely the model finds the query behind it, in nats a token.

    Nobody has to follow an instruction for that. Implements :class:`engine.sources.library.rerank.Reranker`.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._weights = Weights(path)
        self._lib = self._weights.lib
        self._context = self._weights.context(1024, 1, lambda: False, USUAL)
        self._memory = self._lib.llama_get_memory(self._context.native)
        self._batch = self._lib.llama_batch_init(CHUNK, 0, 1)
        self._size = int(self._lib.llama_vocab_n_tokens(self._weights.vocab))
        bos = int(self._lib.llama_vocab_bos(self._weights.vocab))
        self._start = (bos,) if self._lib.llama_vocab_get_add_bos(self._weights.vocab) else ()

    def scores(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        return [self._likelihood(self._tokens(query), self._tokens(passage)) for passage in passages]

    def close(self) -> None:
        self._lib.llama_batch_free(self._batch)
        self._context.close()
        self._weights.close()

    def _likelihood(self, query: tuple[int, ...], passage: tuple[int, ...]) -> float:
        tokens = self._start + passage + self._weights.tokens(_AFTER, False) + query
        odds = self._read(tokens[:-1], len(query))
        each = [row[token] - np.logaddexp.reduce(row) for row, token in zip(odds, query, strict=True)]
        return float(np.mean(each))

    def _tokens(self, text: str) -> tuple[int, ...]:
        return self._weights.tokens(text, False)[:_LONGEST]

    def _read(self, tokens: tuple[int, ...], wanted: int) -> list[Any]:
        """Read ``tokens`` and nothing else. The odds behind each of the last ``wanted``."""
        self._lib.llama_memory_seq_rm(self._memory, 0, 0, -1)
        batch, odds = self._batch, []
        for begin in range(0, len(tokens), CHUNK):
            part = tokens[begin : begin + CHUNK]
            batch.n_tokens = len(part)
            for place, token in enumerate(part):
                batch.token[place], batch.pos[place] = token, begin + place
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
                batch.logits[place] = begin + place >= len(tokens) - wanted
            if self._lib.llama_decode(self._context.native, batch):
                raise RuntimeError("llama.cpp did not read it")
            for place in range(len(part)):
                if batch.logits[place]:
                    row = self._lib.llama_get_logits_ith(self._context.native, place)
                    odds.append(np.ctypeslib.as_array(row, (self._size,)).astype(np.float64))
        return odds
