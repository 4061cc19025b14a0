from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import protocol, session_search
from engine.clean import clean
from engine.errors import JournalCorrupt, SessionError, SessionMissing
from engine.protocol import AnswerReady, CallStarted, Observed, RunEnded, ThoughtDelta, Unknown
from engine.sessions import Journal
from tests.engine.story import FIRST, SECOND, WHOLE, stamped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def write(journal: Journal, events: tuple[protocol.Event, ...] = (*FIRST, *SECOND), title: str = "Keepers") -> str:
    session = journal.create(title)
    for event in stamped(events, session):
        journal.append(event)
    return session


def test_events_come_back_as_they_were_told(journal: Journal) -> None:
    session = write(journal)
    assert tuple(journal.events(session)) == stamped((*FIRST, *SECOND), session)
    assert journal.next_seq(session) == len(WHOLE) + 1


def test_they_are_there_for_the_next_process_and_for_another_one_meanwhile(journal: Journal, path: Path) -> None:
    session = write(journal)
    code = (
        "import sys, pathlib; from engine.sessions import Journal\n"
        "journal = Journal(pathlib.Path(sys.argv[1]))\n"
        "print(journal.list()[0].title, sum(1 for _ in journal.events(sys.argv[2])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), session], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Keepers", str(len(WHOLE))]
    journal.append(ThoughtDelta("on", session=session, seq=journal.next_seq(session)))


def test_a_long_session_is_read_in_pieces_and_in_order(journal: Journal) -> None:
    session = write(journal, tuple(ThoughtDelta(str(number)) for number in range(1203)))
    assert [event.text for event in journal.events(session) if isinstance(event, ThoughtDelta)] == [
        str(number) for number in range(1203)
    ]


def test_the_list_is_newest_first_and_counts_from_the_events(journal: Journal) -> None:
    finished = write(journal, FIRST, "older")
    cut = write(journal, (*FIRST, *SECOND), "newer")
    journal.create("nothing was ever asked here")
    newest, oldest = journal.list()
    assert (newest.id, newest.title, newest.questions, newest.turns, newest.unfinished) == (cut, "newer", 2, 4, True)
    assert (oldest.id, oldest.questions, oldest.turns, oldest.unfinished) == (finished, 1, 3, False)
    assert (oldest.model, oldest.library, oldest.updated) == ("tiny-instruct", "guide", WHOLE[len(FIRST) - 1].at)
    assert [each.id for each in journal.list(1)] == [cut]


def test_a_stopped_run_can_be_continued_and_says_so(journal: Journal) -> None:
    write(journal, (*FIRST, *SECOND, RunEnded("stopped", 1, 2.0, run=2)))
    assert journal.list()[0].unfinished


def test_ids_sort_by_age_and_differ_within_a_second(journal: Journal) -> None:
    ids = [journal.create("") for _ in range(30)]
    assert ids == sorted(set(ids))
    assert all(len(id) == 13 for id in ids)


def test_resolve_takes_a_unique_beginning_or_last(journal: Journal) -> None:
    first, second = write(journal), write(journal)
    assert journal.resolve("last") == second
    assert journal.resolve(first) == first
    assert journal.resolve(f" {second.upper()} ") == second
    with pytest.raises(SessionMissing) as several:
        journal.resolve(first[:9])
    assert first in several.value.hint and second in several.value.hint
    for nothing in ("", "2525", "%", "_"):
        with pytest.raises(SessionMissing):
            journal.resolve(nothing)


def test_last_of_an_empty_journal_says_what_to_do(journal: Journal) -> None:
    with pytest.raises(SessionMissing) as missing:
        journal.resolve("last")
    assert "Ask" in missing.value.hint


