"""``python -m tests.bench.library.rerank``: what a reranker makes of the hybrid's hits, query by query, and what it takes."""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.model.catalogue import starter_model
from engine.sources.library import Library
from engine.sources.library.cross_encoder import CrossEncoder
from engine.sources.library.embed import MiniLM
from engine.sources.library.rerank import Reranker
from engine.sources.library.search import PARTS
from tests.bench.library import fetch
from tests.bench.library.golden import Query
from tests.bench.library.judges import Judge
from tests.bench.library.quality import LIMIT
from tests.bench.library.shelf import shelf
from tests.bench.report import table

_DRAWS = 5000


@dataclass(frozen=True)
class Pair:
    """Of one query: the place of the first right hit, 0 for none, without the reranker and with it; and what it took."""

    before: int
    after: int
    seconds: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=fetch.cache(), help="where corpora are kept; %(default)s")
    parser.add_argument("--chunks", type=int, default=5000, help="how large the library is, about; %(default)s")
    parser.add_argument("--queries", type=int, default=60, help="how many, of all kinds but names; %(default)s")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=Path, help="a .gguf file; the starter model otherwise")
    which.add_argument("--cross-encoder", type=Path, metavar="FOLDER", help="a cross-encoder instead of a model")
    given = parser.parse_args()
    made = shelf(given.cache, given.chunks)
    if given.cross_encoder:
        reranker: Reranker = CrossEncoder(given.cross_encoder.absolute())
    else:
        reranker = Judge(given.model or starter_model())
    library = Library(made.folder, "bench", embedder=MiniLM(), reranker=reranker)
    pairs = measure(library, sample([query for query in made.queries if query.split == "test"], given.queries))
    library.close()
    print(told(reranker.name, pairs))


def sample(queries: Sequence[Query], count: int) -> list[Query]:
    """As many of each kind, chosen by hash. Names are left out: what is nothing but a name is never reranked."""
    kinds = sorted({query.kind for query in queries} - {"identifier"})
    ordered = sorted(queries, key=lambda query: hashlib.blake2b(query.text.encode()).hexdigest())
    each = [[query for query in ordered if query.kind == kind][: -(-count // len(kinds))] for kind in kinds]
    return [query for of_kind in each for query in of_kind]


def measure(library: Library, queries: Sequence[Query]) -> list[Pair]:
    """Ask everything twice. What only the first search does is done before."""
    library.warm()
    library.find(queries[0].text)
    pairs = []
    for query in queries:
        before = _place(library, query, reranked=False)
        clock, processor = time.perf_counter(), time.process_time()
        after = _place(library, query, reranked=True)
        pairs.append(Pair(before, after, time.perf_counter() - clock, time.process_time() - processor))
    return pairs


def told(name: str, pairs: Sequence[Pair]) -> str:
    """The table of one reranker."""
    found = [(float(pair.before > 0), float(pair.after > 0)) for pair in pairs]
    places = [(_worth(pair.before), _worth(pair.after)) for pair in pairs]
    rows = []
    for what, both in (("recall@10", found), ("MRR", places)):
        low, high = interval([after - before for before, after in both])
        means = [statistics.fmean(each) for each in zip(*both, strict=True)]
        rows.append([what, *(f"{mean:.3f}" for mean in means), f"{low:+.3f} to {high:+.3f}"])
    took = statistics.median(pair.processor for pair in pairs), statistics.median(pair.seconds for pair in pairs)
    price = f"A search takes {took[0]:.1f} s of processor time and {took[1]:.1f} s by the clock (medians)."
    head = [f"{name}, {len(pairs)} queries", "hybrid", "reranked", "difference, 95 %"]
    return f"{table(head, rows)}\n\n{price}"


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Where the mean of differences lies, by drawing again from them: from the 2.5th to the 97.5th percentile."""
    chance = random.Random(0)
    means = sorted(statistics.fmean(chance.choices(differences, k=len(differences))) for _ in range(_DRAWS))
    return means[int(_DRAWS * 0.025)], means[int(_DRAWS * 0.975)]


def _place(library: Library, query: Query, *, reranked: bool) -> int:
    hits = library.find(query.text, LIMIT, parts=PARTS if reranked else PARTS - {"rerank"}).hits
    names = [hit.heading.rpartition(" > ")[2] for hit in hits]
    return next((place for place, name in enumerate(names, start=1) if name in query.targets), 0)


def _worth(place: int) -> float:
    return 1 / place if place else 0.0


if __name__ == "__main__":
    main()
