"""The library: documents on this machine, searched by words and by meaning."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from engine.clean import clean_line
from engine.errors import EmbedderMissing, LibraryCorrupt, LibraryError, LibraryLocked, NotFound
from engine.protocol import FileFailure, Hit, IndexEnded, IndexProgress, LibraryOpened, NetworkEntry, ReembedCost
from engine.sources.base import Document
from engine.sources.library.documents import Documents, Record
from engine.sources.library.embed import Embedder, MiniLM
from engine.sources.library.filters import Filters
from engine.sources.library.heavy import load_lancedb
from engine.sources.library.ingest import Ingest, recipe
from engine.sources.library.lock import writing
from engine.sources.library.place import Place, host
from engine.sources.library.place import at as place_at
from engine.sources.library.place import load as load_place
from engine.sources.library.place import save as save_place
from engine.sources.library.precision import describe
from engine.sources.library.query import parse
from engine.sources.library.recall import SHOWN, Recall, from_json, known_items
from engine.sources.library.rerank import Reranker, SecondLook
from engine.sources.library.roots import Places, Roots, add, root_of
from engine.sources.library.search import PARTS, Found, Part, search
from engine.sources.library.table import Table
from engine.sources.library.vectors import PRECISION
from engine.sources.library.watch import watching

_PLACE = "place.json"
"""The file, in the library's folder, that says where its chunks are."""

RECALL = "recall"
"""The fact under which the last measured recall is remembered."""

_PATIENCE = 0.5
"""Seconds between two looks at whether to end."""

_TABLE = "table"
"""The fact that names the chunk table in use, where it is not the first one."""

_SAMPLE = 16
"""Texts embedded to tell how long all would take."""

Progress = Callable[[IndexProgress], None]
Cancelled = Callable[[], bool]


def _quiet(progress: IndexProgress) -> None: ...


def _never() -> bool:
    return False


