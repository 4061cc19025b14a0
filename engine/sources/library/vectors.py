"""Vectors for the rows that have none yet. Those rows are the list of what is to be done: nothing else is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from engine.sources.library.documents import Documents
from engine.sources.library.embed import Embedder
from engine.sources.library.table import Row, Table
from engine.sources.library.telling import Telling

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

_SLAB = 4096
"""Rows looked up at a time. Within them, texts of one length are embedded together: they need no padding."""

_STORED, _STEP = 512, 8
"""Vectors written at a time, and texts embedded between two looks at whether to stop."""

_SECONDS = 30.0
"""A kill costs no more than the vectors of this time."""

_TIDY_AFTER = 4096
"""Rows written, at least, between two tidyings: rows not in the indexes yet are searched one by one. A tidying writes
the table anew, so the time between two grows with it."""

_AT_LATEST = 8192
"""Rows written, at most, between two tidyings: to write vectors, LanceDB reads all rows that are in no index yet, and
takes about 10 kB of memory for each."""

_MEASURE_FROM = 256
"""Texts to embed from which on it pays to measure what is fastest."""

PRECISION = "precision"
"""The fact about a library under which the embedder's choice is kept."""


def fill(table: Table, embedder: Embedder, *, documents: Documents, telling: Telling, stop: Callable[[], bool]) -> None:
    """Embed what has no vector, until there is none left or ``stop``. Raises EmbedderMissing."""
    before, total = telling.embedded, telling.chunks - telling.embedded
    if not total or stop():
        return
    _tune(table, embedder, documents, total)
    began, stored, untidy = time.monotonic(), 0, 0
    telling.tell("embed", 0, total, now=True)
    while stored < total and not stop() and (slab := table.pending(_SLAB)):
        slab.sort(key=lambda row: -len(row.text))  # the longest first: what is left only gets faster
        while slab and not stop():
            made: list[Vectors] = []
            for vectors in _embedded(embedder, slab[:_STORED], stop):
                made.append(vectors)
                done = stored + sum(map(len, made))
                seconds = time.monotonic() - began
                eta, speed = seconds / done * (total - done), done / max(seconds, 0.001)
                telling.tell("embed", done, total, eta=eta, speed=speed)
            new = _store(table, slab, made)
            slab, stored, untidy = slab[new:], stored + new, untidy + new
            telling.embedded = before + stored
            if untidy >= min(max(_TIDY_AFTER, stored // 2), _AT_LATEST):
                table.tidy()
                untidy = 0
    speed = stored / max(time.monotonic() - began, 0.001)
    telling.tell("embed", stored, total, eta=0.0 if stored >= total else -1.0, speed=speed, now=True)
    if untidy:
        table.tidy()


def _tune(table: Table, embedder: Embedder, documents: Documents, total: int) -> None:
    """Let the embedder choose how to compute, where there is enough to do for it to matter."""
    known = documents.fact(PRECISION)
    texts = [row.text for row in table.pending(_STEP)] if total >= _MEASURE_FROM else []
    choice = embedder.tune(texts, known)
    if choice != known:
        documents.note(PRECISION, choice)


def _embedded(embedder: Embedder, rows: Sequence[Row], stop: Callable[[], bool]) -> Iterator[Vectors]:
    """The vectors of these rows in order, a few at a time, as far as there is time to."""
    began = time.monotonic()
    for start in range(0, len(rows), _STEP):
        yield embedder.embed([row.text for row in rows[start : start + _STEP]])
        if stop() or time.monotonic() - began > _SECONDS:
            return


def _store(table: Table, rows: Sequence[Row], made: Sequence[Vectors]) -> int:
    """Write the vectors of the first rows. How many there were."""
    import numpy as np

    vectors = np.concatenate(made)
    table.fill(rows[: len(vectors)], vectors)
    return len(vectors)
