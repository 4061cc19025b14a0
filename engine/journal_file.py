"""The SQLite file behind the journal: opening it, what its errors mean, and what to do when it cannot be read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine import protocol
from engine.aside import set_aside
from engine.errors import JournalCorrupt, ProtocolError, SessionError
from engine.protocol import AnswerReady, Event, Forked, Observed, RunStarted

if TYPE_CHECKING:
    from sqlite_utils import Database

CHECK_FOLDER = "Check that the folder exists and is yours, or choose another with --data-dir."

LANDMARKS = "('RunStarted', 'RunEnded', 'TurnEnded')"
"""The few events that say how far a session is. They have an index, which SQLite uses where a query has this very list."""

_PATIENCE = 1.0
"""Seconds to wait for others to let go of a damaged file. Those who are only about to find the damage do at once."""

_VERSION = 2
"""1 had no tags. Every statement of the schema leaves alone what is there, so that it brings an older file up to date."""
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, title TEXT NOT NULL, created REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tags (
    session TEXT NOT NULL REFERENCES sessions (id), tag TEXT NOT NULL, PRIMARY KEY (session, tag)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    row INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (id), seq INTEGER NOT NULL, run INTEGER NOT NULL,
    turn INTEGER NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL, data TEXT NOT NULL, UNIQUE (session, seq)
) STRICT;
CREATE INDEX IF NOT EXISTS landmarks ON events (session, seq, kind, run) WHERE kind IN {LANDMARKS};
CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_COLUMNS = "session, seq, run, turn, kind, at, data"


def connect(path: Path) -> Database:
    """The database at ``path``, made if there is none. Raises sqlite3.Error, OSError, or SessionError if it is too new."""
    from sqlite_utils import Database

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        database = Database(connection, execute_plugins=False)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise SessionError(
                f"{path} was written by a newer version of this program",
                "Update, or choose another folder with --data-dir.",
            )
        if version < _VERSION:
            database.executescript(_SCHEMA)
        if database.journal_mode != "wal":
            database.enable_wal()  # others read while a run is written
        database.execute(
            "PRAGMA synchronous = NORMAL"
        )  # survives a kill of the process; a power cut may cost the last turn
        database.execute("PRAGMA foreign_keys = ON")
        for table in ("sessions", "events", "texts"):
            database.execute(f"SELECT max(rowid) FROM {table}").fetchone()
        database.execute("SELECT max(tag) FROM tags").fetchone()
    except BaseException:
        connection.close()
        raise
    return database


def insert(database: Database, event: Event) -> None:
    """Write one event, and what of it can be searched."""
    line = protocol.encode(event)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, from an escape in what a model wrote
        line = line.encode(errors="backslashreplace").decode()
    kind = event.name if isinstance(event, protocol.Unknown) else type(event).__name__
    row = database.execute(
        f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event.session, event.seq, event.run, event.turn, kind, event.at, line),
    ).lastrowid
    if text := _searchable(event):
        database.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (row, text))


def _searchable(event: Event) -> str:
    match event:
        case RunStarted(question=question, resumed=False):
            return question
        case Forked(question=question):
            return question
        case AnswerReady(text=text):
            return text
        case Observed(observation):
            return f"{observation.header}\n{observation.body}"
        case _:
            return ""


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


def damaged(error: sqlite3.Error) -> bool:
    """Whether an error means that the file itself cannot be read, rather than that it cannot be used just now."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error)


def explain(error: sqlite3.Error, path: Path) -> SessionError:
    """What a person is told of an error that is not damage."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return SessionError(f"the disk is full: {path} cannot grow", "Free some space, then continue the session.")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return SessionError(
                f"another process keeps {path} locked", "Try again; close other windows of this program."
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return SessionError(f"cannot write {path}: {error}", CHECK_FOLDER)
        case sqlite3.SQLITE_IOERR:
            return SessionError(f"cannot write {path}: {error}", "Check the disk: it may be full or failing.")
        case _:
            return SessionError(f"cannot use {path}: {error}", "The command `deepsearch-tui doctor` may tell more.")


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; the extended one says more than matters here."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


# ── damage ───────────────────────────────────────────────────────────────────────────────────────


class InUse:
    """A journal's word that it has the file open, given on a lock file beside it.

    A database must not be moved while another connection has it open: when that one closes, SQLite deletes the log of
    the database that has taken its place. So a damaged file is only moved by the last one who uses it. Where the system
    has no such locks (Windows), it does not let an open file be moved in the first place.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self.share()

    def share(self) -> None:
        """Let others use the file too; waits for one who is mending it just now."""
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Whether nobody else uses the file; if so, nobody begins to before :meth:`share` or :meth:`close`.

        To be asked with the database closed: the word is taken back while it waits, so that two who have found the same
        damage do not wait for each other.
        """
        if sys.platform == "win32":
            return True
        import fcntl

        fcntl.flock(self._file, fcntl.LOCK_UN)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.02)
            else:
                return True
        self.share()
        return False

    def close(self) -> None:
        os.close(self._file)


def mend(path: Path, use: InUse) -> tuple[Path | None, Database]:
    """A database that works after damage was seen, and where the damaged file went.

    It went nowhere if the file is sound after all, as it is when another process has mended it. Raises JournalCorrupt
    if others use the file.
    """
    alone = use.alone()
    try:
        with contextlib.suppress(_Unreadable):
            return None, _sound(path)
        if not alone:
            raise JournalCorrupt(
                f"the journal {path} is damaged, and another window has it open",
                "Close all windows of this program and start it again: what can be read will be kept.",
            )
        aside = set_aside(path)
        database = connect(path)
        if aside is not None:
            with database.atomic():
                _salvage(aside, database)
        return aside, database
    finally:
        use.share()


class _Unreadable(Exception):
    """The file is damaged indeed."""


def _sound(path: Path) -> Database:
    try:
        database = connect(path)
        try:
            database.execute("INSERT INTO texts (texts) VALUES ('integrity-check')")
            if database.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                return database
        except BaseException:
            database.close()
            raise
        database.close()
    except sqlite3.Error as error:
        if not damaged(error):
            raise
    raise _Unreadable


def _salvage(aside: Path, database: Database) -> None:
    """Copy what can be read into a new journal."""
    for session, title, created in _rows(aside, "SELECT id, title, created FROM sessions ORDER BY rowid"):
        _carry(database, session, title, created)
    for order in ("ASC", "DESC"):  # what lies behind a hole can only be reached from the other end
        for line, at in _rows(aside, f"SELECT data, at FROM events ORDER BY row {order}"):
            with contextlib.suppress(ProtocolError, sqlite3.IntegrityError, TypeError, AttributeError):
                event = protocol.decode_event(line)
                _carry(database, event.session, "(recovered)", at)
                with database.atomic():
                    insert(database, event)
    for session, tag in _rows(aside, "SELECT session, tag FROM tags"):
        with contextlib.suppress(sqlite3.IntegrityError):
            database.execute("INSERT OR IGNORE INTO tags (session, tag) VALUES (?, ?)", (session, tag))


def _carry(database: Database, session: str, title: str, created: float) -> None:
    database.execute("INSERT OR IGNORE INTO sessions (id, title, created) VALUES (?, ?, ?)", (session, title, created))


def _rows(path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows that can be read, up to the first that cannot. The file is only looked at."""
    if path.stat().st_size == 0:  # SQLite would clear away the log of a file that holds nothing
        return
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        yield from connection.execute(query)
    except sqlite3.Error:
        return
    finally:
        connection.close()
