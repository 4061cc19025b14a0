"""The journal: every session as its events, in one SQLite file.

An event is in the file when :meth:`Journal.append` returns, so a killed process loses at most the event it was writing.
What a list of sessions shows is read from the events too: there are no counters that could disagree with them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine import journal_file, protocol, replay
from engine.clean import clean, clean_line
from engine.errors import JournalCorrupt, ProtocolError, SessionError, SessionMissing
from engine.protocol import Event, RunStarted, Unknown

if TYPE_CHECKING:
    from sqlite_utils import Database

_LETTERS = "bcdfghjkmnpqrstvwxz"
"""Letters of a session id: none that is taken for another, no vowels and so no words. Four of them count a day's seconds."""

_BATCH = 500
"""Events read at a time, so that a long session neither fills the memory nor keeps writers waiting."""

_MATCHES = 500
"""The most places looked at in one search."""


@dataclass(frozen=True)
class SessionSummary:
    """A session in a list. Times are Unix seconds. ``unfinished``: its last run can be continued."""

    id: str
    title: str
    created: float
    updated: float
    questions: int
    turns: int
    unfinished: bool
    model: str
    library: str


@dataclass(frozen=True)
class SessionMatch:
    """The best place of one session for a search. ``seq`` is the event it is in, 0 for the title."""

    id: str
    title: str
    seq: int
    kind: Literal["title", "question", "answer", "observation"]
    snippet: str
    at: float


_KINDS: dict[str, Literal["question", "answer", "observation"]] = {
    "RunStarted": "question",
    "AnswerReady": "answer",
    "Observed": "observation",
    "Forked": "question",
}


