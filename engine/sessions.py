"""The journal: every session as its events, in one SQLite file.

An event is in the file when :meth:`Journal.append` returns, so a killed process loses at most the event it was writing.
What a list of sessions shows is read from the events too: there are no counters that could disagree with them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine import journal_file, protocol, replay, session_search
from engine.clean import clean, clean_line
from engine.errors import JournalCorrupt, ProtocolError, SessionError, SessionMissing
from engine.protocol import Event, RunStarted, Unknown

if TYPE_CHECKING:
    from sqlite_utils import Database

_LETTERS = "bcdfghjkmnpqrstvwxz"
"""Letters of a session id: none that is taken for another, no vowels and so no words. Four of them count a day's seconds."""

_BATCH = 500
"""Events read at a time, so that a long session neither fills the memory nor keeps writers waiting."""

_AROUND = 24
"""Words of a snippet."""


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
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionMatch:
    """The best place of one session for a search. ``seq`` is the event it is in, 0 for the title.

    ``marks`` are the spans of characters in the snippet where the words stand.
    """

    id: str
    title: str
    seq: int
    kind: Literal["title", "question", "answer", "observation"]
    snippet: str
    at: float
    marks: tuple[tuple[int, int], ...] = ()
    tags: tuple[str, ...] = ()


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

    def tag(self, session: str, tags: Iterable[str]) -> tuple[str, ...]:
        """Give a session these tags, in place of those it had; returns them as they are kept. Raises SessionMissing."""
        self.title(session)
        kept = session_search.tag_names(tags)
        with self._use() as db, db.atomic():
            db.execute("DELETE FROM tags WHERE session = ?", (session,))
            for tag in kept:
                db.execute("INSERT INTO tags (session, tag) VALUES (?, ?)", (session, tag))
        return kept

    def delete(self, session: str) -> None:
        """Delete a session and all its events. Raises SessionMissing."""
        with self._use() as db, db.atomic():
            db.execute("DELETE FROM tags WHERE session = ?", (session,))
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

    def tags(self, session: str) -> tuple[str, ...]:
        """A session's tags, in order."""
        with self._use() as db:
            return _tags(db, session)

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

    def list(self, limit: int = 100, tags: Iterable[str] = ()) -> tuple[SessionSummary, ...]:
        """The sessions in which anything was asked, the last used first; all of them where ``limit`` is negative.

        With ``tags``, only those that have a tag beginning with each of them.
        """
        having, values = _having(tags)
        with self._use() as db:
            sessions = db.execute(
                "SELECT id, title, created, (SELECT at FROM events WHERE session = id ORDER BY seq DESC LIMIT 1) AS updated"
                f" FROM sessions WHERE updated IS NOT NULL{having} ORDER BY updated DESC, id DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
            return tuple(_summary(db, *session) for session in sessions)

    def summary(self, session: str) -> SessionSummary | None:
        """One session as it would be listed; None where nothing was asked in it."""
        with self._use() as db:
            row = db.execute(
                "SELECT id, title, created, (SELECT max(at) FROM events WHERE session = id) FROM sessions WHERE id = ?",
                (session,),
            ).fetchone()
            return _summary(db, *row) if row is not None and row[3] is not None else None

    def search(self, text: str, limit: int = 20) -> tuple[SessionMatch, ...]:
        """The sessions in whose title, questions, answers or observations all words of ``text`` occur, best first.

        Words may be the beginnings of longer ones, so that a search can be typed letter by letter. A word ``#tag``
        leaves only the sessions that have such a tag. Nothing else in ``text`` is an operator.
        """
        query = session_search.parse(text)
        if not query.words and not query.tags:
            return ()
        having, values = _having(query.tags)
        terms = " ".join(f'"{word}"*' for word in query.words)
        with self._use() as db:
            titles = db.execute(
                f"SELECT id, title, created FROM sessions WHERE true{having} ORDER BY created DESC", values
            ).fetchall()
            best = (
                db.execute(  # the inner LIMIT keeps SQLite from merging the two queries, in which there is no rank
                    "SELECT place, id, title, min(score) AS score FROM (SELECT e.row AS place, s.id AS id, s.title AS title,"
                    " texts.rank AS score FROM texts JOIN events e ON e.row = texts.rowid JOIN sessions s ON s.id = e.session"
                    f" WHERE texts MATCH ?{having} LIMIT -1) GROUP BY id ORDER BY score LIMIT ?",
                    (terms, *values, limit),
                ).fetchall()
                if terms
                else []
            )
            matches = {id: _match(db, place, id, title, terms) for place, id, title, _ in best}
            for id, title, created in titles:
                if id not in matches and len(matches) < limit and all(word in title.casefold() for word in query.words):
                    marks = _marks(title, query.words)
                    matches[id] = SessionMatch(id, title, 0, "title", title, created, marks, _tags(db, id))
        return tuple(matches.values())

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
        tags=_tags(db, id),
    )


def _tags(db: Database, session: str) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in db.execute("SELECT tag FROM tags WHERE session = ? ORDER BY tag", (session,)))


def _having(tags: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """What asks for all of these tags, in a query of ``sessions``, and its values."""
    names = session_search.tag_names(tags)
    one = " AND id IN (SELECT session FROM tags WHERE substr(tag, 1, length(?)) = ?)"
    return one * len(names), tuple(name for name in names for _ in range(2))


def _match(db: Database, place: int, session: str, title: str, terms: str) -> SessionMatch:
    snippet, seq, kind, at = db.execute(
        f"SELECT snippet(texts, 0, '{session_search.BEGIN}', '{session_search.END}', '…', {_AROUND}), e.seq, e.kind, e.at"
        " FROM texts JOIN events e ON e.row = texts.rowid WHERE texts MATCH ? AND texts.rowid = ?",
        (terms, place),
    ).fetchone()
    text, marks = session_search.shown(snippet)
    return SessionMatch(session, title, seq, _KINDS[kind], clean(text), at, marks, _tags(db, session))


def _marks(title: str, words: Iterable[str]) -> tuple[tuple[int, int], ...]:
    low = title.casefold()
    if len(low) != len(title):  # a letter that is two when folded: no place can be told
        return ()
    return tuple(sorted((low.index(word), low.index(word) + len(word)) for word in words))


def _understood(data: str) -> Event:
    try:
        return protocol.decode_event(data)
    except ProtocolError:
        return Unknown("")
