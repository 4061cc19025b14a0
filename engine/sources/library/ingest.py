"""Files to rows: scan, read what changed, cut, store, and fill the vectors in behind.

Rows are written without vectors first, so that text search works while the slow part goes on. What is about to be
written is marked as due in the list of documents, and the mark taken away after the write: what a kill leaves half done
is noticed by the next run and done again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from engine.errors import EmbedderMissing
from engine.protocol import IndexEnded, IndexProgress
from engine.sources.library import chunk as chunking
from engine.sources.library import discover, extract, vectors
from engine.sources.library.discover import Found, Problem
from engine.sources.library.documents import Documents, Packed, Record, pack
from engine.sources.library.embed import Embedder
from engine.sources.library.read import NOT_TEXT, Reading, cut, lines_in
from engine.sources.library.roots import Places, Roots, absolute, add, id_of, root_of, shown, uri_of
from engine.sources.library.table import Row, Table
from engine.sources.library.telling import Telling, left
from engine.sources.library.workers import readings

_FLUSH_ROWS, _FLUSH_DOCUMENTS, _FLUSH_BYTES, _FLUSH_SECONDS = 4096, 512, 8_000_000, 2.0
"""Each write is a commit: some milliseconds, and a small file until they are joined."""

_TIDY_AFTER = 16_384
"""Rows written, at least, before they are brought into the indexes while reading goes on."""

Known = dict[str, tuple[int, int]]


@dataclass
class _Batch:
    """Documents read but not written yet."""

    records: list[Record] = field(default_factory=list)
    texts: dict[str, Packed] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)

    def put(self, record: Record, rows: Sequence[Row], packed: Packed) -> None:
        self.records.append(record)
        self.rows.extend(rows)
        self.texts[record.id] = packed
        self.size += max(0, record.size)

    @property
    def full(self) -> bool:
        many = len(self.rows) >= _FLUSH_ROWS or len(self.records) >= _FLUSH_DOCUMENTS or self.size >= _FLUSH_BYTES
        return many or time.monotonic() - self.since > _FLUSH_SECONDS


class Ingest:
    """One run of indexing over one library. To be used once, with the writer's lock held.

    ``cancelled`` ends the run, ``yielding`` only the filling in of vectors: something more urgent is to be done.
    """

    def __init__(
        self,
        library: str,
        *,
        roots: Roots,
        documents: Documents,
        table: Table,
        embedder: Embedder,
        progress: Callable[[IndexProgress], None],
        cancelled: Callable[[], bool],
        yielding: Callable[[], bool] = lambda: False,
        out_of_bounds: Collection[Path] = (),
    ) -> None:
        self._roots = roots
        self._documents = documents
        self._table = table
        self._embedder = embedder
        self._cancelled = cancelled
        self._yielding = yielding
        self._out_of_bounds = out_of_bounds
        # Of another embedder's library the chunks stay as they are, too, until it is embedded anew.
        self._foreign = table.foreign() if table.exists() else ""
        self._recipe = recipe(self._foreign or embedder.name)
        self._telling = Telling(library, progress)
        self._places = Places()
        self._known: Known = {}
        self._blank: set[str] = set()

    def run(self, paths: Sequence[Path] = (), *, changed: Collection[Path] | None = None) -> IndexEnded:
        """Index ``paths``, or all roots if there are none, or only what ``changed`` below the roots."""
        before = self._places = self._roots.load()
        scopes = self._changed_scopes(changed) if changed is not None else self._place(paths)
        if self._places != before:
            self._roots.save(self._places)
            self._rename_roots()
        self._reconcile()
        for scope in scopes:
            self._known |= self._documents.known(scope, self._recipe)
        deleted = {scope for scope in scopes if self._deleted(scope)}
        files, problems = self._scan([scope for scope in scopes if scope not in deleted])
        if not self._cancelled():
            problems += self._read(files)
            self._note(problems)
            if not self._cancelled():
                self._forget_gone(problems)
                self._remember(scopes, problems)
                left = tuple(each for each in self._places.roots if each not in deleted)
                if left != self._places.roots:
                    self._roots.save(replace(self._places, roots=left))
                self._restore()
        if self._table.exists():
            if self._telling.added or self._telling.changed or self._telling.removed:
                self._table.tidy()
                self._count()
            self._fill()
        return self._telling.ended(cancelled=self._cancelled())

    # ── what to look at ──────────────────────────────────────────────────────────────────────────

    def _place(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """The places to scan. New ones become roots."""
        if not paths:
            return self._places.roots
        roots = dict.fromkeys(self._places.roots)
        scopes: list[Path] = []
        for path in paths:
            try:
                place = absolute(path)
                place.stat()
                taken_out = [each for each in self._places.left_out if each != place]
                root = root_of(place, roots)
                why = discover.left_out(place, root, taken_out) if root and root != place else ""
            except OSError as error:
                self._telling.fail(str(path), *discover.explain(error, link=path.is_symlink()))
                continue
            if root and why:
                hint = "Files that are hidden, removed or named by an ignore file are left out of a folder."
                self._telling.fail(str(path), f"It is left out of {root}: {why}.", hint)
                continue
            self._places = replace(self._places, left_out=tuple(taken_out))
            scopes.append(place)
        self._places = replace(self._places, roots=add(roots, scopes))
        return add((), scopes)

    def _changed_scopes(self, changed: Iterable[Path]) -> tuple[Path, ...]:
        roots = set(self._places.roots)
        return add((), [path for path in changed if root_of(path, roots)])

    def _rename_roots(self) -> None:
        """Files of a root that became part of another one are shown from that one on."""
        roots = dict.fromkeys(self._places.roots)
        for old in self._documents.roots():
            new = root_of(old, roots)
            if new is not None and new != old:
                moved = [each for each in self._documents.below(old) if each.root == os.fsencode(old)]
                names = [shown(Path(os.fsdecode(each.path)), new) for each in moved]
                root = os.fsencode(new)
                self._documents.put([replace(r, root=root, shown=name) for r, name in zip(moved, names, strict=True)])

    def _deleted(self, scope: Path) -> bool:
        """Whether something is gone for good. A folder may also be on a disk that is not connected."""
        if os.path.lexists(scope):
            return False
        root = root_of(scope, self._places.roots)
        if root != scope:
            return root is not None and root.is_dir()
        known = self._documents.get([id_of(scope)]).get(id_of(scope))
        return known is not None and known.indexed and scope.parent.is_dir()

    def _reconcile(self) -> None:
        """Make up for a run that was killed in the middle of a write, or a table that was taken away."""
        totals = self._documents.totals()
        self._telling.files = totals.documents
        self._count()
        if self._telling.chunks == totals.chunks and not self._documents.unfinished():
            return
        records = self._documents.all()
        held = self._table.documents() if self._table.exists() else {}
        self._documents.forget_recipes(
            [each.id for each in records.values() if each.recipe and each.chunks != held.get(each.id, 0)]
        )
        self._table.delete([each for each in held if each not in records])
        self._count()

    def _scan(self, scopes: Iterable[Path]) -> tuple[list[Found], list[Problem]]:
        files: list[Found] = []
        problems: list[Problem] = []
        taken_out = (*self._places.left_out, *self._out_of_bounds)
        roots = dict.fromkeys(self._places.roots)
        for scope in scopes:
            result = discover.scan(
                scope,
                root=root_of(scope, roots),
                taken_out=taken_out,
                known=self._known,
                found=partial(self._tell_scan, len(files) + self._telling.unchanged),
                cancelled=self._cancelled,
            )
            self._telling.unchanged += result.same
            self._telling.skipped.update(result.skipped)
            files += result.files
            problems += result.problems
        self._telling.tell("scan", len(files) + self._telling.unchanged, 0, now=True)
        # What was worked on last is most likely asked about first.
        return sorted(files, key=lambda found: found.mtime_ns, reverse=True), problems

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def _read(self, files: Sequence[Found]) -> list[Problem]:
        """Read what is new or changed, and write it. What could not be read."""
        problems: list[Problem] = []
        roots = dict.fromkeys(self._places.roots)
        batch, cut_now, began = _Batch(), 0, time.monotonic()
        done_files, done_bytes, all_bytes = 0, 0, sum(each.size for each in files)
        untidy = 0
        jobs = self._jobs(files)
        with closing(readings(jobs, self._embedder)) as results:
            for result in results:
                if result is not None:
                    found, reading = result
                    fresh = self._fresh(found, reading, roots)
                    if problem := self._take(fresh, reading, batch):
                        problems.append(problem)
                    done_files, done_bytes = done_files + 1, done_bytes + found.size
                    cut_now += len(reading.rows)
                    seconds = time.monotonic() - began
                    eta = left(seconds, (done_files, done_bytes), (len(files), all_bytes))
                    self._telling.tell(
                        "read", done_files, len(files), fresh.shown, eta, speed=cut_now / max(seconds, 0.001)
                    )
                if batch.full:
                    untidy += len(batch.rows)
                    self._flush(batch)
                    batch = _Batch()
                    if untidy >= max(_TIDY_AFTER, self._telling.chunks // 2):
                        self._table.tidy()
                        untidy = 0
                if self._cancelled():
                    break
        self._flush(batch)
        if done_files == len(files):
            self._telling.tell("read", done_files, done_files, "", 0.0, now=True)
        return problems

    def _jobs(self, files: Sequence[Found]) -> list[tuple[Found, str]]:
        """Each file with the hash it has if its chunks are still the right ones."""
        known = self._documents.hashes([each.file for each in files], self._recipe)
        return [(each, known.get(each.file, "")) for each in files]

    def _fresh(self, found: Found, reading: Reading, roots: Collection[Path]) -> Record:
        fresh = _record(found.path, roots, self._recipe)
        return replace(fresh, kind=found.kind, size=reading.size, mtime_ns=reading.mtime_ns)

    def _take(self, fresh: Record, reading: Reading, batch: _Batch) -> Problem | None:
        """What a reading means for the library. The problem, if it is one."""
        old = self._documents.get([fresh.id]).get(fresh.id)
        if reading.problem is not None:
            if reading.problem.kept and old and old.indexed:
                fresh = replace(old, size=fresh.size, mtime_ns=fresh.mtime_ns)
            elif old:
                self._remove([old])
            self._documents.put([replace(fresh, error=reading.problem.reason, hint=reading.problem.hint)])
            return reading.problem
        if reading.empty:
            if old:
                self._remove([old])
            self._documents.put([fresh])
            self._blank.add(fresh.id)
            self._telling.skipped["empty"] += 1
        elif reading.packed is None and old:
            self._telling.unchanged += 1
            self._documents.put([replace(old, size=fresh.size, mtime_ns=fresh.mtime_ns, error="", hint="")])
        elif reading.packed is not None:
            fresh = replace(
                fresh, hash=reading.hash, title=reading.title, lines=reading.lines, chunks=len(reading.rows)
            )
            batch.put(fresh, reading.rows, reading.packed)
            for note in reading.notes:
                self._telling.fail(fresh.shown, f"Indexed, but not all of it: {note}", "")
            if old and old.indexed:
                self._telling.changed += 1
            else:
                self._telling.added += 1
        return None

    def _flush(self, batch: _Batch) -> None:
        """Write a batch; texts that were embedded before, here or in another document, take their vectors along."""
        if not batch.records:
            return
        held = self._documents.get([record.id for record in batch.records])
        self._documents.mark_due(batch.records)
        known = self._table.vectors({row.hash for row in batch.rows}) if self._telling.embedded else {}
        rows = [replace(row, vector=known.get(row.hash)) for row in batch.rows] if known else batch.rows
        self._table.add([row for row in rows if row.document not in held])
        self._table.replace(list(held), [row for row in rows if row.document in held])
        self._documents.put(batch.records, batch.texts)
        self._telling.files += sum(not (record.id in held and held[record.id].indexed) for record in batch.records)
        if held:
            self._count()
        else:  # the more there are, the longer it takes to count them
            self._telling.chunks += len(rows)
            self._telling.embedded += sum(row.vector is not None for row in rows)

    # ── what is gone, or cannot be read ──────────────────────────────────────────────────────────

    def _note(self, problems: Iterable[Problem]) -> None:
        """Report the problems, and remember those of the scan, which are below a root."""
        roots = dict.fromkeys(self._places.roots)
        for problem in problems:
            fresh = _record(problem.path, roots, self._recipe)
            self._telling.fail(fresh.shown, problem.reason, problem.hint)
            if problem.reason.startswith(NOT_TEXT):
                self._telling.skipped["binary"] += 1
            old = self._documents.get([fresh.id]).get(fresh.id)
            if old and old.error == problem.reason:
                continue
            if old and not problem.kept:
                self._remove([old])
            kept = replace(old, mtime_ns=-1) if old and problem.kept else fresh
            self._documents.put([replace(kept, error=problem.reason, hint=problem.hint)])

    def _forget_gone(self, problems: Iterable[Problem]) -> None:
        """Take out what is no longer there. What is below something unreadable stays: it may only be out of sight."""
        noted = {each.path for each in problems}
        hidden = {each.path for each in problems if each.kept}
        gone = []
        for name in self._known:
            path = Path(name)
            if path not in noted and root_of(path, hidden) is None:
                gone.append(id_of(path))
        self._remove(list(self._documents.get(gone).values()))

    def _remember(self, scopes: Iterable[Path], problems: Iterable[Problem]) -> None:
        """Tell again of files that were of no use before and have not changed since: they were not read again."""
        fresh = {str(each.path) for each in problems}
        empty = 0
        for document, path, name, error, hint in (each for scope in scopes for each in self._documents.useless(scope)):
            if path in fresh or document in self._blank:
                continue
            self._telling.unchanged -= path not in self._known  # it was met
            if not error:
                empty += 1
                continue
            self._telling.fail(name, error, hint)
            if error.startswith(NOT_TEXT):
                self._telling.skipped["binary"] += 1
        if empty:
            self._telling.skipped["empty"] += empty

    def _remove(self, records: Sequence[Record]) -> None:
        if records:
            indexed = [each for each in records if each.indexed]
            self._documents.mark_due(indexed)
            self._table.delete([each.id for each in indexed])
            self._documents.delete([each.id for each in records])
            self._telling.removed += len(indexed)
            self._telling.files -= len(indexed)

    def _restore(self) -> None:
        """Cut documents again whose chunks are due but whose files cannot be read now, from their stored text."""
        batch = _Batch()
        for record in self._documents.due():
            if self._cancelled():
                break
            if extracted := self._documents.text(record.id):
                rows = cut(record.id, extracted, self._embedder.token_starts)
                made = replace(record, recipe=self._recipe, chunks=len(rows), lines=lines_in(extracted.text))
                batch.put(made, rows, pack(extracted))
                self._telling.changed += 1
                if batch.full:
                    self._flush(batch)
                    batch = _Batch()
        self._flush(batch)

    def _fill(self) -> None:
        """Vectors for all that has none, unless something else is wanted first."""
        if self._foreign:
            return
        try:
            vectors.fill(
                self._table,
                self._embedder,
                documents=self._documents,
                telling=self._telling,
                stop=lambda: self._cancelled() or self._yielding(),
            )
        except EmbedderMissing as error:
            self._telling.fail(self._embedder.name, str(error), error.hint)

    def _count(self) -> None:
        """What is found by words now, and by meaning."""
        if self._table.exists():
            counts = self._table.counts()
            self._telling.chunks, self._telling.embedded = counts.chunks, counts.embedded

    def _tell_scan(self, before: int, count: int, folder: Path) -> None:
        self._telling.tell("scan", before + count, 0, str(folder))


def recipe(embedder: str) -> str:
    """What chunks are made with, whose tokens decide where a text is cut."""
    return f"{extract.VERSION}.{chunking.VERSION}.{embedder}"


def _record(path: Path, roots: Collection[Path], recipe: str) -> Record:
    """A record of a path below one of the roots, of which nothing else is known yet."""
    root = root_of(path, roots) or path
    return Record(id_of(path), uri_of(path), os.fsencode(path), os.fsencode(root), shown(path, root), recipe=recipe)