class Journal:
    """The sessions in one file. Safe to use from several threads; other processes may read and write it meanwhile.

    A file that cannot be read is set aside, never deleted: ``recovered_from`` is where it went, and what could be read
    of it is in the new one. That is done when the journal is opened, and where damage shows only later, at once, with
    JournalCorrupt raised to say so. Every method raises SessionError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.recovered_from: Path | None = None
        self._path = path
        self._lock = threading.RLock()
        self._database: Database | None = None
        self._in_use: journal_file.InUse | None = None
        try:
            with self._use():
                pass  # trouble with the file shows now, not in the middle of a run
        except BaseException:
            self.close()
            raise

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def create(self, title: str) -> str:
        """Begin a session. Its id is the day and four letters for the time of day: ids sort by age and can be typed."""
        now = datetime.now().astimezone()
        second = now.hour * 3600 + now.minute * 60 + now.second
        with self._use() as db:
            while True:
                id = f"{now:%Y%m%d}-{_letters(second)}"
                made = db.execute(
                    "INSERT OR IGNORE INTO sessions (id, title, created) VALUES (?, ?, ?)",
                    (id, clean_line(title, 120), now.timestamp()),
                )
                if made.rowcount == 1:
                    return id
                second += 1

    def append(self, event: Event) -> None:
        """Write one event, stamped by the caller with ``session`` and ``seq``. Written means it survives a kill."""
        if not event.session:
            raise SessionError(f"a {type(event).__name__} event outside any session cannot be kept")
        with self._use() as db:
            try:
                with db.atomic():
                    journal_file.insert(db, event)
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY":
                    raise _missing(event.session) from error
                raise SessionError(
                    f"event {event.seq} of session {event.session} is written already",
                    "Another window has gone on with this session. Continue it in one of them.",
                ) from error

    def append_all(self, events: Sequence[Event]) -> None:
        """Write many events at once: a kill leaves all of them or none."""
        with self._use() as db, db.atomic():
            for event in events:
                journal_file.insert(db, event)

    def rename(self, session: str, title: str) -> None:
        """Give a session another title. Raises SessionMissing."""
        with self._use() as db:
            if (
                db.execute("UPDATE sessions SET title = ? WHERE id = ?", (clean_line(title, 120), session)).rowcount
                == 0
            ):
                raise _missing(session)

    def delete(self, session: str) -> None:
        """Delete a session and all its events. Raises SessionMissing."""
        with self._use() as db, db.atomic():
            db.execute("DELETE FROM texts WHERE rowid IN (SELECT row FROM events WHERE session = ?)", (session,))
            db.execute("DELETE FROM events WHERE session = ?", (session,))
            if db.execute("DELETE FROM sessions WHERE id = ?", (session,)).rowcount == 0:
                raise _missing(session)

    def close(self) -> None:
        """Close the file. It opens again when it is needed."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
            if self._in_use is not None:
                self._in_use.close()
                self._in_use = None

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def title(self, session: str) -> str:
        """A session's title. Raises SessionMissing."""
        with self._use() as db:
            row = db.execute("SELECT title FROM sessions WHERE id = ?", (session,)).fetchone()
        if row is None:
            raise _missing(session)
        return str(row[0])

    def next_seq(self, session: str) -> int:
        """The ``seq`` of the next event. The first is 1."""
        with self._use() as db:
            row = db.execute("SELECT coalesce(max(seq), 0) + 1 FROM events WHERE session = ?", (session,)).fetchone()
        return int(row[0])

    def events(self, session: str, after: int = -1) -> Iterator[Event]:
        """The events of a session in order, from behind ``seq`` ``after`` on. One that cannot be understood comes as
        Unknown. Raises SessionMissing.
        """
        self.title(session)
        return self._events(session, after)

    def list(self, limit: int = 100) -> tuple[SessionSummary, ...]:
        """The sessions in which anything was asked, the last used first; all of them where ``limit`` is negative."""
        with self._use() as db:
            sessions = db.execute(
                "SELECT id, title, created, (SELECT at FROM events WHERE session = id ORDER BY seq DESC LIMIT 1) AS updated"
                " FROM sessions WHERE updated IS NOT NULL ORDER BY updated DESC, id DESC LIMIT ?",
                (limit,),
            ).fetchall()
            return tuple(_summary(db, *session) for session in sessions)

    def search(self, text: str, limit: int = 20) -> tuple[SessionMatch, ...]:
        """The sessions in whose title, questions, answers or observations all words of ``text`` occur, best first.

        Words may be the beginnings of longer ones, so that a search can be typed letter by letter. Nothing in ``text``
        is an operator.
        """
        words = clean(text).replace('"', " ").casefold().split()
        if not words:
            return ()
        with self._use() as db:
            titles = db.execute("SELECT id, title, created FROM sessions ORDER BY created DESC").fetchall()
            found = db.execute(
                "SELECT e.session, s.title, e.seq, e.kind, snippet(texts, 0, '', '', '…', 16), e.at FROM texts"
                " JOIN events e ON e.row = texts.rowid JOIN sessions s ON s.id = e.session"
                " WHERE texts MATCH ? ORDER BY texts.rank LIMIT ?",
                (" ".join(f'"{word}"*' for word in words), _MATCHES),
            ).fetchall()
        matches: dict[str, SessionMatch] = {}
        for session, title, seq, kind, snippet, at in found:
            matches.setdefault(session, SessionMatch(session, title, seq, _KINDS[kind], clean_line(snippet), at))
        for session, title, created in titles:
            if all(word in title.casefold() for word in words):
                matches.setdefault(session, SessionMatch(session, title, 0, "title", title, created))
        return tuple(matches.values())[:limit]

    def resolve(self, prefix: str) -> str:
        """The id that a person means: ``last``, an id, or the beginning of just one. Raises SessionMissing."""
        prefix = clean_line(prefix).lower()
        if prefix == "last":
            newest = self.list(1)
            if not newest:
                raise SessionMissing("there is no session yet", "Ask a question first.")
            return newest[0].id
        with self._use() as db:
            rows = db.execute(
                "SELECT id FROM sessions WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id DESC", (prefix,)
            )
            ids = [str(row[0]) for row in rows]
        if prefix in ids:
            return prefix
        if not prefix or not ids:
            raise _missing(prefix)
        if len(ids) > 1:
            raise SessionMissing(f"{len(ids)} sessions begin with {prefix}", f"Type more of it: {', '.join(ids[:5])}.")
        return ids[0]

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    def _events(self, session: str, last: int) -> Iterator[Event]:
        while True:
            with self._use() as db:
                rows = db.execute(
                    "SELECT seq, run, turn, kind, at, data FROM events WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?",
                    (session, last, _BATCH),
                ).fetchall()
            if not rows:
                return
            for seq, run, turn, kind, at, data in rows:
                event = _understood(data)
                if isinstance(event, Unknown) and not event.name:
                    event = Unknown(kind, {"damaged": clean(data)}, session=session, run=run, turn=turn, seq=seq, at=at)
                yield event
            last = rows[-1][0]

    @contextmanager
    def _use(self) -> Iterator[Database]:
        """The database, from one thread at a time, with SQLite's errors as ours."""
        with self._lock:
            try:
                if self._database is None:
                    self._database = self._open()
                yield self._database
            except sqlite3.Error as error:
                raise self._told(error) from error
            except OSError as error:
                raise SessionError(f"cannot use {self._path}: {error.strerror}", journal_file.CHECK_FOLDER) from error

    def _open(self) -> Database:
        if self._in_use is None:
            self._in_use = journal_file.InUse(self._path)
        try:
            return journal_file.connect(self._path)
        except sqlite3.Error as error:
            if not journal_file.damaged(error):
                raise
            return self._mend(self._in_use)

    def _mend(self, in_use: journal_file.InUse) -> Database:
        aside, database = journal_file.mend(self._path, in_use)
        self.recovered_from = aside or self.recovered_from
        return database

    def _told(self, error: sqlite3.Error) -> SessionError:
        """What to raise for an error of SQLite. Damage is mended first, so that the next call works."""
        if not journal_file.damaged(error) or self._database is None or self._in_use is None:
            return journal_file.explain(error, self._path)
        self._database.close()
        self._database = None
        try:
            self._database = self._mend(self._in_use)
        except JournalCorrupt as corrupt:
            return corrupt
        except (sqlite3.Error, OSError) as again:
            return JournalCorrupt(
                f"the journal {self._path} is damaged: {error}", f"It could not be set aside: {again}"
            )
        where = f" and has been set aside as {self.recovered_from}" if self.recovered_from else ""
        return JournalCorrupt(
            f"the journal was damaged{where}", "What could be read of it is in a new journal. Try again."
        )