class Library:
    """A named index under ``root``, in a folder of its own. Implements :class:`engine.sources.base.Source`.

    Cheap to make: files and heavy libraries are opened when they are first needed. Safe to use from several threads
    and processes; indexing takes the one writer's lock and raises LibraryLocked where another has it. Where the index
    on disk cannot be read, every method but :meth:`rebuild` raises LibraryCorrupt.
    A ``reranker`` puts the best hits in its own order; where it fails they stand as they were fused, and a note says so.
    """

    def __init__(
        self, root: Path, name: str = "default", *, embedder: Embedder | None = None, reranker: Reranker | None = None
    ) -> None:
        if clean_line(name) != name or name in ("", ".", "..") or any(char in name for char in '/\\:*?"<>|,'):
            raise LibraryError(f"{clean_line(name)!r} cannot name a library.", "Use letters, digits and dashes.")
        home = root / name
        self._name = name
        self._home = home
        self._embedder = embedder or MiniLM()
        self._look = SecondLook(reranker)
        self._roots = Roots(home / "roots.json")
        self._documents = Documents(home / "documents.db")
        self._at: Place | None = None
        self._table = Table(
            home / "chunks",
            self._embedder.dimensions,
            self._embedder.name,
            place=self.at,
            current=lambda: self._fact(_TABLE),
        )
        self._lock = home / "writer.lock"

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self._name

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """The best hits first, by words and meaning; by words alone where vectors or the model are missing.

        Who asks here cannot be told to ask otherwise: where no chunk holds a quoted phrase, its words will do.
        """
        found = self.find(query, limit)
        if not found.hits and (asked := parse(query)).phrases:
            found = self.find(asked.text, limit)
        return found.hits

    def find(
        self, query: str, limit: int = 10, filters: Filters | None = None, *, parts: Collection[Part] = PARTS
    ) -> Found:
        """The same among the documents that pass the filters. Phrases in double quotes must be found as they are.

        ``parts``: which lists go into the answer; for measuring. Raises FilterError.
        """
        if not self.holds_any():
            return Found((), f"The library {self._name!r} is empty. Index something: deepsearch-tui index PATH")
        without = self._without_vectors()
        found = search(
            query,
            limit,
            table=self._table,
            documents=self._documents,
            embedder=self._embedder,
            filters=filters,
            parts=set(parts) - {"vector"} if without else parts,
            look=self._look,
        )
        return replace(found, note=_joined(without, self._look.note)) if found.hits else found

    def open(self, uri: str) -> Document:
        """A document as it was when it was indexed, whatever became of its file. Raises NotFound."""
        record = self._documents.by_uri(uri) if self._documents.exists() else None
        extracted = self._documents.text(record.id) if record else None
        if record is None or extracted is None:
            raise NotFound(f"The library has no document {clean_line(uri)}.", "Search for it, and open what is found.")
        return Document(record.uri, record.shown, record.title, extracted.text)

    def holds(self, uri: str) -> bool:
        """Whether there is a document of this name."""
        record = self._documents.by_uri(uri) if self._documents.exists() else None
        return record is not None and record.indexed

    def holds_any(self) -> bool:
        """Whether there is anything to search."""
        return self._documents.exists() and self._documents.any_text()

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """The cosine of each text to the query; empty where no embedder is installed."""
        try:
            return tuple(float(cosine) for cosine in self._embedder.embed(texts) @ self._embedder.query(query))
        except EmbedderMissing:
            return ()

    def documents(self) -> tuple[Record, ...]:
        """Everything that can be searched, by the path that is shown."""
        return tuple(each for each in self._records() if each.indexed)

    def failures(self) -> tuple[FileFailure, ...]:
        """What could not be read when it was last looked at, and why."""
        return tuple(FileFailure(each.shown, each.error, each.hint) for each in self._records() if each.error)

    def roots(self) -> tuple[Path, ...]:
        """The folders and files that indexing without a path looks at."""
        return self._roots.load().roots

    def status(self) -> LibraryOpened:
        """What there is now."""
        records = self._records()
        indexed = sum(each.indexed for each in records)
        failures = sum(bool(each.error) for each in records)
        if not indexed:
            return LibraryOpened(self._name, 0, 0, 0, failures)
        counts = self._table.counts()
        note = self._without_vectors()
        embedded = 0 if note else counts.embedded
        return LibraryOpened(self._name, indexed, counts.chunks, embedded, failures, _joined(note, self._look.note))

    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for folder, _, names in os.walk(self._home):
            for name in names:
                with suppress(OSError):  # another process may just have tidied it away
                    total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        return total

    def at(self) -> Place:
        """Where the chunks are kept. Raises LibraryCorrupt."""
        if self._at is None:
            self._at = load_place(self._home / _PLACE)
        return self._at

    def places(self) -> Places:
        """Where indexing looks, and what was taken out by hand."""
        return self._roots.load()

    def precision(self) -> str:
        """How the embedder computes here, in words; empty while that was not measured."""
        return describe(self._fact(PRECISION))

    def recall(self) -> Recall | None:
        """How often the library finds what it holds, as it was measured; None where it was not, or has changed since."""
        remembered = from_json(self._documents.fact(RECALL)) if self._documents.exists() else None
        return remembered if remembered is not None and remembered.holds(self.status().chunks) else None

    def measure_recall(self, cancelled: Cancelled = _never) -> Recall | None:
        """Measure it now, and remember it. None where there is too little to ask for, or it was cancelled."""
        items = known_items([each.uri for each in self.documents()], lambda uri: self.open(uri).text)
        found = 0
        for query, uri in items:
            if cancelled():
                return None
            hits = self.find(query, SHOWN, parts=PARTS - {"rerank"}).hits  # with it this would take minutes
            found += any(hit.uri == uri for hit in hits)
        if not items:
            return None
        recall = Recall(found, len(items), self.status().chunks)
        self._documents.note(RECALL, recall.to_json())
        return recall

    def warm(self) -> None:
        """Load now what the first search needs: seconds, once a process."""
        load_lancedb()
        if self.documents():
            self._table.counts()
        self._look.warm()
        try:
            self._embedder.tune((), self._fact(PRECISION))
            self._embedder.query("warm")
        except EmbedderMissing:
            return  # text search works without it, and indexing reports it

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def index(
        self, paths: Sequence[Path] = (), *, progress: Progress = _quiet, cancelled: Cancelled = _never
    ) -> IndexEnded:
        """Take in new and changed files under ``paths``, take out deleted ones. No paths: all that is known, again.

        A file that fails is in the answer's ``failures``, never an exception. Cancelled between two files or two
        batches of vectors; what is written stays, and the next run goes on from there.
        """
        with writing(self._lock):
            return self._ingest(paths, progress, cancelled)

    def watch(
        self,
        paths: Sequence[Path] = (),
        *,
        progress: Progress = _quiet,
        cancelled: Cancelled = _never,
        ended: Callable[[IndexEnded], None],
    ) -> IndexEnded:
        """Index, then take in every change within seconds, until cancelled.

        ``ended`` is told what each round did; the last one is returned. A change comes before vectors that are still
        to be made. Raises LibraryError where the system cannot tell of changes.
        """
        with writing(self._lock):
            report = self._ingest(paths, progress, cancelled, yielding=lambda: True)
        ended(replace(report, watching=not report.cancelled))
        with watching(self.roots()) as changes:
            due: set[Path] | None = None  # everything: there may have been a change before the listening began
            while not cancelled():
                try:
                    if due is None or due:
                        before = report
                        with writing(self._lock):
                            report = self._ingest((), progress, cancelled, changed=due, yielding=changes.waiting)
                        if not report.cancelled and _tells_more(report, before):
                            ended(replace(report, watching=True))
                        due = set()
                except LibraryLocked:
                    time.sleep(_PATIENCE)  # another process indexes; what is due stays due
                new = changes.take(_PATIENCE)
                due = None if due is None else due | new
        return replace(report, cancelled=True)

    def rebuild(self, *, progress: Progress = _quiet, cancelled: Cancelled = _never) -> IndexEnded:
        """Throw the index away and make it again from the files, or from the stored text of those out of reach."""
        with writing(self._lock):
            self._table.discard()
            try:
                records = tuple(self._documents.all().values())
                self._documents.forget_recipes()
            except LibraryCorrupt:
                records = ()
                self._documents.discard()
            try:
                self._roots.load()
            except LibraryCorrupt:
                self._roots.save(Places(add((), (Path(os.fsdecode(record.root)) for record in records))))
            return self._ingest((), progress, cancelled)

    def reembed_cost(self) -> ReembedCost:
        """What :meth:`reembed` would take, measured on some of the chunks. Raises EmbedderMissing."""
        if not self.holds_any():
            return ReembedCost(self._name, self._embedder.name, self._embedder.name, 0, 0.0)
        texts = [row.text for row in self._table.rows("", _SAMPLE)]
        self._embedder.embed(texts[:1])  # the first time it is loaded, which is not what is asked
        began = time.monotonic()
        self._embedder.embed(texts)
        each = (time.monotonic() - began) / max(1, len(texts))
        chunks = self._table.counts().chunks
        old = self._table.foreign() or self._embedder.name
        return ReembedCost(self._name, old, self._embedder.name, chunks, each * chunks)

    def reembed(self, *, progress: Progress = _quiet, cancelled: Cancelled = _never) -> IndexEnded:
        """Make all vectors anew, with the embedder at hand, and index again. Chunks stay as they were cut.

        Words are found all the while. Cut off anywhere, either nothing has changed, or the next indexing goes on with
        the vectors that are missing. Raises EmbedderMissing before anything is thrown away.
        """
        with writing(self._lock):
            if self._table.exists():
                self._embedder.query("warm")
                old, new = self._table.foreign() or self._embedder.name, self._embedder.name
                name = f"{self.at().table}-{time.time_ns():x}"
                self._table.renew(name)
                self._documents.switch(recipe(old), recipe(new), {_TABLE: name, PRECISION: ""})
            report = self._ingest((), progress, cancelled)
            self._table.drop_others()
            return report

    def network(self) -> NetworkEntry | None:
        """What the ledger of the network should say of this library; None where its chunks are in its folder.

        LanceDB's own requests are made by its native part, which tells nobody of them: one entry stands for all.
        """
        try:
            place = self.at()
        except LibraryCorrupt:
            return None  # whoever uses the library is told
        if not place.remote:
            return None
        result = "LanceDB reads and writes there by itself while the library is used"
        return NetworkEntry(time.time(), "library", "LANCEDB", place.uri, host(place), bytes=-1, result=result)

    def move(self, uri: str, *, again: bool = False) -> Place:
        """From now on keep the chunks at an address (``s3://bucket/path``), or in the library's folder for ``local``.

        Where the library holds chunks already it must be said that they shall be made ``again``: they are thrown away
        where they are, and the next indexing makes them at the new place. Raises LibraryError.
        """
        wanted = place_at(uri)
        with writing(self._lock):
            with suppress(LibraryCorrupt):
                if self.at().uri == wanted.uri:
                    return self.at()
            if held := self._documents.totals().chunks if self._documents.exists() else 0:
                if not again:
                    raise LibraryError(
                        f"The library {self._name!r} holds {held:,} chunks at another place.",
                        "To make them again at the new one, with their vectors, add --rebuild.",
                    )
                with suppress(LibraryCorrupt):
                    self._table.discard()
                self._documents.forget_recipes()
                self._documents.note(_TABLE, "")
            self._table.close()
            save_place(self._home / _PLACE, wanted)
            self._at = wanted
        return wanted

    def forget(self, path: Path) -> int:
        """Take a path and all below it out of the library: how many documents. Files are not touched.

        What is below a root that stays is left out from now on, until it is indexed by its own name. Raises NotFound
        for what is nowhere near a root.
        """
        with writing(self._lock):
            if not any(each.is_relative_to(path) or path.is_relative_to(each) for each in self.roots()):
                raise NotFound(f"The library knows nothing of {clean_line(str(path))}.", "See: index --status")
            records = self._documents.below(path) if self._documents.exists() else []
            indexed = [each for each in records if each.indexed]
            self._documents.mark_due(indexed)
            if self._table.exists():
                self._table.delete([each.id for each in indexed])
            self._documents.delete([each.id for each in records])
            places = self._roots.load()
            roots = tuple(each for each in places.roots if not each.is_relative_to(path))
            left_out = tuple(each for each in places.left_out if not each.is_relative_to(path))
            if root_of(path, roots):
                left_out = (*left_out, path)
            self._roots.save(Places(roots, left_out))
            return len(indexed)

    def close(self) -> None:
        """Let go of all files. The next use opens them again."""
        self._table.close()
        self._documents.close()
        self._at = None

    def _ingest(
        self,
        paths: Sequence[Path],
        progress: Progress,
        cancelled: Cancelled,
        *,
        changed: Collection[Path] | None = None,
        yielding: Cancelled = _never,
    ) -> IndexEnded:
        report = Ingest(
            self._name,
            roots=self._roots,
            documents=self._documents,
            table=self._table,
            embedder=self._embedder,
            progress=progress,
            cancelled=cancelled,
            yielding=yielding,
            out_of_bounds=(self._home.parent,),
        ).run(paths, changed=changed)
        return replace(report, note=self._without_vectors())

    def _fact(self, name: str) -> str:
        return self._documents.fact(name) if self._documents.exists() else ""

    def _without_vectors(self) -> str:
        """Why the vectors cannot be asked, where there are some, in words; else empty."""
        other = self._table.foreign() if self._table.exists() else ""
        if not other:
            return ""
        return (
            f"The vectors of {self._name!r} were made by {clean_line(other)}, and the embedder in use is"
            f" {clean_line(self._embedder.name)}: only words are searched. To make them anew: deepsearch-tui index --re-embed"
        )

    def _records(self) -> tuple[Record, ...]:
        return tuple(self._documents.all().values()) if self._documents.exists() else ()


def _joined(*notes: str) -> str:
    return " ".join(each for each in notes if each)


def _tells_more(report: IndexEnded, before: IndexEnded) -> bool:
    failed = not {*report.failures} <= {*before.failures}
    return bool(report.added or report.changed or report.removed or failed or report.embedded != before.embedded)
