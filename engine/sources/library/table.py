"""The chunks in LanceDB: one table for full text and vectors, made anew from the documents whenever it is lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import LibraryCorrupt, LibraryError
from engine.sources.library import tidying
from engine.sources.library.documents import REBUILD
from engine.sources.library.heavy import give_back, load_lancedb
from engine.sources.library.place import Place, host, options, region_of_service
from engine.sources.library.words import full_text

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors


_ANOTHER = "it was made by another version"
_NOT_AWAY = (_ANOTHER, "was not found", "Not found")
"""What is told of a table that can be reached, but must be made again."""

_INDEX_VECTORS_FROM = 50_000
"""Vectors. Below, comparing with every one is exact and takes milliseconds."""

_PROBED = 100
"""Parts of the vector index that are looked through; each holds some 8,000 vectors. With 20, as it would be otherwise, a
seventh of the nearest are missed at a million; looking through all of them costs twice as much as through 20."""

_TIDY_APART_FROM = 4096
"""Rows. With fewer, tidying takes less than starting a process for it."""

_DELETED_AT_ONCE = 1000

_FULL = ("space left", "os error 28", "os error 27", "os error 122")
"""How the native side tells of a disk, a file or a quota that takes no more."""

_INDEX_CACHE, _METADATA_CACHE = 256 << 20, 64 << 20
"""Bytes. Left alone, they would grow with the library to some gigabytes."""

_COPIED = 4096
"""Rows copied at a time into a new table."""


@dataclass(frozen=True)
class Row:
    """A chunk as it is stored. ``hash`` names its text, ``vector`` is None until it is embedded.

    ``score`` is by BM25, where the row was found by its words; it is not stored.
    """

    document: str
    number: int
    heading: str
    first: int
    last: int
    start: int
    end: int
    text: str
    hash: str
    vector: Vectors | None = None
    score: float = field(default=0.0, compare=False)

    @property
    def id(self) -> str:
        return f"{self.document}:{self.number}"


@dataclass(frozen=True)
class Counts:
    chunks: int
    embedded: int


class Table:
    """The chunk table of one library, in ``folder`` unless its ``place`` is another.

    Safe to use from several threads; one process writes, any number read.

    ``model`` names the embedder that vectors are made and asked with; those of a table made for another one are kept,
    and cannot be asked. ``current`` tells the table's name whenever it is used, so that :meth:`renew` can make another
    one meanwhile. Every method raises LibraryCorrupt where what is on disk cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        dimensions: int,
        model: str,
        *,
        index_vectors_from: int = _INDEX_VECTORS_FROM,
        place: Callable[[], Place] = Place,
        current: Callable[[], str] = lambda: "",
    ) -> None:
        self._folder = folder
        self._place = place
        self._index_vectors_from = index_vectors_from
        self._dimensions = dimensions
        self._model = model
        self._current = current
        self._lock = threading.Lock()
        self._table: Any = None
        self._opened = ""  # the name of the table that is open, and for which embedder it was made
        self._made_with = model

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def exists(self) -> bool:
        """Whether there is a table, readable or not. Cheap on disk; elsewhere it may ask."""
        place = self._place()
        if not place.remote:
            return self._folder.exists()
        if self._table is not None:
            return True
        with self._telling(place):
            load_lancedb()
            return self._name(place) in self._connect(place.uri).list_tables().tables

    def foreign(self) -> str:
        """The embedder that the vectors are of, where it is another one; else empty."""
        with self._use():
            return "" if self._made_with == self._model else self._made_with

    def counts(self) -> Counts:
        with self._use() as table:
            return Counts(table.count_rows(), table.count_rows("embedded"))

    def documents(self) -> dict[str, int]:
        """How many chunks there are of each document."""
        with self._use() as table:
            found = table.search().select(["document"]).to_arrow()["document"].value_counts().to_pylist()
        return {each["values"]: each["counts"] for each in found}

    def search_text(self, query: str, limit: int, where: str = "", *, every: bool = False) -> list[Row]:
        """The rows that share words with the query, or have every one of them, best by BM25 first.

        ``where``: a condition in SQL that the rows must meet, here and below.
        """
        with self._use() as table:
            from lancedb.query import MatchQuery

            words = MatchQuery(_words(query), "words", operator="AND" if every else "OR")
            search = _where(table.search(words, query_type="fts"), where).select([*_COLUMNS, "_score"])
            return _rows(search.limit(limit).to_arrow())

    def search_vector(self, vector: Vectors, limit: int, where: str = "") -> list[Row]:
        """The rows nearest in meaning, nearest first. Rows without a vector are not among them."""
        with self._use() as table:
            search = table.search(vector, vector_column_name="vector", query_type="vector").distance_type("cosine")
            # Refining compares exact vectors again where an index holds rounded ones; without an index it does nothing.
            search = _where(search.nprobes(_PROBED).refine_factor(10), where).select([*_COLUMNS, "_distance"])
            return _rows(search.limit(limit).to_arrow())

    def rows(self, where: str, limit: int) -> list[Row]:
        """Rows that meet a condition, in no order."""
        with self._use() as table:
            return _rows(_where(table.search(), where).select(list(_COLUMNS)).limit(limit).to_arrow())

    def holding(self, phrases: Sequence[str], limit: int, where: str = "") -> list[Row] | None:
        """Rows in which the full-text index finds all of these phrases, whatever the forms of their words.

        None where it cannot tell: the phrases are of words it leaves out, stand in ``limit`` rows or more, or the
        table is an old one, whose index keeps no positions.
        """
        with self._use() as table:
            from lancedb.query import BooleanQuery, Occur, PhraseQuery

            every = [(Occur.MUST, PhraseQuery(_words(each), "words")) for each in phrases]
            search = table.search(BooleanQuery(every) if len(every) > 1 else every[0][1], query_type="fts")
            search = _where(search, where).select([*_COLUMNS, "_score"]).limit(limit)
            try:
                found = _rows(search.to_arrow())
            except (RuntimeError, ValueError) as error:
                if "position" in str(error).lower():
                    return None
                raise
        return found if 0 < len(found) < limit else None

    def pending(self, limit: int) -> list[Row]:
        """Rows that have no vector yet."""
        with self._use() as table:
            return _rows(table.search().where("NOT embedded").select(list(_COLUMNS)).limit(limit).to_arrow())

    def vectors(self, hashes: Collection[str]) -> dict[str, Vectors]:
        """The vectors there are already of these texts, whichever document they stand in."""
        if not hashes:
            return {}
        with self._use() as table:
            wanted = f"embedded AND hash IN ({_quoted(hashes)})"
            found = table.search().where(wanted).select(["hash", "vector"]).to_arrow()
        return dict(zip(found["hash"].to_pylist(), _matrix(found), strict=True))

    # ── writing; only with the library's lock held ───────────────────────────────────────────────

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows of documents that the table holds nothing of: faster than replacing nothing."""
        if rows:
            with self._use(create=True) as table:
                table.add(_arrow(rows, table.schema), on_bad_vectors="null")

    def replace(self, documents: Collection[str], rows: Sequence[Row]) -> None:
        """Make ``rows`` all there is of these documents, in one commit, so that no kill can lose one half of it."""
        if not documents:
            return
        with self._use(create=True) as table:
            merge = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            merge = merge.when_not_matched_by_source_delete(f"document IN ({_quoted(documents)})")
            merge.execute(_arrow(rows, table.schema), on_bad_vectors="null")  # a NULL counts as a bad one

    def fill(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Give rows their vectors. Raises ValueError for what is no unit vector: it would be stored as none at all.

        Whole rows are written: for a single column, every file that holds one of them would be written anew.
        """
        import numpy as np

        if vectors.shape != (len(rows), self._dimensions) or not np.allclose(
            np.linalg.norm(vectors, axis=1), 1, atol=1e-3
        ):
            raise ValueError("an embedder must make one vector of length 1 for each text")
        filled = [replace(row, vector=vector) for row, vector in zip(rows, vectors, strict=True)]
        with self._use() as table:
            table.merge_insert("id").when_matched_update_all().execute(_arrow(filled, table.schema))
        give_back()  # else what each of these writes has taken is kept, and adds up

    def delete(self, documents: Collection[str]) -> None:
        wanted = list(documents)
        for start in range(0, len(wanted), _DELETED_AT_ONCE):
            with self._use(create=True) as table:
                table.delete(f"document IN ({_quoted(wanted[start : start + _DELETED_AT_ONCE])})")

    def renew(self, name: str) -> None:
        """Make another table, called ``name``, of all rows, for this embedder and without vectors.

        Nothing uses it before ``current`` names it, and the one in use is not changed: a kill leaves nothing half done.
        """
        self.drop_others()
        with self._use() as old:
            import pyarrow as pa

            fresh = self._make(self._connect(self._place().uri or self._folder), name)
            schema, kept = fresh.schema, [each for each in fresh.schema.names if each not in ("vector", "embedded")]

            def emptied() -> Iterator[Any]:
                for batch in old.search().select(kept).to_batches(_COPIED):
                    columns = {each: batch.column(each) for each in kept}
                    columns["embedded"] = pa.repeat(pa.scalar(False), batch.num_rows)
                    columns["vector"] = pa.nulls(batch.num_rows, schema.field("vector").type)
                    yield pa.RecordBatch.from_pydict(columns, schema=schema)

            for batch in emptied():
                fresh.add(pa.Table.from_batches([batch]), on_bad_vectors="null")
            self._tidy(fresh, name)

    def drop_others(self) -> None:
        """Let go of every table of this library that is not the current one."""
        if self.exists():
            with self._use():
                place = self._place()
                connection = self._connect(place.uri or self._folder)
                for each in connection.list_tables().tables:
                    if each != self._opened and each.startswith(place.table):
                        connection.drop_table(each)

    def tidy(self) -> None:
        """Bring new rows into the indexes, join small files, and let go of versions nobody reads any more.

        Of a table with many rows that is done in a process of its own, which gives its memory back.
        """
        with self._use(create=True) as table:
            self._tidy(table, self._opened)
        give_back()

    def _tidy(self, table: Any, name: str) -> None:
        place = self._place()
        job = partial(_tidy_apart, self._folder, self._dimensions, self._model, self._index_vectors_from, place, name)
        if not place.service and table.count_rows() >= _TIDY_APART_FROM and tidying.apart(job):
            table.checkout_latest()
        else:
            tidying.tidy(table, self._index_vectors_from, service=place.service)

    def discard(self) -> None:
        """Throw the table away, readable or not."""
        self.close()
        place = self._place()
        if place.remote:
            if self.exists():
                with self._telling(place):
                    self._connect(place.uri).drop_table(self._name(place))
        elif self._folder.is_dir() and not self._folder.is_symlink():
            shutil.rmtree(self._folder)
        else:
            self._folder.unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            self._table = None

    # ── opening ──────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _use(self, *, create: bool = False) -> Iterator[Any]:
        """The open table."""
        place = self._place()
        with self._telling(place):
            name = self._name(place)
            with self._lock:
                if self._table is None or self._opened != name:
                    self._table, self._opened = self._open(place, name, create), name
                table = self._table
            yield table

    @contextmanager
    def _telling(self, place: Place) -> Iterator[None]:
        """Tell whatever the library below raises as LibraryCorrupt, or as LibraryError where it may only be away."""
        try:
            yield
        except (RuntimeError, OSError, ValueError) as error:
            if any(sign in str(error) for sign in _FULL):
                raise LibraryError("The disk is full.", "Make room on it and index again.") from error
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            if place.remote and not any(sign in reason for sign in _NOT_AWAY):
                hint = f"Is {host(place)} reachable, and do the keys in the environment open it?"
                raise LibraryError(f"The library's index at {place.uri} cannot be used: {reason}", hint) from error
            raise LibraryCorrupt(f"The library's index cannot be used: {reason}", REBUILD) from error

    def _name(self, place: Place) -> str:
        """What the table in use is called: as its place says, until it was renewed."""
        return self._current() or place.table

    def _open(self, place: Place, name: str, create: bool) -> Any:
        load_lancedb()
        where = place.uri or self._folder
        if create and not self.exists():
            self._create(place, name)
        table = self._connect(where).open_table(name)
        if _but_vectors(table.schema) != _but_vectors(self._schema()):
            raise RuntimeError(_ANOTHER)
        if create and place.remote:
            self._index(table)  # a kill may have come between making the table and its indexes
        self._made_with = _embedder(table.schema)
        return table

    def _create(self, place: Place, name: str) -> None:
        """Make the table with its indexes. On disk that is done beside its place: it exists whole or not at all."""
        fresh = place.uri or self._folder.with_suffix(".new")
        if isinstance(fresh, Path):
            shutil.rmtree(fresh, ignore_errors=True)
        self._make(self._connect(fresh), name)
        if isinstance(fresh, Path):
            fresh.rename(self._folder)

    def _make(self, connection: Any, name: str) -> Any:
        """An empty table with its indexes."""
        table = connection.create_table(name, schema=self._schema())
        self._index(table)
        return table

    def _index(self, table: Any) -> None:
        """Make the indexes that a table has from the beginning on, as far as they are missing."""
        from lancedb.index import BTree

        there = {column for index in table.list_indices() for column in index.columns}
        if "words" not in there:
            table.create_index("words", config=full_text(), name=tidying.FULL_TEXT)
        for column in {"id", "document", "hash"} - there:
            table.create_index(column, config=BTree())

    def _connect(self, where: Path | str) -> Any:
        import lancedb

        caches = lancedb.Session(index_cache_size_bytes=_INDEX_CACHE, metadata_cache_size_bytes=_METADATA_CACHE)
        # Readers in other processes look for new commits when what they know is older than this.
        fresh = timedelta(seconds=2)
        if isinstance(where, Path):
            return lancedb.connect(where, read_consistency_interval=fresh, session=caches)
        told = options(self._place())
        if where.startswith("db://"):  # the key it takes from the environment itself
            return lancedb.connect(where, region=region_of_service(), read_consistency_interval=fresh)
        return lancedb.connect(where, read_consistency_interval=fresh, session=caches, storage_options=told)

    def _schema(self) -> Any:
        import pyarrow as pa

        text, number = pa.string(), pa.int32()
        types = {"id": text, "document": text, "number": number, "heading": text, "first": number, "last": number}
        types |= {"start": pa.int64(), "end": pa.int64(), "text": text, "hash": text, "words": text}
        types["embedded"] = pa.bool_()  # whether there is a vector, told without reading any
        types["vector"] = pa.list_(pa.float32(), self._dimensions)
        return pa.schema(types, metadata={"embedder": self._model})