def test_an_unknown_session_is_an_error_everywhere(journal: Journal) -> None:
    with pytest.raises(SessionMissing):
        journal.events("nope")
    with pytest.raises(SessionMissing):
        journal.title("nope")
    with pytest.raises(SessionMissing):
        journal.rename("nope", "x")
    with pytest.raises(SessionMissing):
        journal.delete("nope")
    with pytest.raises(SessionMissing):
        journal.append(ThoughtDelta("x", session="nope", seq=1))
    with pytest.raises(SessionError):
        journal.append(ThoughtDelta("x"))


def test_rename_and_delete(journal: Journal) -> None:
    kept, gone = write(journal), write(journal)
    journal.rename(kept, "Lamps\x1b[31m and\noil")
    assert journal.title(kept) == "Lamps␛[31m and oil"
    assert [match.id for match in journal.search("lamps oil")] == [kept]
    journal.delete(gone)
    assert [session.id for session in journal.list()] == [kept]
    assert [match.id for match in journal.search("quill")] == [kept]
    assert len(tuple(journal.events(kept))) == len(WHOLE)


def test_a_second_writer_of_the_same_session_is_told(journal: Journal, path: Path) -> None:
    session = write(journal, FIRST)
    other = Journal(path)
    other.append(ThoughtDelta("theirs", session=session, seq=other.next_seq(session)))
    with pytest.raises(SessionError, match="written already"):
        journal.append(ThoughtDelta("mine", session=session, seq=len(FIRST) + 1))
    other.close()


def test_search_finds_questions_answers_and_observations_with_the_words_around(journal: Journal) -> None:
    session = write(journal)
    for words, kind in (("who first keeper?", "question"), ("was ada", "answer"), ("kept LAMP", "observation")):
        match = journal.search(words)[0]
        assert (match.id, match.kind) == (session, kind)
    assert "Ada Quill kept the lamp" in journal.search("lamp")[0].snippet
    assert journal.search("kee qui")[0].id == session, "words may be typed half"
    assert journal.search("keeper submarine") == ()
    assert journal.search(" ") == ()


def test_hits_are_marked_in_the_snippet(journal: Journal) -> None:
    write(journal)
    for words in ("lamp", "kept LAMP", "kee qui", "was ada"):
        match = journal.search(words)[0]
        hits = [match.snippet[first:last].casefold() for first, last in match.marks]
        assert hits and all(any(hit.startswith(word) for word in words.casefold().split()) for hit in hits)
    assert "\ue000" not in match.snippet and "\ue001" not in match.snippet


def test_a_hit_in_the_middle_of_a_long_text_is_in_its_snippet(journal: Journal) -> None:
    session = journal.create("long")
    text = f"{'before ' * 300}the needle{' after' * 300}"
    journal.append(AnswerReady(text, session=session, seq=1))
    (match,) = journal.search("needle")
    assert [match.snippet[first:last] for first, last in match.marks] == ["needle"]
    assert match.snippet.startswith("…") and match.snippet.endswith("…") and len(match.snippet) < 260
    assert match.marks[0][0] < 80, "the hit is where it can be seen on a narrow screen"


def test_one_session_with_a_thousand_hits_does_not_hide_another(journal: Journal) -> None:
    loud, quiet = journal.create("loud"), journal.create("quiet")
    for seq in range(1, 1001):
        journal.append(AnswerReady("lamp lamp", session=loud, seq=seq))
    journal.append(AnswerReady(f"{'oil ' * 50} lamp", session=quiet, seq=1))
    assert [match.id for match in journal.search("lamp")] == [loud, quiet]


def test_tags_are_kept_shown_and_searched_by(journal: Journal, path: Path) -> None:
    lamps, oil = write(journal), write(journal, title="Oil")
    assert journal.tag(lamps, ["#Work", "two words", "work", "", " # "]) == ("two-words", "work")
    journal.tag(oil, ["works"])
    again = Journal(path)
    assert {each.id: each.tags for each in again.list()} == {lamps: ("two-words", "work"), oil: ("works",)}
    again.close()
    assert {match.id for match in journal.search("#work")} == {lamps, oil}, "a tag may be typed half"
    assert [match.id for match in journal.search("keeper #two")] == [lamps]
    assert journal.search("#work")[0].tags in (("two-words", "work"), ("works",))
    assert journal.search("#work submarine") == () and journal.search("#nope") == ()
    assert [each.id for each in journal.list(tags=["#work", "two"])] == [lamps]
    assert journal.tag(lamps, []) == () and journal.tags(lamps) == ()
    with pytest.raises(SessionMissing):
        journal.tag("nope", ["x"])
    journal.delete(oil)
    assert journal.search("#works") == ()


