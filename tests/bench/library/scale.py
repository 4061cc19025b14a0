"""How searching grows with the library: full text, vectors compared one by one, and an index over them.

The texts are chunks of the corpora; past what there is they come again with a number in front. The vectors are real
ones, of the shelf, turned by a random rotation for each copy: a rotation keeps all distances within a copy, so every
copy is as crowded as real vectors are, and the copies lie among each other as strangers. Queries are turned alike.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.sources.library import chunk as chunking
from engine.sources.library.embed import Embedder
from engine.sources.library.extract.html import extract_html
from engine.sources.library.heavy import load_lancedb
from engine.sources.library.search import phrase_rows
from engine.sources.library.table import Row, Table
from tests.bench.library.memory import helpers, peak
from tests.bench.library.quality import percentiles
from tests.bench.library.shelf import Shelf

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

QUERIES = 100

_EXACT, _FEW_FROM = 20, 500_000
"""Queries compared with every vector in LanceDB where there are so many of them that it takes seconds each."""

BATCH = 5_000


@dataclass(frozen=True)
class Size:
    """What was measured at one size. Times are (median, 95th percentile) in seconds.

    ``tidy_peak``, ``search_peak``: the most memory, in MB, of a process that does nothing else. ``flat`` is over fewer
    queries where there are very many chunks.
    """

    chunks: int
    text: tuple[float, float]
    phrase: tuple[float, float]
    flat: tuple[float, float]
    indexed: tuple[float, float]
    recall: float
    text_build: float
    vector_build: float
    tidy_peak: float
    search_peak: float
    megabytes: float


def measure(shelf: Shelf, embedder: Embedder, chunks: int, texts: list[str], folder: Path | None = None) -> Size:
    """Make a table of so many chunks in ``folder`` (one for the while) and ask it QUERIES queries.

    ``texts``: see :func:`real_texts`.
    """
    wanted = [query for query in shelf.queries if query.split == "test"]
    wanted = wanted[:: max(1, len(wanted) // QUERIES)][:QUERIES]
    held = _vectors(shelf, embedder)
    copies = -(-chunks // len(held))
    turns = [_rotation(held.shape[1], seed) for seed in range(copies)]
    asked = np.stack([embedder.query(query.text) @ turns[place % copies] for place, query in enumerate(wanted)])
    words = [query.text for query in wanted]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        make = _Make(Path(place) / "chunks", held.shape[1])
        table = make.table(index_from=chunks + 1)
        rows = _rows(texts, (vector for turn in turns for vector in held @ turn), chunks)
        number = 0
        while batch := list(islice(rows, BATCH)):
            table.add([replace(row, document=f"d{number}") for row in batch])
            number += 1
        table.close()
        text_build, tidy_peak = _apart(_tidy, make, chunks + 1)
        table = make.table(index_from=chunks + 1)
        text = _each(lambda place: table.search_text(words[place], 10), len(wanted))
        phrases = [" ".join(texts[place * 7].split()[4:7]) for place in range(len(wanted))]
        phrase = _each(lambda place: phrase_rows([phrases[place]], "", table), len(phrases))
        exact = len(wanted) if chunks < _FEW_FROM else _EXACT
        flat = _each(lambda place: table.search_vector(asked[place], 10), exact)
        table.close()
        vector_build, _ = _apart(_tidy, make, chunks // 2)
        table = make.table(index_from=chunks // 2)
        found: list[list[Row]] = [[] for _ in wanted]

        def ask(place: int) -> None:
            found[place] = table.search_vector(asked[place], 10)

        indexed = _each(ask, len(wanted))
        table.close()
        recall = _recall(found, asked, (held @ turn for turn in turns), chunks)
        _, search_peak = _apart(_search, make, words, asked)
        megabytes = sum(each.stat().st_size for each in Path(place).rglob("*") if each.is_file()) / 1e6
    return Size(
        chunks, text, phrase, flat, indexed, recall, text_build, vector_build, tidy_peak, search_peak, megabytes
    )


@dataclass(frozen=True)
class _Make:
    folder: Path
    dimensions: int

    def table(self, index_from: int) -> Table:
        return Table(self.folder, self.dimensions, "rotated", index_vectors_from=index_from)


def _tidy(make: _Make, index_from: int) -> None:
    make.table(index_from).tidy()


def _search(make: _Make, words: list[str], asked: Vectors) -> None:
    table = make.table(len(asked))
    for text, vector in zip(words, asked, strict=True):
        table.search_text(text, 10)
        table.search_vector(vector, 10)


def _apart(do: Callable[..., None], *arguments: object) -> tuple[float, float]:
    """Do it in a process of its own. The seconds it took without starting the process, and the most memory in MB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_measured, do, *arguments).result()


