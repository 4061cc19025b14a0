"""How well what was asked for is found, and how fast: each part of a search beside the whole, over the same queries."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from engine.sources.library import Library
from engine.sources.library.embed import Embedder
from engine.sources.library.query import parse
from engine.sources.library.search import PARTS, Part
from tests.bench.library.golden import SETS, Query

LIMIT = 10
WAYS: dict[str, Collection[Part]] = {
    "text": ("text",),
    "vector": ("vector",),
    "text + vector": ("text", "vector"),
    "hybrid": PARTS,
}
"""``hybrid`` is what a search does: text, vectors, and names as they are written."""


@dataclass
class Outcome:
    """Of one way of searching: the 1-based place of the first right hit for each query, 0 for none, and its seconds."""

    ranks: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    seconds: list[float] = field(default_factory=list)

    def recall(self, kind: str = "") -> float:
        ranks = self._of(kind)
        return sum(rank > 0 for rank in ranks) / len(ranks)

    def mrr(self, kind: str = "") -> float:
        ranks = self._of(kind)
        return sum(1 / rank for rank in ranks if rank) / len(ranks)

    def _of(self, kind: str) -> list[int]:
        return self.ranks[kind] if kind else [rank for ranks in self.ranks.values() for rank in ranks]


EMBEDDING = "embedding the query"


def measure(library: Library, embedder: Embedder, queries: Sequence[Query]) -> dict[str, Outcome]:
    """Ask everything in every way. The ways take turns query by query, so that a busy moment strikes them all.

    The query's vector is made once, timed apart, and is at hand for all ways.
    """
    library.warm()  # whatever is loaded on first use, as the app does while one types
    library.find(queries[0].text)
    outcomes = {way: Outcome() for way in (*WAYS, EMBEDDING)}
    for query in queries:
        began = time.perf_counter()
        embedder.query(parse(query.text).text)
        outcomes[EMBEDDING].seconds.append(time.perf_counter() - began)
        for way, parts in WAYS.items():
            began = time.perf_counter()
            hits = library.find(query.text, LIMIT, parts=parts).hits
            outcomes[way].seconds.append(time.perf_counter() - began)
            names = [hit.heading.rpartition(" > ")[2] for hit in hits]
            rank = next((place for place, name in enumerate(names, start=1) if name in query.targets), 0)
            outcomes[way].ranks[query.kind].append(rank)
    return outcomes


def quality_rows(outcomes: dict[str, Outcome]) -> list[list[str]]:
    """recall@10 / MRR of each way, by set and over all."""
    kinds = [kind for kind in SETS if outcomes["text"].ranks.get(kind)]
    rows = []
    for way in WAYS:
        outcome = outcomes[way]
        cells = [f"{outcome.recall(kind):.3f} / {outcome.mrr(kind):.3f}" for kind in (*kinds, "")]
        rows.append([way, *cells])
    return rows


def latency_rows(outcomes: dict[str, Outcome]) -> list[list[str]]:
    """Medians and 95th percentiles, and how many times the text search's median each is."""
    base = statistics.median(outcomes["text"].seconds)
    rows = []
    for way, outcome in outcomes.items():
        p50, p95 = percentiles(outcome.seconds)
        rows.append([way, f"{p50 * 1000:.1f}", f"{p95 * 1000:.1f}", f"{p50 / base:.2f}"])
    return rows


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    ordered = sorted(seconds)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