def test_a_journal_from_before_there_were_tags_opens(journal: Journal, path: Path) -> None:
    session = write(journal)
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE tags")
        db.execute("PRAGMA user_version = 1")
    db.close()
    again = Journal(path)
    assert again.recovered_from is None
    assert [each.id for each in again.list()] == [session] and again.tags(session) == ()
    assert again.tag(session, ["old"]) == ("old",)
    again.close()


@given(st.lists(st.text(max_size=30), max_size=5))
def test_a_tag_is_one_word_that_finds_itself(given: list[str]) -> None:
    tags = session_search.tag_names(given)
    assert tags == session_search.tag_names(tags)
    for tag in tags:
        assert session_search.parse(f"#{tag}") == session_search.Query((), (tag,))


@given(st.text(), st.lists(st.tuples(st.integers(0, 400), st.integers(1, 9)), max_size=6))
def test_the_spans_of_a_snippet_are_inside_it(text: str, places: list[tuple[int, int]]) -> None:
    text = clean(text) * 9
    for start, length in sorted(places, reverse=True):
        begin, end = session_search.BEGIN, session_search.END
        text = f"{text[:start]}{begin}{text[start : start + length]}{end}{text[start + length :]}"
    snippet, spans = session_search.shown(text)
    assert "\n" not in snippet
    assert all(0 <= first <= last <= len(snippet) for first, last in spans)


def test_one_match_a_session(journal: Journal) -> None:
    sessions = {write(journal) for _ in range(3)}
    assert {match.id for match in journal.search("keeper")} == sessions
    assert len(journal.search("keeper")) == 3
    assert len(journal.search("keeper", limit=2)) == 2


def test_nothing_typed_into_the_search_is_an_operator(tmp_path_factory: pytest.TempPathFactory) -> None:
    journal = Journal(tmp_path_factory.mktemp("search") / "sessions.db")
    session = write(journal)
    operators = st.sampled_from(
        ["AND", "OR", "NOT", "NEAR(", ")", '"', "*", "^", "text:", "-", "+", "{", "\0", "'", "lamp"]
    )

    @given(st.lists(operators | st.text(max_size=4), max_size=6))
    def never_raises(words: list[str]) -> None:
        assert {match.id for match in journal.search(" ".join(words))} <= {session}

    never_raises()
    assert journal.search('"lamp') and journal.search("lamp*") and not journal.search("lamp OR submarine")
    journal.close()


def test_text_that_sqlite_or_utf8_would_refuse_is_kept(journal: Journal) -> None:
    session = journal.create("")
    arguments = json.loads(r'{"query": "half \ud83d pair \u0000 null"}')
    event = CallStarted("1.1", "search", arguments, session=session, seq=1)
    journal.append(event)
    assert list(journal.events(session)) == [event]


def test_events_of_a_newer_version_stay_as_they_came(journal: Journal, path: Path) -> None:
    session = journal.create("")
    event = protocol.decode_event(json.dumps({"kind": "Dreamt", "session": session, "seq": 1, "of": ["sheep"]}))
    journal.append(event)
    (told,) = journal.events(session)
    assert isinstance(told, Unknown) and told.name == "Dreamt" and told.data["of"] == ["sheep"]