def _measured(do: Callable[..., None], *arguments: object) -> tuple[float, float]:
    load_lancedb()
    with helpers() as most:
        seconds = _timed(lambda: do(*arguments))
    return seconds, max(peak("self"), *most)


def real_texts(trees: Path, embedder: Embedder, most: int) -> list[str]:
    """The first ``most`` different chunks of the corpora, in the order of the hashes of their documents' names."""
    texts: dict[str, None] = {}
    pages = [path for path in trees.rglob("*.html") if path.is_file() and not path.is_symlink()]
    for path in sorted(pages, key=lambda each: hashlib.blake2b(str(each.relative_to(trees)).encode()).digest()):
        page = extract_html(path.read_bytes())
        cut = chunking.chunk(page.text, page.sections, embedder.token_starts(page.text))
        texts |= dict.fromkeys(page.text[each.start : each.end] for each in cut)
        if len(texts) >= most:
            break
    return list(texts)[:most]


def _rows(texts: list[str], vectors: Iterator[Vectors], count: int) -> Iterator[Row]:
    for number, vector in enumerate(islice(vectors, count)):
        copy, place = divmod(number, len(texts))
        text = f"Copy {copy}. {texts[place]}" if copy else texts[place]
        yield Row("", number, "", 1, 1, 0, len(text), text, f"h{number}", vector)


def _vectors(shelf: Shelf, embedder: Embedder) -> Vectors:
    table = Table(shelf.folder / "bench" / "chunks", embedder.dimensions, embedder.name)
    held = [row.vector for row in table.rows("vector IS NOT NULL", shelf.chunks)]
    table.close()
    return np.stack([each for each in held if each is not None])


def _rotation(dimensions: int, seed: int) -> Vectors:
    """A random rotation; none for the first copy."""
    if seed == 0:
        return np.eye(dimensions, dtype=np.float32)
    made, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimensions, dimensions)))
    return made.astype(np.float32)


def _recall(found: list[list[Row]], asked: Vectors, parts: Iterator[Vectors], count: int) -> float:
    """Which share of the ten nearest, by comparing with all, was among the ten found."""
    nearest: list[list[tuple[float, int]]] = [[] for _ in asked]
    begin = 0
    for part in parts:  # one at a time: all of them together may not fit
        cosines = asked @ part[: count - begin].T
        for place, row in enumerate(cosines):
            best = np.argsort(-row)[:10]
            nearest[place] += [(float(-row[each]), begin + int(each)) for each in best]
            nearest[place] = sorted(nearest[place])[:10]
        begin += len(part)
    shares = [
        len({row.number for row in rows} & {number for _, number in best}) / 10
        for rows, best in zip(found, nearest, strict=True)
    ]
    return float(np.mean(shares))


def _each(ask: Callable[[int], object], count: int) -> tuple[float, float]:
    seconds = []
    for place in range(-5, count):  # the first few pay for cold files
        began = time.perf_counter()
        ask(place % count)
        if place >= 0:
            seconds.append(time.perf_counter() - began)
    return percentiles(seconds)


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began
