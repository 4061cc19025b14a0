"""Full text and vectors searched side by side and fused into one list.

Each half is asked for more than is wanted, the lists are fused by the places in them, and only then cut. A third list
holds what contains the names of the query as they are written, since both halves take a name apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from engine.errors import EmbedderMissing
from engine.protocol import Hit
from engine.sources.library import filters as filtering
from engine.sources.library import viewports
from engine.sources.library.documents import Documents
from engine.sources.library.embed import Embedder
from engine.sources.library.filters import Filters
from engine.sources.library.query import Query, condition, holds, parse
from engine.sources.library.rerank import LOOKED_AT, NO_LOOK, SecondLook, reordered
from engine.sources.library.table import Row, Table

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

Part = Literal["text", "vector", "exact", "rerank"]
PARTS: frozenset[Part] = frozenset(get_args(Part))

DEPTH = 50
"""Rows asked of each half. Cutting after the fusion, not before it, finds more."""

RRF_K = 10
"""How fast a place in a list loses its worth: 1 / (RRF_K + place)."""

_BARE_WEIGHT = 3
"""How often the list of names counts where a name is all that is asked: what holds it comes before what is best by
words and by meaning but does not."""

EXACT_DEPTH = 200
"""Rows with all the parts of a name that are looked through for the name itself."""

PHRASE_DEPTH = 5000
"""Rows with the words of a phrase that are looked through for the phrase itself."""

MOST_HELD = 1000
"""Rows with a phrase that are named one by one from then on, so that the whole table is read for it only once."""


@dataclass(frozen=True)
class Found:
    """The hits, best first; where there are none, ``note`` says why and what to try."""

    hits: tuple[Hit, ...]
    note: str = ""


@dataclass(frozen=True)
class Lists:
    """The rows that each part of a search returned, best first."""

    text: Sequence[Row] = ()
    vector: Sequence[Row] = ()
    exact: Sequence[Row] = ()

    def rows(self) -> dict[str, Row]:
        """All rows by id. A row found by its words comes with their score."""
        return {row.id: row for row in (*self.exact, *self.vector, *self.text)}


def search(
    asked: str,
    limit: int,
    *,
    table: Table,
    documents: Documents,
    embedder: Embedder,
    filters: Filters | None = None,
    parts: Collection[Part] = PARTS,
    look: SecondLook = NO_LOOK,
) -> Found:
    """The best ``limit`` hits. Without a model, or before there are vectors, by words alone.

    ``look`` puts the best of them in its own order, unless a name is all that is asked for: that is found as written.
    Chunks without a phrase of the query are no hits. Raises FilterError.
    """
    query = parse(asked)
    if limit <= 0 or not query.text:
        return Found(())
    where = ""
    if filters and filters != Filters():
        known = documents.briefs()
        within = filtering.apply(filters, known)
        if not within:
            return Found((), f"The filters leave none of {len(known):,} documents. Try wider ones.")
        where = _within(within, [each.id for each in known])
    held: list[Row] = []
    if query.phrases:
        held, where = phrase_rows(query.phrases, where, table)
        if len(held) < MOST_HELD:
            where = _in("id", [row.id for row in held])
    if query.phrases and not held:
        return Found((), _why_nothing(query))
    wanted = _vector(embedder, query.text) if "vector" in parts else None
    text = table.search_text(query.text, DEPTH, where) if "text" in parts else []
    vector = [] if wanted is None else table.search_vector(wanted, DEPTH, where)
    exact = exact_rows(query, where, table, documents) if "exact" in parts else []
    # Rows of one score come in whatever order the table's files have just now.
    text.sort(key=lambda row: (-row.score, row.id))
    vector.sort(key=lambda row: (-_cosine(row, wanted), row.id))
    # A phrase may be of words that the index leaves out, such as "to be or not to be".
    lists = Lists(text or sorted(held, key=lambda row: row.id)[:DEPTH], vector, exact)
    if "rerank" not in parts or query.bare:
        look = NO_LOOK
    return _found(query, lists, limit, wanted, documents, look)


def _found(
    query: Query, lists: Lists, limit: int, wanted: Vectors | None, documents: Documents, look: SecondLook
) -> Found:
    rows = lists.rows()
    text, vector, exact = places(lists.text), places(lists.vector), places(lists.exact)
    # What has no vector yet could not be in the second list: its place by words stands for both.
    not_yet = {row.id: text[row.id] for row in lists.text if lists.vector and row.vector is None}
    scores = fuse(text, vector | not_yet, *[exact] * (_BARE_WEIGHT if query.bare else 1))
    known = documents.get({row.document for row in rows.values()})
    ordered = [rows[each] for each in scores if rows[each].document in known]
    reranked = look.scores(query.text, ordered[:LOOKED_AT])
    hits = []
    for view in viewports.arrange(reordered(ordered, reranked), limit):
        record, best, whole = known[view.best.document], view.best, view.whole
        hit = Hit(
            uri=record.uri,
            title=record.title,
            heading=best.heading,
            first=whole.first,
            last=whole.last,
            text=whole.text,
            score=scores[best.id],
            text_rank=text.get(best.id, 0),
            vector_rank=vector.get(best.id, 0),
            similarity=_cosine(best, wanted),
            text_score=best.score if best.id in text else 0.0,
            exact_rank=exact.get(best.id, 0),
            path=record.shown,
            chunks=view.chunks,
            rerank=reranked.get(best.id),
        )
        hits.append(hit)
    return Found(tuple(hits), "" if hits else _why_nothing(query))


def _cosine(row: Row, wanted: Vectors | None) -> float:
    return 0.0 if wanted is None or row.vector is None else float(row.vector @ wanted)


def places(rows: Sequence[Row]) -> dict[str, int]:
    """The 1-based place of each row's id."""
    return {row.id: place for place, row in enumerate(rows, start=1)}