def _tidy_apart(folder: Path, dimensions: int, model: str, index_vectors_from: int, place: Place, name: str) -> None:
    """The whole work of a process that tidies."""
    table = Table(folder, dimensions, model, place=lambda: place, current=lambda: name)
    with table._use() as opened:
        tidying.tidy(opened, index_vectors_from, service=place.service)


def _arrow(rows: Sequence[Row], schema: Any) -> Any:
    import pyarrow as pa

    made: dict[str, list[object]] = {name: [getattr(row, name) for row in rows] for name in _COLUMNS}
    made["id"] = [row.id for row in rows]
    made["words"] = [_words(row.text) for row in rows]
    made["embedded"] = [row.vector is not None for row in rows]
    return pa.Table.from_pydict(made, schema=schema)


def _embedder(schema: Any) -> str:
    """Which embedder a table was made for."""
    return str((schema.metadata or {}).get(b"embedder", b"").decode(errors="replace"))


def _but_vectors(schema: Any) -> list[tuple[str, Any]]:
    """All columns by name and type, whatever the length of the vectors."""
    return [(field.name, None if field.name == "vector" else field.type) for field in schema]


_COLUMNS = ("document", "number", "heading", "first", "last", "start", "end", "text", "hash", "vector")


def _words(text: str) -> str:
    """The text as the full-text index reads it: the parts of a name like ``set_num_threads`` are words of their own."""
    return text.replace("_", " ")


def _where(search: Any, where: str) -> Any:
    return search.where(where, prefilter=True) if where else search


def _quoted(values: Collection[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _rows(found: Any) -> list[Row]:
    columns = [found[name].to_pylist() for name in _COLUMNS[:-1]]
    scores = found["_score"].to_pylist() if "_score" in found.column_names else [0.0] * found.num_rows
    return [Row(*values) for values in zip(*columns, _matrix(found), scores, strict=True)]


def _matrix(found: Any) -> list[Vectors | None]:
    """The vectors of an Arrow table, without making a Python number of each element."""
    import numpy as np

    vectors: list[Vectors | None] = []
    for piece in found["vector"].chunks:
        present = np.asarray(piece.is_valid())
        matrix = piece.flatten().to_numpy(zero_copy_only=False).reshape(-1, piece.type.list_size)
        held = iter(matrix)  # flatten leaves the missing ones out
        vectors.extend(next(held) if each else None for each in present)
    return vectors
