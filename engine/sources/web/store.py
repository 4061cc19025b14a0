"""Pages that were read, as they were read: what a citation to the web points at stays there, also offline."""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.aside import set_aside
from engine.errors import SourceError
from engine.sources.base import PageLink

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL, fetched REAL NOT NULL, came_from TEXT NOT NULL, title TEXT NOT NULL,
    text BLOB NOT NULL, links BLOB NOT NULL, size INTEGER NOT NULL, UNIQUE (url, fetched)
) STRICT;
CREATE INDEX IF NOT EXISTS oldest ON pages (fetched);
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True)
class Kept:
    """One page at one time. ``url`` was asked for, ``came_from`` is where that led. ``fetched``: Unix time."""

    url: str
    came_from: str
    fetched: float
    title: str
    text: str
    links: tuple[PageLink, ...] = ()


class PageStore:
    """Pages by address and time, in SQLite. Holds ``limit`` bytes, packed; the oldest pages go first.

    Made when the first page is kept. Safe to use from several threads and processes. Raises SourceError where the
    file cannot be used; it is then moved aside by :meth:`discard`, never deleted.
    """

    def __init__(self, path: Path, limit: int = 200_000_000) -> None:
        self._path = path
        self._limit = limit
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def put(self, page: Kept) -> None:
        """Keep a page, beside what the same address held at other times."""
        text = zlib.compress(page.text.encode())
        links = zlib.compress(json.dumps([(each.text, each.url, each.line) for each in page.links]).encode())
        size = len(text) + len(links)
        with self._use() as db, db:
            db.execute(
                "INSERT OR REPLACE INTO pages (url, fetched, came_from, title, text, links, size) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (page.url, page.fetched, page.came_from, page.title, text, links, size),
            )
            held = db.execute("SELECT total(size) FROM pages").fetchone()[0]
            if held > self._limit:
                self._drop_oldest(db, held)

    def get(self, url: str, at: float | None = None) -> Kept | None:
        """The page as it was last read, or as it had last been read at the time ``at``. None where it never was."""
        if not self._path.exists():
            return None
        with self._use() as db:
            row = db.execute(
                "SELECT url, came_from, fetched, title, text, links FROM pages "
                "WHERE url = ? AND fetched <= ? ORDER BY fetched DESC LIMIT 1",
                (url, 1e18 if at is None else at),
            ).fetchone()
            if row is None:
                return None
            address, came_from, fetched, title, text, links = row
            found = tuple(PageLink(*each) for each in json.loads(zlib.decompress(links)))
            return Kept(address, came_from, fetched, title, zlib.decompress(text).decode(), found)

    def size(self) -> tuple[int, int]:
        """How many pages are kept, and in how many bytes."""
        if not self._path.exists():
            return 0, 0
        with self._use() as db:
            pages, size = db.execute("SELECT count(*), total(size) FROM pages").fetchone()
        return pages, int(size)

    def close(self) -> None:
        """Let go of the file. The next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def discard(self) -> Path | None:
        """Set an unreadable file aside, so that a new one can begin. Where it went, if there was one."""
        with self._lock:
            self.close()
            return set_aside(self._path)

    def _drop_oldest(self, db: sqlite3.Connection, held: float) -> None:
        """Make room, down to nine tenths of the limit, but never at the cost of the page just kept."""
        newest = db.execute("SELECT max(id) FROM pages").fetchone()[0]
        for number, size in db.execute("SELECT id, size FROM pages ORDER BY fetched").fetchall():
            if held <= 0.9 * self._limit:
                break
            if number != newest:
                db.execute("DELETE FROM pages WHERE id = ?", (number,))
                held -= size

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except (sqlite3.Error, zlib.error, ValueError, TypeError, OSError) as error:
                raise SourceError(
                    f"The pages kept from the web cannot be used: {error}.",
                    f"Move {self._path} away; new pages then go into a new file.",
                ) from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise ValueError(f"they were written by a newer version ({version})")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            if version < _VERSION:
                db.executescript(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db
