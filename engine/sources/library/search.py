"""Full text and vectors searched side by side and fused into one list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.errors import EmbedderMissing
from engine.protocol import Hit
from engine.sources.library.documents import Documents
from engine.sources.library.embed import Embedder
from engine.sources.library.table import Row, Table

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

DEPTH = 50
"""Rows asked of each half. Cutting after the fusion, not before it, finds more."""

RRF_K = 10
"""How fast a place in a list loses its worth: 1 / (RRF_K + place)."""

PER_SECTION = 2
"""Hits from one section of one document. More would only crowd out other places."""

_ALIKE = 0.9
"""Two chunks with this share of their words in common say the same."""


def search(query: str, limit: int, *, table: Table, documents: Documents, embedder: Embedder) -> tuple[Hit, ...]:
    """The best ``limit`` hits. Without a model, or before there are vectors, by words alone."""
    if limit <= 0 or not query.strip():
        return ()
    wanted: Vectors | None
    by_text = table.search_text(query, DEPTH)
    try:
        wanted = embedder.query(query)
    except EmbedderMissing:
        wanted = None
    by_vector = [] if wanted is None else table.search_vector(wanted, DEPTH)
    rows = {row.id: row for row in (*by_text, *by_vector)}
    text_ranks = {row.id: place for place, row in enumerate(by_text, start=1)}
    vector_ranks = {row.id: place for place, row in enumerate(by_vector, start=1)}
    # What has no vector yet could not be in the second list: its place by words stands for both.
    not_yet = {row.id: text_ranks[row.id] for row in by_text if by_vector and row.vector is None}
    scores = fuse(text_ranks, vector_ranks | not_yet)
    known = documents.get({row.document for row in rows.values()})
    ordered = [rows[each] for each in scores if rows[each].document in known]
    hits = []
    for row in trim(ordered, limit):
        record = known[row.document]
        hit = Hit(
            uri=record.uri,
            title=record.title,
            heading=row.heading,
            first=row.first,
            last=row.last,
            text=row.text,
            score=scores[row.id],
            text_rank=text_ranks.get(row.id, 0),
            vector_rank=vector_ranks.get(row.id, 0),
            similarity=0.0 if wanted is None or row.vector is None else float(row.vector @ wanted),
        )
        hits.append(hit)
    return tuple(hits)


def fuse(*ranks: Mapping[str, int]) -> dict[str, float]:
    """Reciprocal rank fusion: the score of each id, best first; equal scores in a fixed order."""
    scores: dict[str, float] = {}
    for places in ranks:
        for each, place in places.items():
            scores[each] = scores.get(each, 0.0) + 1 / (RRF_K + place)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def trim(rows: Iterable[Row], limit: int) -> Sequence[Row]:
    """The first ``limit`` rows, without those that repeat an earlier one or crowd its section."""
    kept: list[Row] = []
    words: list[frozenset[str]] = []
    sections: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if len(kept) == limit:
            break
        section = (row.document, row.heading)
        own = frozenset(re.findall(r"\w+", row.text.lower()))
        if sections[section] == PER_SECTION or any(_alike(own, other) for other in words):
            continue
        sections[section] += 1
        kept.append(row)
        words.append(own)
    return kept


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one) and len(one & other) >= _ALIKE * len(one | other)
