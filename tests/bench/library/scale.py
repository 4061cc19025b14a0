"""How searching grows with the library: full text, vectors compared one by one, and an index over them.

The texts are chunks of the corpora; past what there is they come again with a number in front. The vectors are real
ones, of the shelf, turned by a random rotation for each copy: a rotation keeps all distances within a copy, so every
copy is as crowded as real vectors are, and the copies lie among each other as strangers. Queries are turned alike.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.sources.library import chunk as chunking
from engine.sources.library.embed import Embedder
from engine.sources.library.extract.html import extract_html
from engine.sources.library.query import condition
from engine.sources.library.search import MOST_HELD
from engine.sources.library.table import Row, Table
from tests.bench.library.quality import percentiles
from tests.bench.library.shelf import Shelf

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

QUERIES = 100
BATCH = 5_000


@dataclass(frozen=True)
class Size:
    """What was measured at one size. Times are (median, 95th percentile) in seconds."""

    chunks: int
    text: tuple[float, float]
    phrase: tuple[float, float]
    flat: tuple[float, float]
    indexed: tuple[float, float]
    recall: float
    text_build: float
    vector_build: float
    megabytes: float


def measure(shelf: Shelf, embedder: Embedder, chunks: int, texts: list[str]) -> Size:
    """Make a table of so many chunks and ask it QUERIES queries. ``texts``: see :func:`real_texts`."""
    wanted = [query for query in shelf.queries if query.split == "test"]
    wanted = wanted[:: max(1, len(wanted) // QUERIES)][:QUERIES]
    held = _vectors(shelf, embedder)
    copies = -(-chunks // len(held))
    turns = [_rotation(held.shape[1], seed) for seed in range(copies)]
    asked = np.stack([embedder.query(query.text) @ turns[place % copies] for place, query in enumerate(wanted)])
    with tempfile.TemporaryDirectory() as place:
        table = Table(Path(place) / "chunks", held.shape[1], "rotated", index_vectors_from=chunks + 1)
        everything = np.concatenate([held @ turn for turn in turns])[:chunks]
        rows = _rows(texts, everything)
        number = 0
        while batch := list(islice(rows, BATCH)):
            table.replace([f"d{number}"], [replace(row, document=f"d{number}") for row in batch])
            number += 1
        text_build = _timed(table.tidy)
        text = _each(lambda place: table.search_text(wanted[place].text, 10), len(wanted))
        phrases = [" ".join(texts[place * 7].split()[4:7]) for place in range(len(wanted))]
        phrase = _each(lambda place: table.rows(condition(phrases[place]), MOST_HELD), len(phrases))
        flat = _each(lambda place: table.search_vector(asked[place], 10), len(wanted))
        table.close()
        table = Table(Path(place) / "chunks", held.shape[1], "rotated", index_vectors_from=chunks // 2)
        vector_build = _timed(table.tidy)
        found: list[list[Row]] = [[] for _ in wanted]

        def ask(place: int) -> None:
            found[place] = table.search_vector(asked[place], 10)

        indexed = _each(ask, len(wanted))
        recall = _recall(found, asked, everything)
        megabytes = sum(each.stat().st_size for each in Path(place).rglob("*") if each.is_file()) / 1e6
        table.close()
    return Size(chunks, text, phrase, flat, indexed, recall, text_build, vector_build, megabytes)


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


def _rows(texts: list[str], vectors: Vectors) -> Iterator[Row]:
    for number, vector in enumerate(vectors):
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


def _recall(found: list[list[Row]], asked: Vectors, everything: Vectors) -> float:
    """Which share of the ten nearest, by comparing with all, was among the ten found."""
    nearest = np.argsort(-(asked @ everything.T), axis=1)[:, :10]
    shares = [
        len({row.number for row in rows} & set(best.tolist())) / 10 for rows, best in zip(found, nearest, strict=True)
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
