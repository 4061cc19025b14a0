"""Files to rows: scan, read what changed, cut, store, and fill the vectors in behind.

Rows are written without vectors first, so that text search works while the slow part goes on. The table is written
before the list of documents: what a kill leaves half done is noticed by the next run and done again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from engine.clean import clean_line
from engine.errors import EmbedderMissing
from engine.protocol import FileFailure, IndexEnded, IndexProgress
from engine.sources.library import chunk as chunking
from engine.sources.library import discover, extract
from engine.sources.library.discover import Found, Problem
from engine.sources.library.documents import Documents, Record
from engine.sources.library.embed import Embedder
from engine.sources.library.extract import Extracted
from engine.sources.library.roots import Roots, absolute, add, id_of, shown, uri_of
from engine.sources.library.table import Row, Table

_FLUSH_ROWS, _FLUSH_DOCUMENTS, _FLUSH_SECONDS = 512, 64, 2.0
"""Each write is a commit: a few milliseconds, and a small file until they are joined."""

_EMBED_STORE, _EMBED_STEP = 256, 16
"""Vectors written at a time, and texts embedded between two looks at whether to stop."""

_TIDY_AFTER = 4096
"""Rows written, at least, between two tidyings: rows not in the indexes yet are searched one by one. A tidying writes
the table anew, so the time between two grows with it."""

_RACY_NS = 2_000_000_000
"""A file written this shortly before it was read may change again without its time showing it."""

_PROGRESS_SECONDS = 0.1


@dataclass
class _Batch:
    """Documents read but not written yet."""

    records: list[Record] = field(default_factory=list)
    texts: dict[str, Extracted] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    @property
    def full(self) -> bool:
        late = time.monotonic() - self.since > _FLUSH_SECONDS
        return late or len(self.rows) >= _FLUSH_ROWS or len(self.records) >= _FLUSH_DOCUMENTS


class Ingest:
    """One run of indexing over one library. To be used once, with the writer's lock held."""

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
    ) -> None:
        self._library = library
        self._roots = roots
        self._documents = documents
        self._table = table
        self._embedder = embedder
        self._progress = progress
        self._cancelled = cancelled
        self._recipe = f"{extract.VERSION}.{chunking.VERSION}.{embedder.name}"
        self._began = time.monotonic()
        self._told = 0.0
        self._added = self._changed = self._unchanged = self._removed = 0
        self._skipped: Counter[str] = Counter()
        self._failures: dict[str, FileFailure] = {}

    def run(self, paths: Sequence[Path]) -> IndexEnded:
        """Index ``paths``, or all known roots if there are none."""
        scopes, roots = self._place(paths)
        self._reconcile()
        records = self._documents.all()
        deleted = {scope for scope in scopes if _deleted(scope, records)}
        files, problems = self._scan([scope for scope in scopes if scope not in deleted])
        if not self._cancelled():
            handled = self._read(files, problems, roots, records)
            self._note(problems, roots, records)
            if not self._cancelled():
                self._forget_gone(scopes, problems, handled, records)
                self._roots.save([each for each in roots if each not in deleted])
                self._restore()
        if self._table.exists():
            if self._added or self._changed or self._removed:
                self._table.tidy()
            self._embed()
        return IndexEnded(
            library=self._library,
            added=self._added,
            changed=self._changed,
            unchanged=self._unchanged,
            removed=self._removed,
            skipped=dict(self._skipped),
            failures=tuple(self._failures.values()),
            chunks=self._table.counts().chunks if self._table.exists() else 0,
            seconds=time.monotonic() - self._began,
            cancelled=self._cancelled(),
        )

    # ── what to look at ──────────────────────────────────────────────────────────────────────────

    def _place(self, paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
        """The places to scan, and all roots, with new ones among them."""
        known = roots = self._roots.load()
        if not paths:
            return roots, roots
        scopes: list[Path] = []
        for path in paths:
            try:
                place = absolute(path)
                place.stat()
            except OSError as error:
                self._fail(str(path), *discover.explain(error, link=path.is_symlink()))
                continue
            roots, scopes = add(roots, place), add(scopes, place)
        if roots != known:
            self._roots.save(roots)
        return scopes, roots

    def _reconcile(self) -> None:
        """Make up for a run that was killed between its two writes, or a table that was taken away."""
        records = self._documents.all()
        held = self._table.documents() if self._table.exists() else {}
        self._documents.forget_recipes(
            [each.id for each in records.values() if each.recipe and each.chunks != held.get(each.id, 0)]
        )
        self._table.delete([each for each in held if each not in records])

    def _scan(self, scopes: Iterable[Path]) -> tuple[list[Found], list[Problem]]:
        files: dict[Path, Found] = {}
        problems: list[Problem] = []
        for scope in scopes:
            result = discover.scan(scope, found=partial(self._tell_scan, len(files)), cancelled=self._cancelled)
            files |= {each.path: each for each in result.files}
            problems += result.problems
            self._skipped.update(result.skipped)
        self._tell("scan", len(files), 0, "", now=True)
        return list(files.values()), problems

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def _read(
        self, files: Sequence[Found], problems: list[Problem], roots: Sequence[Path], records: dict[str, Record]
    ) -> set[str]:
        """Read what is new or changed. The ids of what is still there; adds to ``problems``."""
        handled: set[str] = set()
        batch = _Batch()
        done_bytes, all_bytes, began = 0, sum(each.size for each in files), time.monotonic()
        for done, found in enumerate(files):
            if self._cancelled():
                break
            fresh = replace(_record(found.path, roots), kind=found.kind)
            self._tell("read", done, len(files), fresh.shown, _eta(began, done_bytes, all_bytes))
            outcome = self._read_one(found, fresh, records.get(fresh.id), batch)
            if isinstance(outcome, Problem):
                problems.append(outcome)
            elif outcome:
                handled.add(fresh.id)
            done_bytes += found.size
            if batch.full:
                batch = self._flush(batch)
        else:
            self._tell("read", len(files), len(files), "", 0.0, now=True)
        self._flush(batch)
        return handled

    def _read_one(self, found: Found, fresh: Record, old: Record | None, batch: _Batch) -> Problem | bool:
        """Read one file if it needs to be. False: there is nothing in it to index."""
        current = old is not None and old.recipe == self._recipe and not old.error
        if old and current and (old.size, old.mtime_ns) == (found.size, found.mtime_ns):
            return self._keep(old, replace(old, root=fresh.root, shown=fresh.shown))
        try:
            with found.path.open("rb") as file:
                status = os.fstat(file.fileno())
                data = file.read(discover.LARGEST + 1)
        except OSError as error:
            return Problem(found.path, *discover.explain(error))
        racy = time.time_ns() - status.st_mtime_ns < _RACY_NS
        fresh = replace(
            fresh,
            size=len(data),
            mtime_ns=-1 if racy else status.st_mtime_ns,
            hash=hashlib.blake2b(data, digest_size=16).hexdigest(),
        )
        if old and old.recipe == self._recipe and old.hash == fresh.hash:
            kept = replace(fresh, title=old.title, recipe=old.recipe, chunks=old.chunks, lines=old.lines)
            return self._keep(old, kept)
        try:
            extracted = extract.EXTRACTORS[found.kind](data)
        except extract.NotTextError as error:
            self._skipped["binary"] += 1
            hint = "If it is a text, save it as UTF-8 and index again."
            return Problem(found.path, f"It is not a text: {error}.", hint, kept=False)
        except Exception as error:  # noqa: BLE001 - whatever a parser makes of one strange file must not end the run
            reason = clean_line(f"It could not be understood: {type(error).__name__} {error}")
            return Problem(found.path, reason, "Open it in its own program and save it again.")
        if not extracted.text.strip():
            self._skipped["empty"] += 1
            return False
        title = extracted.title or clean_line(found.path.name)
        self._cut(replace(fresh, title=title), replace(extracted, title=title), batch)
        if old and old.indexed:
            self._changed += 1
        else:
            self._added += 1
        return True

    def _keep(self, old: Record, new: Record) -> bool:
        """Nothing in the file changed; what is known about it may have."""
        self._unchanged += 1
        if new != old:
            self._documents.put([new])
        return True

    def _cut(self, record: Record, extracted: Extracted, batch: _Batch) -> None:
        """Cut a document into rows and put it in the batch."""
        text = extracted.text
        chunks = chunking.chunk(text, extracted.sections, self._embedder.token_starts(text))
        for number, each in enumerate(chunks):
            piece = text[each.start : each.end]
            name = hashlib.blake2b(piece.encode(), digest_size=16).hexdigest()
            heading = " > ".join(each.trail)
            batch.rows.append(Row(record.id, number, heading, each.first, each.last, each.start, each.end, piece, name))
        lines = text.count("\n") + (not text.endswith("\n"))
        batch.records.append(replace(record, recipe=self._recipe, chunks=len(chunks), lines=lines))
        batch.texts[record.id] = extracted

    def _flush(self, batch: _Batch) -> _Batch:
        """Write a batch; texts that were embedded before, here or in another document, take their vectors along."""
        if batch.records:
            known = self._table.vectors({row.hash for row in batch.rows}) if self._table.exists() else {}
            rows = [replace(row, vector=known.get(row.hash)) for row in batch.rows]
            self._table.replace([record.id for record in batch.records], rows)
            self._documents.put(batch.records, batch.texts)
        return _Batch()

    # ── what is gone, or cannot be read ──────────────────────────────────────────────────────────

    def _note(self, problems: Iterable[Problem], roots: Sequence[Path], records: dict[str, Record]) -> None:
        """Report the problems, and remember those below a root."""
        for problem in problems:
            fresh = _record(problem.path, roots)
            self._fail(fresh.shown, problem.reason, problem.hint)
            old = records.get(fresh.id)
            if old and not problem.kept:
                self._remove([old])
            known = old if old and problem.kept else fresh
            self._documents.put([replace(known, error=problem.reason, hint=problem.hint)])

    def _forget_gone(
        self, scopes: Sequence[Path], problems: Iterable[Problem], handled: set[str], records: dict[str, Record]
    ) -> None:
        """Take out what is no longer there. What is below something unreadable stays: it may only be out of sight."""
        hidden = [each.path for each in problems if each.kept]
        noted = {id_of(each.path) for each in problems}
        gone = []
        for record in records.values():
            path = Path(os.fsdecode(record.path))
            below = any(path.is_relative_to(each) for each in scopes)
            if below and record.id not in handled | noted and not any(path.is_relative_to(each) for each in hidden):
                gone.append(record)
        self._remove(gone)

    def _remove(self, records: Sequence[Record]) -> None:
        if records:
            indexed = [each.id for each in records if each.indexed]
            self._table.delete(indexed)
            self._documents.delete([each.id for each in records])
            self._removed += len(indexed)

    def _restore(self) -> None:
        """Cut documents again whose chunks are due but whose files cannot be read now, from their stored text."""
        batch = _Batch()
        for record in self._documents.all().values():
            if self._cancelled():
                break
            if record.indexed and not record.recipe and (extracted := self._documents.text(record.id)):
                self._cut(record, extracted, batch)
                self._changed += 1
                if batch.full:
                    batch = self._flush(batch)
        self._flush(batch)

    # ── vectors ──────────────────────────────────────────────────────────────────────────────────

    def _embed(self) -> None:
        """Give every row that has none its vector."""
        import numpy as np

        counts = self._table.counts()
        total, done = counts.chunks - counts.embedded, 0
        began, untidy = time.monotonic(), 0
        while not self._cancelled() and (pending := self._table.pending(_EMBED_STORE)):
            pending.sort(key=lambda row: len(row.text))  # texts of one length need no padding
            made = []
            for start in range(0, len(pending), _EMBED_STEP):
                if self._cancelled():
                    break
                texts = [row.text for row in pending[start : start + _EMBED_STEP]]
                self._tell("embed", done, total, "", _eta(began, done, total))
                try:
                    made.append(self._embedder.embed(texts))
                except EmbedderMissing as error:
                    self._fail(self._embedder.name, str(error), error.hint)
                    return
                done += len(texts)
            if made:
                vectors = np.concatenate(made)
                self._table.fill(pending[: len(vectors)], vectors)
                untidy += len(vectors)
            if untidy >= max(_TIDY_AFTER, done // 2):
                self._table.tidy()
                untidy = 0
        if total:
            self._tell("embed", done, total, "", 0.0 if done == total else -1.0, now=True)
        if untidy:
            self._table.tidy()

    # ── telling ──────────────────────────────────────────────────────────────────────────────────

    def _fail(self, path: str, reason: str, hint: str) -> None:
        name = clean_line(path)
        self._failures[name] = FileFailure(name, reason, hint)

    def _tell_scan(self, before: int, count: int, folder: Path) -> None:
        self._tell("scan", before + count, 0, clean_line(str(folder)))

    def _tell(
        self,
        phase: Literal["scan", "read", "embed"],
        done: int,
        total: int,
        path: str,
        eta: float = -1.0,
        *,
        now: bool = False,
    ) -> None:
        """Progress, not more often than anyone can read."""
        if now or time.monotonic() - self._told >= _PROGRESS_SECONDS:
            self._told = time.monotonic()
            self._progress(IndexProgress(self._library, phase, done, total, path, eta))


def _eta(began: float, done: int, total: int) -> float:
    """Seconds left at the speed so far, -1 while there is none."""
    return (time.monotonic() - began) / done * (total - done) if done else -1.0


def _record(path: Path, roots: Sequence[Path]) -> Record:
    """A record of a path below one of the roots, of which nothing else is known yet."""
    root = next(each for each in roots if path.is_relative_to(each))
    return Record(id_of(path), uri_of(path), os.fsencode(path), os.fsencode(root), shown(path, root))


def _deleted(scope: Path, records: dict[str, Record]) -> bool:
    """Whether a file that was indexed by its own name is gone. A folder may be on a disk that is not connected."""
    known = records.get(id_of(scope))
    return known is not None and known.indexed and not scope.exists() and scope.parent.is_dir()