def _missing(session: str) -> SessionMissing:
    return SessionMissing(f"there is no session {clean_line(session, 60)!r}", "See: deepsearch-tui sessions list")


def _letters(second: int) -> str:
    """``second`` as four letters that sort as the numbers do."""
    letters = ""
    for _ in range(4):
        second, letter = divmod(second, len(_LETTERS))
        letters = _LETTERS[letter] + letters
    return letters


def _summary(db: Database, id: str, title: str, created: float, updated: float) -> SessionSummary:
    landmarks = db.execute(
        f"SELECT kind, row FROM events WHERE session = ? AND kind IN {journal_file.LANDMARKS} ORDER BY seq", (id,)
    ).fetchall()
    told = [
        _understood(db.execute("SELECT data FROM events WHERE row = ?", (row,)).fetchone()[0])
        for kind, row in landmarks
        if kind != "TurnEnded"
    ]
    starts = [event for event in told if isinstance(event, RunStarted)]
    return SessionSummary(
        id=id,
        title=title,
        created=created,
        updated=updated,
        questions=len({event.run for event in starts}),
        turns=sum(kind == "TurnEnded" for kind, _ in landmarks),
        unfinished=replay.past_of(told).unfinished,
        model=starts[-1].model.name if starts else "",
        library=starts[-1].library if starts else "",
    )


def _understood(data: str) -> Event:
    try:
        return protocol.decode_event(data)
    except ProtocolError:
        return Unknown("")
