"""``make bench-library``: recall, MRR and latency of searching, on documents that nobody here wrote."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from engine.sources.library.embed import MiniLM
from tests.bench.library import fetch, ingest, quality, scale
from tests.bench.library.golden import SETS
from tests.bench.library.shelf import Shelf, shelf
from tests.bench.report import BENCHMARKS, replace_block, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=fetch.cache(), help="where corpora are kept; %(default)s")
    parser.add_argument("--chunks", type=int, default=5000, help="how large the library is, about; %(default)s")
    parser.add_argument("--split", choices=("tune", "test"), default="test", help="which queries; %(default)s")
    parser.add_argument("--scale", type=int, nargs="*", default=[10_000, 100_000], help="chunks; none: leave it out")
    parser.add_argument("--ingest", type=int, default=400, help="chunks to index for their price; 0: leave it out")
    parser.add_argument("--alone", type=int, help="measure so many chunks and nothing else, into a block of their own")
    parser.add_argument(
        "--write", action="store_true", help="put the figures of the test split into docs/benchmarks.md"
    )
    given = parser.parse_args()
    made, embedder = shelf(given.cache, given.chunks), MiniLM()
    if given.alone:
        texts = scale.real_texts(given.cache / "trees", embedder, given.alone)
        alone = _scale([scale.measure(made, embedder, given.alone, texts)], len(texts))
        print(alone)
        if given.write:
            replace_block(BENCHMARKS, "library alone", f"Measured on {datetime.now(UTC):%Y-%m-%d}. {alone}")
        return
    told = [_quality(made, embedder, given.split)]
    print(told[0])
    if given.ingest:
        told.append(_ingest(made.folder / "documents", given.cache / "trees", given.ingest))
        print("\n" + told[-1])
    if given.scale:
        texts = scale.real_texts(given.cache / "trees", embedder, max(given.scale))
        told.append(_scale([scale.measure(made, embedder, chunks, texts) for chunks in given.scale], len(texts)))
        print("\n" + told[-1])
    if given.write and given.split == "test":
        replace_block(BENCHMARKS, "library", "\n\n".join(told))


def _quality(made: Shelf, embedder: MiniLM, split: str) -> str:
    queries = [query for query in made.queries if query.split == split]
    counts = {kind: sum(query.kind == kind for query in queries) for kind in SETS}
    library = made.open(embedder)
    outcomes = quality.measure(library, embedder, queries)
    library.close()
    packages = ", ".join(f"{name} {version}" for name, version in made.packages.items())
    head = ["recall@10 / MRR", *(f"{kind} ({count})" for kind, count in counts.items() if count), "all"]
    pace = made.embedded / made.seconds
    return "\n\n".join(
        (
            f"Measured on {datetime.now(UTC):%Y-%m-%d}: {made.chunks:,} chunks of {made.documents:,} documents, "
            f"{len(queries)} queries of the {split} split, embedded with {embedder.name} at {pace:.0f} chunks a second. "
            f"Documents from {packages}.",
            table(head, quality.quality_rows(outcomes)),
            table(["time of one search", "p50 ms", "p95 ms", "p50 to text"], quality.latency_rows(outcomes)),
        )
    )


def _ingest(documents: Path, trees: Path, chunks: int) -> str:
    made = ingest.measure_ingest(documents, chunks)
    same = ingest.measure_unchanged(trees)
    head = ["indexing", "what cannot be avoided", "measured", "ratio"]
    rows = [
        [
            f"{made.chunks:,} chunks",
            f"embedding alone, {made.embedding[0]:.1f} chunks a processor second",
            f"{made.indexing[0]:.1f}",
            f"{made.ratio:.2f}",
        ],
        [
            f"{same.files:,} unchanged files",
            f"scandir and stat, {same.walking * 1000:.0f} ms",
            f"{same.indexing * 1000:.0f} ms",
            f"{same.ratio:.2f}",
        ],
    ]
    return table(head, rows)


def _scale(sizes: list[scale.Size], real: int) -> str:
    head = ["chunks", "text p50 / p95", "a phrase", "all vectors", "IVF_SQ", "recall of IVF_SQ", "all to IVF_SQ"]
    head += ["tidy s", "IVF_SQ s", "tidy MB", "search MB", "disk MB"]
    rows = []
    for size in sizes:
        times = [
            f"{p50 * 1000:.1f} / {p95 * 1000:.1f}" for p50, p95 in (size.text, size.phrase, size.flat, size.indexed)
        ]
        figures = [f"{size.recall:.3f}", f"{size.flat[0] / size.indexed[0]:.1f}"]
        builds = [f"{size.text_build:.1f}", f"{size.vector_build:.1f}"]
        builds += [f"{figure:,.0f}" for figure in (size.tidy_peak, size.search_peak, size.megabytes)]
        rows.append([f"{size.chunks:,}", *times, *figures, *builds])
    return (
        f"Times in ms for 10 hits. {real:,} of the texts are real, the rest the same again with a number in front; "
        "the vectors are real ones, each copy turned by a rotation of its own.\n\n" + table(head, rows)
    )


if __name__ == "__main__":
    main()
