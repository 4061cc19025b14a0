"""The journal: every event of every session, written as it happens, in one SQLite file.

Append-only. Each event is its own transaction, so a killed process loses at most the event it was writing.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import protocol
from engine.clean import clean_line
from engine.errors import SessionError, SessionMissing
from engine.protocol import AnswerReady, Event, Observed, RunEnded, RunStarted, TurnEnded

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    session TEXT NOT NULL, seq INTEGER NOT NULL, run INTEGER NOT NULL, turn INTEGER NOT NULL,
    kind TEXT NOT NULL, at REAL NOT NULL, data TEXT NOT NULL, PRIMARY KEY (session, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_kind ON events (session, kind);
CREATE VIRTUAL TABLE IF NOT EXISTS texts
    USING fts5 (text, session UNINDEXED, seq UNINDEXED, tokenize = 'porter unicode61');
"""

_DISK_HINT = "Look at the free space and the permissions of the data directory."


@dataclass(frozen=True)
class SessionSummary:
    """A session in a list. ``unfinished``: its last run has not ended. Times are Unix seconds."""

    id: str
    title: str
    created: float
    updated: float
    questions: int
    turns: int
    unfinished: bool


@dataclass(frozen=True)
class SessionMatch:
    """A session in which words were found, and the words around them."""

    id: str
    title: str
    snippet: str


class Journal:
    """The journal at ``path``, made if it is missing. Safe to use from several threads.

    A file that is no journal is moved aside, what can be read of it is taken over, and ``recovered_from`` says where
    it is now. Raises SessionError where the file cannot be used at all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.recovered_from: Path | None = None
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
                raise SessionError(f"the journal {path} cannot be opened: {error}", _DISK_HINT) from error
            self.recovered_from = self._set_aside()
            self._db = self._open()
            self._salvage(self.recovered_from)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def create(self, title: str) -> str:
        """A new session's id: its date and four letters, so that ids sort by time and can be typed."""
        now = time.time()
        letters = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz") for _ in range(4))
        id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{letters}"
        with self._transaction():
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (id, title, now, now))
        return id

    def append(self, event: Event) -> None:
        """Write one stamped event, for good before this returns."""
        row = (event.session, event.seq, event.run, event.turn, type(event).__name__, event.at, protocol.encode(event))
        with self._transaction():
            self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            for text in _searchable(event):
                self._db.execute("INSERT INTO texts VALUES (?, ?, ?)", (text, event.session, event.seq))
            if isinstance(event, RunStarted | TurnEnded | RunEnded):
                self._db.execute("UPDATE sessions SET updated = ? WHERE id = ?", (event.at, event.session))

    def rename(self, session: str, title: str) -> None:
        with self._transaction():
            self._db.execute("UPDATE sessions SET title = ? WHERE id = ?", (clean_line(title, 120), session))

    def delete(self, session: str) -> None:
        """Remove a session and all its events. The one thing that takes something out of the journal."""
        with self._transaction():
            for table, column in (("events", "session"), ("texts", "session"), ("sessions", "id")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (session,))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def next_seq(self, session: str) -> int:
        (last,) = self._one("SELECT coalesce(max(seq), 0) FROM events WHERE session = ?", session)
        return int(last) + 1

    def events(self, session: str) -> Iterator[Event]:
        """A session's events in order. Raises SessionMissing."""
        self.title(session)
        for (data,) in self._all("SELECT data FROM events WHERE session = ? ORDER BY seq", session):
            yield protocol.decode_event(data)

    def title(self, session: str) -> str:
        """Raises SessionMissing."""
        row = self._one("SELECT title FROM sessions WHERE id = ?", session)
        if row is None:
            raise SessionMissing(f"there is no session {session}", "See them with: deepsearch-tui sessions list")
        return str(row[0])

    def list(self, limit: int = 200) -> tuple[SessionSummary, ...]:
        """Sessions, the one used last first."""
        rows = self._all(
            """
            SELECT id, title, created, updated,
                   (SELECT count(*) FROM events WHERE session = id AND kind = 'RunStarted'
                      AND json_extract(data, '$.resumed') = 0),
                   (SELECT count(*) FROM events WHERE session = id AND kind = 'TurnEnded'),
                   coalesce((SELECT max(seq) FROM events WHERE session = id AND kind = 'RunStarted'), 0)
                 > coalesce((SELECT max(seq) FROM events WHERE session = id AND kind = 'RunEnded'), 0)
            FROM sessions ORDER BY updated DESC, id DESC LIMIT ?
            """,
            limit,
        )
        return tuple(SessionSummary(*row[:6], bool(row[6])) for row in rows)

    def resolve(self, name: str) -> str:
        """The id that ``name`` means: an id, the beginning of just one, or ``last``. Raises SessionMissing."""
        ids = [session.id for session in self.list(limit=100_000)]
        found = ids[:1] if name == "last" else [id for id in ids if id.startswith(name)]
        if name in ids:
            return name
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} sessions begin with {name!r}" if found else f"there is no session {name!r}"
        raise SessionMissing(what, "See them with: deepsearch-tui sessions list")

    def search(self, text: str, limit: int = 50) -> tuple[SessionMatch, ...]:
        """Sessions whose questions, answers or observations have all the words of ``text``, best first."""
        words = " ".join(f'"{word.replace(chr(34), "")}"' for word in text.split() if word.strip('"'))
        if not words:
            return ()
        rows = self._all(
            """
            SELECT sessions.id, sessions.title, snippet(texts, 0, '', '', ' … ', 12)
            FROM texts JOIN sessions ON sessions.id = texts.session
            WHERE texts MATCH ? ORDER BY rank LIMIT 500
            """,
            words,
        )
        first: dict[str, SessionMatch] = {}
        for id, title, snippet in rows:
            first.setdefault(id, SessionMatch(id, title, clean_line(snippet)))
        return tuple(first.values())[:limit]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # ── the file ─────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> sqlite3.Connection:
        import sqlite_utils

        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, check_same_thread=False, timeout=10, isolation_level=None)
        try:
            database = sqlite_utils.Database(connection)
            database.enable_wal()
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> Path:
        target = self._path.with_name(f"{self._path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.rename(target.with_name(target.name + suffix))
        except OSError as error:
            raise SessionError(
                f"the journal {self._path} is damaged and cannot be moved: {error}", _DISK_HINT
            ) from error
        return target

    def _salvage(self, old: Path) -> None:
        """Take over what can still be read of a damaged journal. Whatever cannot be read stays in the old file."""
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(old)) as source:
            for row in _readable(source, "SELECT id, title, created, updated FROM sessions"):
                with self._transaction():
                    self._db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?)", row)
            for (data,) in _readable(source, "SELECT data FROM events"):
                with contextlib.suppress(Exception):
                    self.append(protocol.decode_event(data))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise SessionError(f"the journal could not be written: {error}", _DISK_HINT) from error

    def _all(self, sql: str, *values: object) -> Sequence[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise SessionError(f"the journal could not be read: {error}", _DISK_HINT) from error

    def _one(self, sql: str, *values: object) -> Any:
        rows = self._all(sql, *values)
        return rows[0] if rows else None


def _searchable(event: Event) -> tuple[str, ...]:
    match event:
        case RunStarted(question, resumed=False):
            return (question,)
        case AnswerReady(text):
            return (text,)
        case Observed(observation):
            return (f"{observation.header}\n{observation.body}",)
    return ()


def _readable(source: sqlite3.Connection, sql: str) -> Iterator[Any]:
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from source.execute(sql)