def fuse(*lists: Mapping[str, int]) -> dict[str, float]:
    """Reciprocal rank fusion: the score of each id, best first; equal scores in a fixed order."""
    scores: dict[str, float] = {}
    for ranks in lists:
        for each, place in ranks.items():
            scores[each] = scores.get(each, 0.0) + 1 / (RRF_K + place)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def exact_rows(query: Query, where: str, table: Table, documents: Documents) -> list[Row]:
    """Rows that hold the query's names as they are written, those with more of them first, then by BM25.

    For the name of a file the beginning of that file comes before all.
    """
    begins: dict[str, Row] = {}
    found: dict[str, Row] = {}
    held: Counter[str] = Counter()
    for name in query.names:
        pattern = holds(name)
        scanned: list[Row] = []
        rows = [each for each in table.search_text(name, EXACT_DEPTH, where, every=True) if pattern.search(each.text)]
        if query.bare and len(rows) < DEPTH:
            # This name is all that is asked for. To the index os.path.join is one word, so os.path is not in it.
            scanned = table.rows(_and(where, condition(name)), DEPTH)
        for row in {row.id: row for row in (*scanned, *rows)}.values():
            found.setdefault(row.id, row)
            held[row.id] += 1
        if "." in name and (files := documents.named(name.strip("/"))[:DEPTH]):
            first = table.rows(_and(where, _in("document", files), "number = 0"), DEPTH)
            begins |= {row.id: row for row in sorted(first, key=lambda row: files.index(row.document))}
    ordered = sorted(found.values(), key=lambda row: (-held[row.id], -row.score, row.id))
    return list((begins | {row.id: row for row in ordered}).values())[:DEPTH]


def phrase_rows(phrases: Sequence[str], where: str, table: Table) -> tuple[list[Row], str]:
    """Rows that hold the phrases as they are written, MOST_HELD at most, and the condition that such rows meet.

    The full-text index is asked first. Where it cannot tell, or finds none, the whole table is read.
    """
    found = table.holding(phrases, PHRASE_DEPTH, where) or ()
    patterns = [holds(each) for each in phrases]
    held = [row for row in found if all(each.search(row.text) for each in patterns)]
    where = _and(where, *map(condition, phrases))
    return (held[:MOST_HELD] if held else table.rows(where, MOST_HELD)), where


def _vector(embedder: Embedder, text: str) -> Vectors | None:
    try:
        return embedder.query(text)
    except EmbedderMissing:
        return None


def _and(*conditions: str) -> str:
    return " AND ".join(each for each in conditions if each)


def _within(wanted: Sequence[str], known: Sequence[str]) -> str:
    """The condition that keeps to some of the documents, said of the fewer: long lists take long to read."""
    if len(wanted) == len(known):
        return ""
    if 2 * len(wanted) <= len(known):
        return _in("document", wanted)
    return f"NOT {_in('document', sorted(set(known) - set(wanted)))}"


def _in(column: str, ids: Sequence[str]) -> str:
    return f"{column} IN (" + ", ".join(f"'{each}'" for each in ids) + ")"


def _why_nothing(query: Query) -> str:
    if query.phrases:
        quoted = " and ".join(f"“{each}”" for each in query.phrases)
        return f"No chunk holds {quoted} as it is written. Try it without the quotes."
    return "No chunk has any of these words. Try other words, or fewer filters."
