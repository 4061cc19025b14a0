"""What is known of each file: the truth that the chunk table can be made from again, in SQLite."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from engine.aside import set_aside
from engine.errors import LibraryCorrupt, LibraryError
from engine.sources.library.extract import Extracted, Section
from engine.sources.library.filters import Brief

REBUILD = "Rebuild it with: deepsearch-tui index --rebuild. Your files are only read again, never touched."

_VERSION = 2
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, uri TEXT NOT NULL UNIQUE, path BLOB NOT NULL, root BLOB NOT NULL, shown TEXT NOT NULL,
    kind TEXT NOT NULL, title TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, hash TEXT NOT NULL,
    recipe TEXT NOT NULL, chunks INTEGER NOT NULL, lines INTEGER NOT NULL, error TEXT NOT NULL, hint TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS texts (
    id TEXT PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE, text BLOB NOT NULL, sections TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS documents_by_path ON documents (path);
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True)
class Record:
    """One file or folder the library knows.

    ``path`` and ``root`` are real paths as bytes, since a file name need not be text; ``shown`` is what people see.
    ``hash`` is empty where there is no text of it. ``recipe`` names what the chunks (or the failure to make any) were
    made with, empty where they must be made again. ``error`` is why it could not be read the last time, in words, with
    a ``hint``; what was read before stays. ``mtime_ns`` is -1 where the file must be looked at again in any case.
    """

    id: str
    uri: str
    path: bytes
    root: bytes
    shown: str
    kind: str = ""
    title: str = ""
    size: int = -1
    mtime_ns: int = -1
    hash: str = ""
    recipe: str = ""
    chunks: int = 0
    lines: int = 0
    error: str = ""
    hint: str = ""

    @property
    def indexed(self) -> bool:
        """Whether there is a text of it."""
        return bool(self.hash)


@dataclass(frozen=True)
class Totals:
    """Counts over one library: what has a text, the chunks it was cut into, what could not be read."""

    documents: int
    chunks: int
    failures: int


Useless = tuple[str, str, str, str, str]
"""Of a document without a text: its id, its path as :func:`os.fsdecode` makes it, what is shown, error and hint."""

Packed = tuple[bytes, str]
"""A text and its sections as they are stored."""


def pack(document: Extracted) -> Packed:
    """Make a document small. Costs time: readers do it, not the one who writes."""
    sections = [(each.start, each.trail) for each in document.sections]
    return zlib.compress(document.text.encode()), json.dumps(sections)


def _changed(path: Path, mtime_ns: int) -> float:
    """When a file changed, in Unix seconds. Where that was too fresh to be noted the file itself is asked."""
    if mtime_ns < 0:
        try:
            mtime_ns = path.stat().st_mtime_ns
        except OSError:
            return 0.0
    return mtime_ns / 1e9


_AT_ONCE = 500
_COLUMNS = tuple(each.name for each in fields(Record))
_NAMES = ", ".join(_COLUMNS)
_INSERT = f"INSERT INTO documents ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_UPSERT = f"{_INSERT} ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"


class Documents:
    """The documents of one library. Safe to use from several threads; opens on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def exists(self) -> bool:
        """Whether there is a list on disk, readable or not. Cheap."""
        return self._path.exists()

    def all(self) -> dict[str, Record]:
        """Every record, by id."""
        with self._use() as db:
            rows = db.execute(f"SELECT {_NAMES} FROM documents ORDER BY shown").fetchall()
        return {row[0]: Record(*row) for row in rows}

    def any_text(self) -> bool:
        """Whether there is anything to search."""
        with self._use() as db:
            return bool(db.execute("SELECT EXISTS (SELECT 1 FROM texts)").fetchone()[0])

    def get(self, ids: Iterable[str]) -> dict[str, Record]:
        """The records with these ids; unknown ones are missing from the answer."""
        wanted = list(ids)
        found: dict[str, Record] = {}
        with self._use() as db:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                query = f"SELECT {_NAMES} FROM documents WHERE id IN ({', '.join('?' * len(some))})"
                found |= {row[0]: Record(*row) for row in db.execute(query, some)}
        return found

    def known(self, scope: Path, recipe: str) -> dict[str, tuple[int, int]]:
        """Size and time of every file at or below ``scope``, by its path; -1, -1 for what ``recipe`` did not make."""
        current = "CASE WHEN recipe = ? THEN size ELSE -1 END, CASE WHEN recipe = ? THEN mtime_ns ELSE -1 END"
        with self._use() as db:
            where, values = _below(scope)
            rows = db.execute(f"SELECT path, {current} FROM documents WHERE {where}", (recipe, recipe, *values))
            return {_name_of(path): (size, mtime_ns) for path, size, mtime_ns in rows}

    def below(self, scope: Path) -> list[Record]:
        """The records of what is at or below a path."""
        return self._where(*_below(scope))

    def useless(self, scope: Path) -> list[Useless]:
        """What could not be read, or has nothing in it, at or below a path."""
        where, values = _below(scope)
        with self._use() as db:
            query = f"SELECT id, path, shown, error, hint FROM documents WHERE (error != '' OR hash = '') AND ({where})"
            return [(each, _name_of(path), *words) for each, path, *words in db.execute(query, values)]

    def hashes(self, files: Sequence[str], recipe: str) -> dict[str, str]:
        """The hash of each of these files of which there are chunks made by ``recipe``."""
        found: dict[str, str] = {}
        with self._use() as db:
            for start in range(0, len(files), _AT_ONCE):
                some = [os.fsencode(each) for each in files[start : start + _AT_ONCE]]
                query = f"SELECT path, hash FROM documents WHERE path IN ({', '.join('?' * len(some))}) AND recipe = ?"
                found |= {os.fsdecode(path): digest for path, digest in db.execute(query, (*some, recipe))}
        return found

    def due(self) -> list[Record]:
        """The records of documents whose chunks must be made again."""
        return self._where("hash != '' AND recipe = ''", ())

    def unfinished(self) -> bool:
        """Whether there are chunks that must be made again, or were just about to be written."""
        with self._use() as db:
            query = "SELECT EXISTS (SELECT 1 FROM documents WHERE recipe = '' AND (hash != '' OR size >= 0))"
            return bool(db.execute(query).fetchone()[0])

    def mark_due(self, records: Sequence[Record]) -> None:
        """Note that the chunks of these documents are about to be written, before they are."""
        due = [
            tuple(getattr(replace(each, recipe="", hash="", chunks=0), name) for name in _COLUMNS) for each in records
        ]
        with self._use() as db, db:
            db.executemany(f"{_INSERT} ON CONFLICT (id) DO UPDATE SET recipe = ''", due)

    def totals(self) -> Totals:
        with self._use() as db:
            counted = "count(*) FILTER (WHERE hash != ''), ifnull(sum(chunks), 0), count(*) FILTER (WHERE error != '')"
            return Totals(*db.execute(f"SELECT {counted} FROM documents").fetchone())

    def roots(self) -> list[Path]:
        """Under which roots the files were found."""
        with self._use() as db:
            return [Path(os.fsdecode(row[0])) for row in db.execute("SELECT DISTINCT root FROM documents")]

    def fact(self, name: str) -> str:
        """Something noted about the library as a whole, empty where nothing was."""
        with self._use() as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def note(self, name: str, value: str) -> None:
        """Keep a fact."""
        with self._use() as db, db:
            db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    def _where(self, where: str, values: tuple[object, ...]) -> list[Record]:
        with self._use() as db:
            return [Record(*row) for row in db.execute(f"SELECT {_NAMES} FROM documents WHERE {where}", values)]

    def briefs(self) -> list[Brief]:
        """What filters look at, of everything that can be searched. Small enough to be asked for with each search."""
        with self._use() as db:
            rows = db.execute("SELECT id, shown, path, kind, mtime_ns FROM documents WHERE hash != ''").fetchall()
        briefs = []
        for each, shown, raw, kind, mtime_ns in rows:
            path = os.fsdecode(raw)
            briefs.append(Brief(each, shown, path, kind, _changed(Path(path), mtime_ns)))
        return briefs

    def named(self, name: str) -> list[str]:
        """The ids of the documents whose path ends with this name, whatever the case of its letters, by path."""
        below = "%/" + re.sub(r"([%_\\])", r"\\\1", name)
        with self._use() as db:
            rows = db.execute(
                "SELECT id FROM documents WHERE '/' || shown LIKE ? ESCAPE '\\' AND hash != '' ORDER BY shown", (below,)
            )
            return [row[0] for row in rows]

    def by_uri(self, uri: str) -> Record | None:
        """The record of the document with this uri, if there is one."""
        with self._use() as db:
            row = db.execute(f"SELECT {_NAMES} FROM documents WHERE uri = ?", (uri,)).fetchone()
        return Record(*row) if row else None

    def text(self, document: str) -> Extracted | None:
        """The document as it was when it was indexed."""
        with self._use() as db:
            row = db.execute(
                "SELECT title, text, sections FROM texts JOIN documents USING (id) WHERE id = ?", (document,)
            ).fetchone()
            if row is None:
                return None
            text = zlib.decompress(row[1]).decode()
            return Extracted(row[0], text, tuple(Section(start, tuple(trail)) for start, trail in json.loads(row[2])))

    def put(self, records: Sequence[Record], texts: Mapping[str, Packed] | None = None) -> None:
        """Write these records and texts, all or none."""
        with self._use() as db, db:
            db.executemany(_UPSERT, [tuple(getattr(record, name) for name in _COLUMNS) for record in records])
            db.executemany(
                "INSERT OR REPLACE INTO texts (id, text, sections) VALUES (?, ?, ?)",
                [(document, *each) for document, each in (texts or {}).items()],
            )

    def delete(self, ids: Iterable[str]) -> None:
        with self._use() as db, db:
            db.executemany("DELETE FROM documents WHERE id = ?", [(each,) for each in ids])

    def forget_recipes(self, ids: Iterable[str] | None = None) -> None:
        """Make the chunks of these documents, or of all, due again."""
        with self._use() as db, db:
            if ids is None:
                db.execute("UPDATE documents SET recipe = ''")
            else:
                db.executemany("UPDATE documents SET recipe = '' WHERE id = ?", [(each,) for each in ids])

    def switch(self, old: str, new: str, facts: Mapping[str, str]) -> None:
        """Take what was made by the recipe ``old`` for made by ``new``, and note these facts, all or none."""
        with self._use() as db, db:
            db.execute("UPDATE documents SET recipe = ? WHERE recipe = ?", (new, old))
            db.executemany("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", facts.items())

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def discard(self) -> Path | None:
        """Set an unreadable file aside, so that a new one can begin. Where it went, if there was one."""
        self.close()
        return set_aside(self._path)

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.OperationalError as error:
                hint = "Make room on the disk and try again." if "disk" in str(error) else "Try again."
                raise LibraryError(f"The library's list of documents cannot be used: {error}.", hint) from error
            except (sqlite3.DatabaseError, zlib.error, ValueError, TypeError) as error:
                raise LibraryCorrupt(f"The library's list of documents is damaged: {error}.", REBUILD) from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise ValueError(f"it was made by a newer version ({version})")
            db.execute("PRAGMA journal_mode = WAL")  # searching goes on while another process indexes
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            if version < _VERSION:
                db.executescript(_SCHEMA)  # it only adds, so a list of an earlier version goes on
        except BaseException:
            db.close()
            raise
        return db


def _below(scope: Path) -> tuple[str, tuple[object, ...]]:
    """The condition for a path itself and everything below it, as a range that an index answers."""
    path = os.fsencode(scope)
    folder = path if path.endswith(_SLASH) else path + _SLASH
    return "path = ? OR (path >= ? AND path < ?)", (path, folder, folder[:-1] + bytes([folder[-1] + 1]))


def _name_of(path: bytes) -> str:
    """What :func:`os.fsdecode` makes of a path, in a fifth of the time: there may be very many."""
    return path.decode(_ENCODING, _ERRORS)


_SLASH = os.fsencode(os.sep)
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