def test_an_event_that_cannot_be_read_does_not_hide_the_others(journal: Journal, path: Path) -> None:
    session = write(journal, FIRST)
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET data = '{\"kind\":' WHERE seq = 4")
    db.close()
    events = tuple(journal.events(session))
    assert len(events) == len(FIRST)
    assert isinstance(events[3], Unknown) and events[3].name == "ThoughtDelta" and events[3].seq == 4


def test_many_threads_write_one_journal(journal: Journal) -> None:
    sessions = [journal.create(str(number)) for number in range(4)]
    work = [threading.Thread(target=_fill, args=(journal, session)) for session in sessions]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    for session in sessions:
        assert [event.seq for event in journal.events(session)] == list(range(1, 101))


def _fill(journal: Journal, session: str) -> None:
    for seq in range(1, 101):
        journal.append(ThoughtDelta(str(seq), session=session, seq=seq))


def test_private_by_default(journal: Journal, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


# ── damage ───────────────────────────────────────────────────────────────────────────────────────


def damage(path: Path, how: str) -> bytes:
    whole = path.read_bytes()
    cut = {
        "garbage": b"this was a journal once\n" * 500,
        "truncated": whole[: len(whole) // 2],
        "tiny": whole[:50],
        "empty": b"",
    }[how]
    path.write_bytes(cut)
    return cut


@pytest.mark.parametrize("how", ["garbage", "truncated", "tiny"])
def test_a_file_that_cannot_be_read_is_set_aside_and_a_new_one_begins(path: Path, how: str) -> None:
    old = Journal(path)
    for _ in range(40):
        write(old)
    old.close()
    left = damage(path, how)
    journal = Journal(path)
    assert journal.recovered_from is not None
    assert journal.recovered_from.name.startswith("sessions.db.corrupt-")
    assert journal.recovered_from.read_bytes() == left, "what was set aside is not touched"
    assert journal.resolve(write(journal)) == journal.list()[0].id
    journal.close()
    assert Journal(path).recovered_from is None


def test_an_empty_file_is_a_new_journal(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    journal = Journal(path)
    assert journal.recovered_from is None and journal.list() == ()
    journal.close()


def holed(path: Path) -> list[str]:
    """A journal with a hole in the middle of its events, and the sessions it had."""
    old = Journal(path)
    sessions = [write(old) for _ in range(60)]
    old.close()
    with sqlite3.connect(path) as db:
        page = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    content = bytearray(path.read_bytes())
    middle = content.index(f'"session":"{sessions[30]}"'.encode()) // page * page
    content[middle : middle + 2 * page] = b"\xff" * (2 * page)
    path.write_bytes(bytes(content))
    return sessions


def test_damage_that_shows_later_is_told_and_mended_and_both_ends_are_saved(path: Path) -> None:
    sessions = holed(path)
    journal = Journal(path)
    whole = stamped((*FIRST, *SECOND), sessions[0])
    journal.tag(sessions[0], ["kept"])
    assert journal.recovered_from is None
    with pytest.raises(JournalCorrupt) as told:
        for session in sessions:
            tuple(journal.events(session))
    assert journal.recovered_from is not None and str(journal.recovered_from) in str(told.value)
    assert "Try again" in told.value.hint
    assert tuple(journal.events(sessions[0])) == whole
    assert len(tuple(journal.events(sessions[-1]))) == len(whole)
    assert journal.search("quill")
    assert journal.tags(sessions[0]) == ("kept",)
    journal.close()


def test_a_damaged_journal_is_not_moved_from_under_another_window(path: Path) -> None:
    sessions = holed(path)
    first, second = Journal(path), Journal(path)
    with pytest.raises(JournalCorrupt, match="another window") as told:
        for session in sessions:
            tuple(first.events(session))
    assert "Close" in told.value.hint and first.recovered_from is None
    assert list(path.parent.glob("*corrupt*")) == []
    second.close()
    with pytest.raises(JournalCorrupt, match="set aside"):
        for session in sessions:
            tuple(first.events(session))
    assert tuple(second.events(sessions[0])) == tuple(first.events(sessions[0]))
    assert second.recovered_from is None
    first.close()
    second.close()


@pytest.mark.fault
def test_two_processes_may_find_the_same_damage(path: Path) -> None:
    old = Journal(path)
    write(old)
    old.close()
    damage(path, "garbage")
    told = open_twice(path)
    assert len(list(path.parent.glob("*.corrupt-*[0-9]"))) == 1
    assert sorted(line == "None" for line in told) == [False, True]


def test_a_journal_of_a_newer_version_is_left_alone(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SessionError, match="newer"):
        Journal(path)
    assert list(path.parent.glob("*corrupt*")) == []


def test_a_place_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "sessions.db", tmp_path / "folder"):
        with pytest.raises(SessionError) as refused:
            Journal(place)
        assert refused.value.hint
    assert (tmp_path / "file").read_text() == "not a folder"


# ── faults ───────────────────────────────────────────────────────────────────────────────────────

_WRITER = """
import sys
from pathlib import Path
from engine.protocol import ThoughtDelta
from engine.sessions import Journal
journal = Journal(Path(sys.argv[1]))
session = journal.create("killed")
print(session, flush=True)
seq = 0
while True:
    seq += 1
    journal.append(ThoughtDelta("x" * (seq % 3000), session=session, seq=seq))
    print(seq, flush=True)
"""


@pytest.mark.fault
@pytest.mark.parametrize("acknowledged", [1, 40, 700])
def test_every_acknowledged_event_survives_a_kill(path: Path, acknowledged: int) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        session = writer.stdout.readline().strip()
        for _ in range(acknowledged):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        last = int((writer.stdout.read().split() or [str(acknowledged)])[-1])
    journal = Journal(path)
    assert journal.recovered_from is None
    kept = list(journal.events(session))
    assert [event.seq for event in kept] == list(range(1, len(kept) + 1))
    assert len(kept) in (last, last + 1), "at most the event being written is in doubt"
    journal.append(ThoughtDelta("on", session=session, seq=journal.next_seq(session)))
    journal.close()


_FULL = """
import resource, sys
from pathlib import Path
from engine.errors import SessionError
from engine.protocol import ThoughtDelta
from engine.sessions import Journal
journal = Journal(Path(sys.argv[1]))
session = journal.create("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
seq = 0
try:
    while True:
        journal.append(ThoughtDelta("x" * 1000, session=session, seq=seq + 1))
        seq += 1
except SessionError as error:
    print(session, seq, type(error).__name__, bool(error.hint))
"""


@pytest.mark.fault
def test_a_full_disk_is_an_error_and_what_was_written_stays(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True)
    session, written, error, hint = done.stdout.split()
    assert (error, hint) == ("SessionError", "True") and int(written) > 50
    journal = Journal(path)
    assert len(list(journal.events(session))) == int(written)
    journal.close()


@pytest.mark.fault
def test_two_processes_may_begin_at_once(path: Path) -> None:
    assert open_twice(path) == ["None", "None"]


def open_twice(path: Path) -> list[str]:
    """Open and write the journal in two processes at the same moment; where each of them says it recovered from."""
    code = (
        "import sys, pathlib; from engine.sessions import Journal; import sqlite_utils\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "journal = Journal(pathlib.Path(sys.argv[1])); journal.create('x'); print(journal.recovered_from)"
    )
    command = [sys.executable, "-c", code, str(path)]
    pair = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in pair:
        assert process.stdout is not None
        process.stdout.readline()
    for process in pair:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60) for process in pair]
    assert [errors for _, errors in outcomes] == ["", ""]
    return [out.strip() for out, _ in outcomes]


def test_answers_are_found_whatever_run_they_are_in(journal: Journal) -> None:
    session = write(journal, (*FIRST, replace(FIRST[0], question="More", run=2), AnswerReady("Basalt.", run=2)))
    assert journal.search("basalt")[0].id == session
    assert sum(isinstance(event, Observed) for event in journal.events(session)) == 3
