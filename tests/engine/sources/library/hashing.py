"""A small embedder for tests: words hashed into places, so that texts with words in common are near each other."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import EmbedderMissing

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors


class HashEmbedder:
    """Deterministic. ``embedded`` counts the texts it was given; ``missing`` makes it say that it is not installed."""

    name = "hashing"
    dimensions = 64

    def __init__(self, *, missing: bool = False) -> None:
        self.embedded = 0
        self.missing = missing

    def token_starts(self, text: str) -> Sequence[int]:
        return [match.start() for match in re.finditer(r"\w+|[^\w\s]", text)]

    def tune(self, texts: Sequence[str], known: str) -> str:
        return known

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.missing:
            raise EmbedderMissing("No embedding model is installed.", "Install one.")
        self.embedded += len(texts)
        return np.stack([self._vector(text) for text in texts])

    def query(self, text: str) -> Vectors:
        if self.missing:
            raise EmbedderMissing("No embedding model is installed.", "Install one.")
        return self._vector(text)

    def _vector(self, text: str) -> Vectors:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % self.dimensions] += 1
        return vector / np.linalg.norm(vector)
