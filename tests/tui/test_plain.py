"""The front end without a screen: what goes to stdout, what to stderr, and with which exit code it ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from engine.protocol import (
    AnswerReady,
    Ask,
    CancelIndex,
    CitationChecked,
    Command,
    Decided,
    Decision,
    EngineReady,
    EngineStopped,
    Event,
    EvidenceChosen,
    Failed,
    FileFailure,
    Hit,
    IndexEnded,
    IndexPaths,
    IndexProgress,
    LibraryOpened,
    Observed,
    RunEnded,
    Search,
    SearchResults,
    State,
    Unknown,
    decode_event,
    encode,
)
from tests.tui import fakes
from tui import plain
from tui.fold import fold_all
from tui.plain import Conversation

INDEXED = fakes.INDEXED
NO_MODEL = Failed("ModelMissing", "There is no model file.", "Install the starter model.")


@dataclass
class Played:
    """A door that answers any command with events recorded beforehand; what warms up is told when it opens."""

    receive: Callable[[Event], None]
    events: Sequence[Event]
    warming: Sequence[Event] = ()
    commands: list[Command] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        for event in self.warming:
            self.receive(event)

    def send(self, command: Command) -> None:
        self.commands.append(command)
        for event in self.events:
            self.receive(event)

    def close(self) -> None:
        self.closed = True


class Talk:
    """A conversation over a played door, and what it wrote."""

    def __init__(self, events: Sequence[Event], *, warming: Sequence[Event] = (), json: bool = False) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        self.conversation = Conversation(
            lambda receive: Played(receive, events, warming), out=self._out, err=self._err, json=json
        )

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def err(self) -> str:
        return self._err.getvalue()


def ask(events: Sequence[Event], **options: bool) -> tuple[int, Talk]:
    talk = Talk(events, warming=fakes.READY, **options)
    return talk.conversation.ask(Ask(fakes.QUESTION)), talk


# ── ask ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_answer_and_its_checked_citations_go_to_stdout() -> None:
    code, talk = ask(fakes.RUN)
    assert code == plain.OK
    answer, *citations = talk.out.split("\n\n✓ ", 1)
    assert answer.strip() == fakes.ANSWER.strip()
    assert citations[0].splitlines()[0] == "verified  [1:L8-L10] docs/masking.md L8-L10"
    assert "\n~ weak  [3:L6-L7] docs/keys.md L6-L7\n" in talk.out
    for citation in fakes.CITATIONS:
        for line in citation.quote.splitlines():
            assert f"    │ {line}\n" in talk.out


def test_turns_and_masking_decisions_go_to_stderr() -> None:
    _, talk = ask(fakes.RUN)
    assert [line for line in talk.err.splitlines() if line.startswith("turn ")] == [f"turn {n}" for n in range(1, 8)]
    lines = talk.err.splitlines()
    masked = [(lines[place], lines[place + 1]) for place, line in enumerate(lines) if line.startswith("  masked  ")]
    assert masked == [
        (f"  masked  {fakes.OBSERVATIONS[number - 1].header}", f"          {sizes} tokens, older than 2 turns")
        for number, sizes in ((1, "1922 → 18"), (2, "2333 → 22"), (5, "431 → 19"))
    ]
    assert "  call  open(cursor=1, line=12)" in lines
    assert f"  read  {fakes.OBSERVATIONS[1].header}  (2311 tokens)" in lines
    assert "  sees  2 live, 1 pinned, 1 kept, 3 masked" in lines
    assert "ended  answered after 7 turns, 58.0 s" in lines
    assert "masked" not in talk.out


def test_the_demo_shows_its_turns_where_a_person_looks() -> None:
    talk = Talk(fakes.RUN)
    assert talk.conversation.ask(Ask("?"), turns=talk.conversation.out) == plain.OK
    assert talk.err == ""
    assert talk.out.index("  masked  ") < talk.out.index("its body is taken out")


def test_masking_what_was_pinned_is_told_and_told_once() -> None:
    stamp = {"session": fakes.SESSION, "run": 1}
    states: tuple[State, ...] = ("pinned", "masked", "masked")
    events = [fakes.RUN[0], Observed(fakes.OBSERVATIONS[0], turn=1, **stamp)]
    events += [Decided((Decision(1, state, "by you"),), turn=2 + place, **stamp) for place, state in enumerate(states)]
    _, talk = ask([*events, RunEnded("stopped", 3, 9.0, **stamp)])
    assert talk.err.count("  masked  ") == 1
    assert "1922 → 18 tokens, by you" in talk.err


@pytest.mark.parametrize(("window", "said"), [(0, "off"), (1, "the last turn stays"), (4, "the last 4 turns stay")])
def test_the_masking_in_force_is_said(window: int, said: str) -> None:
    events = [decode_event(encode(event).replace('"window":2', f'"window":{window}')) for event in fakes.RUN]
    assert f"\nmasking  {said}\n" in ask(events)[1].err


def test_json_is_every_event_on_a_line_and_nothing_else() -> None:
    strange = Unknown(name="Sparkled", data={"stars": 3, "session": fakes.SESSION}, session=fakes.SESSION)
    told = (*fakes.READY, fakes.RUN[0], strange, *fakes.RUN[1:])
    code, talk = ask((fakes.RUN[0], strange, *fakes.RUN[1:]), json=True)
    assert code == plain.OK
    again = [decode_event(line) for line in talk.out.splitlines()]
    assert [type(event) for event in again] == [type(event) for event in told]
    assert fold_all(again).run == fold_all(told).run
    assert talk.err == ""


def test_an_answer_the_documents_do_not_give_has_its_own_exit_code() -> None:
    end = {AnswerReady: AnswerReady("The documents do not tell.", told=False), RunEnded: RunEnded("not_told", 7, 58.0)}
    stamp = {"session": fakes.SESSION, "run": 1, "turn": 7}
    events = [
        decode_event(encode(end[type(event)]).replace('"session":"","run":0,"turn":0', _json_stamp(stamp)))
        if type(event) in end
        else event
        for event in fakes.RUN
        if not isinstance(event, CitationChecked | EvidenceChosen)
    ]
    code, talk = ask(events)
    assert (code, talk.out) == (plain.NOT_TOLD, "The documents do not tell.\n")


def _json_stamp(stamp: dict[str, object]) -> str:
    return f'"session":"{stamp["session"]}","run":{stamp["run"]},"turn":{stamp["turn"]}'


@pytest.mark.parametrize(("why", "code"), [("stopped", plain.INTERRUPTED), ("failed", plain.ERROR)])
def test_a_run_that_was_cut_short_gives_no_answer(why: str, code: int) -> None:
    cut = [
        *fakes.RUNNING,
        decode_event(f'{{"kind":"RunEnded","session":"{fakes.SESSION}","why":"{why}","turns":5,"seconds":9}}'),
    ]
    said, talk = ask(cut)
    assert (said, talk.out) == (code, "")


def test_what_stops_a_question_is_said_with_what_helps() -> None:
    code, talk = ask([NO_MODEL])
    assert (code, talk.out) == (plain.ERROR, "")
    assert talk.err.endswith("error: There is no model file.\nhint: Install the starter model.\n")


def test_an_engine_that_dies_ends_the_question() -> None:
    code, talk = ask([*fakes.RUNNING, EngineStopped("the engine process was ended by SIGSEGV", restarting=True)])
    assert code == plain.ERROR
    assert "error: the engine process was ended by SIGSEGV\nhint: Every finished turn is in the journal.\n" in talk.err


def test_a_failure_inside_the_run_is_told_and_the_run_goes_on() -> None:
    inside = Failed("GenerationFailed", "Decoding failed.", session=fakes.SESSION, run=1, turn=6)
    code, talk = ask([*fakes.RUNNING, inside, *fakes.RUN[len(fakes.RUNNING) :]])
    assert code == plain.OK
    assert "failed  Decoding failed." in talk.err


# ── index ────────────────────────────────────────────────────────────────────────────────────────

HOLED = IndexEnded("default", 1, 2, 3, 4, {"binary": 5}, (FileFailure("/a.txt", "cannot be read", "Mend it."),), 9, 1.5)
CANCELLED = IndexEnded("default", 1, 0, 0, 0, {}, (), 9, 1.5, cancelled=True)


@pytest.mark.parametrize(
    ("ended", "code"), [(INDEXED, plain.OK), (HOLED, plain.SOME_FAILED), (CANCELLED, plain.INTERRUPTED)]
)
def test_indexing_ends_with_a_code_for_what_happened(ended: IndexEnded, code: int) -> None:
    assert Talk([ended]).conversation.index(IndexPaths(("/a",))) == code


def test_indexing_reports_on_stdout_and_its_progress_on_stderr() -> None:
    found = {"files": 310, "chunks": 5000, "embedded": 1400}
    talk = Talk([IndexProgress("default", "embed", 1200, 4800, eta=41.6, speed=28.7, **found), HOLED])
    talk.conversation.index(IndexPaths(("/a",)))
    assert talk.err == (
        "embedding chunks: 1,200 of 4,800, 29 chunks/s, about 42 s left;"
        " found by words: 5,000 chunks of 310 files, by meaning too: 1,400\n"
    )
    assert talk.out.splitlines() == [
        "default: 1 added, 2 changed, 3 unchanged, 4 removed; 9 chunks, 0 with vectors, 1.5 s",
        "skipped 5: binary",
        "failed /a.txt: cannot be read — Mend it.",
    ]


def test_watching_reports_every_round_and_ends_well_when_it_is_cancelled() -> None:
    rounds = [replace(HOLED, watching=True), replace(INDEXED, watching=True), CANCELLED]
    talk = Talk(rounds)
    assert talk.conversation.index(IndexPaths(("/a",), watch=True)) == plain.OK
    assert talk.out.count("watching; ctrl+c ends it") == 2 and talk.out.count(" added, ") == 3
    assert Talk([replace(HOLED, watching=True), DAMAGED]).conversation.index(IndexPaths((), watch=True)) == plain.ERROR


DAMAGED = Failed("LibraryCorrupt", "The index cannot be used.", "Rebuild it.")


@pytest.mark.parametrize(
    ("command", "warming"),
    [
        (IndexPaths(("/a",)), NO_MODEL),
        (IndexPaths((), rebuild=True), DAMAGED),
        (IndexPaths(("/a",)), Failed("JournalCorrupt", "The journal was set aside.")),
    ],
    ids=["index without a model", "rebuild what is damaged", "index beside a damaged journal"],
)
def test_trouble_that_is_not_its_own_does_not_end_indexing(command: IndexPaths, warming: Failed) -> None:
    talk = Talk([INDEXED], warming=[warming])
    assert talk.conversation.index(command) == plain.OK
    assert (talk.err, talk.out.startswith("default: 9 added")) == ("", True)


@pytest.mark.parametrize("failed", [DAMAGED, Failed("Busy", "Indexing is under way.", "Wait.")])
def test_trouble_of_its_own_ends_indexing(failed: Failed) -> None:
    talk = Talk([failed])
    assert talk.conversation.index(IndexPaths(("/a",))) == plain.ERROR
    assert talk.err == f"error: {failed.message}\nhint: {failed.hint}\n"


# ── search ───────────────────────────────────────────────────────────────────────────────────────

HIT = Hit(
    "/docs/keys.md",
    "Keys",
    "Keys > Marks",
    6,
    7,
    "m  mask\np  pin:\n  it stays live",
    0.03,
    text_rank=2,
    text_score=4.25,
)
NAMED = Hit(
    "/a.md", "A", "", 1, 1, "Pin it.", 0.02, vector_rank=3, similarity=0.456, exact_rank=1, path="a.md", chunks=2
)


def test_hits_are_ranked_with_the_score_of_each_part_and_the_lines_that_show_why() -> None:
    talk = Talk([SearchResults("pin", (HIT, NAMED), 0.1)])
    assert talk.conversation.search(Search("pin")) == plain.OK
    assert talk.out.splitlines() == [
        "1. /docs/keys.md:6-7  Keys > Marks",
        "   0.030 = text #2 4.2 · meaning -",
        "   L6: m mask p pin: it stays live",
        "",
        "2. /a.md:1-1  A",
        "   0.020 = text - · meaning #3 0.46 · as written #1",
        "   L1: Pin it.",
        "",
    ]


def test_a_reranker_s_score_is_a_part_of_its_own() -> None:
    hits = (replace(HIT, rerank=-0.5), replace(NAMED, rerank=0.0))
    shown, told = Talk([SearchResults("pin", hits, 0.1)]), Talk([SearchResults("pin", hits, 0.1)], json=True)
    assert shown.conversation.search(Search("pin")) == told.conversation.search(Search("pin")) == plain.OK
    assert (
        "   0.030 = text #2 4.2 · meaning - · rerank -0.50\n" in shown.out
        and "as written #1 · rerank 0.00" in shown.out
    )
    assert [json.loads(line)["rerank"] for line in told.out.splitlines()] == [-0.5, 0.0]


def test_as_json_it_is_one_hit_a_line_and_nothing_else() -> None:
    warming = [EngineReady(protocol=1, version="0", pid=1), LibraryOpened("default", 0, 0, 0)]
    talk = Talk([SearchResults("pin", (HIT, NAMED), 0.1)], warming=warming, json=True)
    assert talk.conversation.search(Search("pin")) == plain.OK
    first, second = map(json.loads, talk.out.splitlines())
    assert {"place": 1, "uri": "/docs/keys.md", "first": 6, "text_rank": 2, "text_score": 4.25}.items() <= first.items()
    assert first["text"] == HIT.text and first["snippet_line"] == 6
    assert (second["place"], second["path"], second["exact_rank"], second["similarity"]) == (2, "a.md", 1, 0.456)


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_found_is_said_with_what_to_try_and_has_its_own_exit_code(as_json: bool) -> None:
    talk = Talk([SearchResults("pin", (), 0.1, "Try other words.")], json=as_json)
    assert talk.conversation.search(Search("pin")) == plain.NOT_TOLD
    assert (talk.out, talk.err) == ("", "Nothing was found.\nhint: Try other words.\n")


def test_a_filter_that_cannot_hold_is_a_bad_command_line() -> None:
    talk = Talk([Failed("FilterError", "There is no type 'x'.", "There are: html.")])
    assert talk.conversation.search(Search("pin", types=("x",))) == plain.USAGE
    assert talk.err == "error: There is no type 'x'.\nhint: There are: html.\n"


def test_a_search_needs_no_model() -> None:
    talk = Talk([SearchResults("pin", (HIT,), 0.1)], warming=[NO_MODEL])
    assert (talk.conversation.search(Search("pin")), talk.err) == (plain.OK, "")


def test_a_search_in_a_damaged_library_fails() -> None:
    talk = Talk([DAMAGED])
    assert talk.conversation.search(Search("pin")) == plain.ERROR
    assert talk.err == "error: The index cannot be used.\nhint: Rebuild it.\n"


def test_as_json_a_failure_is_an_event_on_stdout_and_words_on_stderr() -> None:
    opened = LibraryOpened("default", 0, 0, 0)
    talk = Talk([DAMAGED], warming=[EngineReady(protocol=1, version="0", pid=1), opened], json=True)
    assert talk.conversation.index(IndexPaths(("/a",))) == plain.ERROR
    assert [decode_event(line) for line in talk.out.splitlines()][1:] == [opened, DAMAGED]
    assert talk.err.startswith("error: ")


def test_as_json_a_failed_search_is_words_on_stderr_alone() -> None:
    talk = Talk([DAMAGED], json=True)
    assert talk.conversation.search(Search("pin")) == plain.ERROR
    assert (talk.out, talk.err) == ("", "error: The index cannot be used.\nhint: Rebuild it.\n")


# ── ctrl+c ───────────────────────────────────────────────────────────────────────────────────────

INTERRUPTED = """
import sys
from engine.protocol import Ask, CancelIndex, IndexPaths, Search, Stop, decode_event
from tests.tui import fakes
from tests.tui.test_plain import CANCELLED
from tui.plain import Conversation

class Working:
    def __init__(self, receive):
        self.receive = receive
    def send(self, command):
        if isinstance(command, Ask):
            for event in fakes.RUNNING:
                self.receive(event)
        elif isinstance(command, IndexPaths):
            self.receive(fakes.INDEXING)
        elif isinstance(command, Search):
            print("searching", file=sys.stderr, flush=True)
        elif isinstance(command, Stop) and sys.argv[1] == "ask":
            self.receive(decode_event('{"kind":"RunEnded","session":"s1","why":"stopped","turns":5,"seconds":9}'))
        elif isinstance(command, CancelIndex) and sys.argv[1] == "index":
            self.receive(CANCELLED)
    def close(self):
        pass

conversation = Conversation(Working)
try:
    match sys.argv[1]:
        case "ask":
            sys.exit(conversation.ask(Ask("?")))
        case "index":
            sys.exit(conversation.index(IndexPaths(("/a",))))
        case "search":
            sys.exit(conversation.search(Search("?")))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("what", "last"), [("ask", "turn 6"), ("index", "embedding chunks"), ("search", "searching")])
def test_ctrl_c_stops_the_work_and_then_ends(what: str, last: str) -> None:
    program = [sys.executable, "-c", INTERRUPTED, what]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert any(line.startswith(last) for line in process.stderr)
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=30)
        finally:
            process.kill()
        assert (process.returncode, "Traceback" in rest) == (plain.INTERRUPTED, False)
        assert ("ended  stopped after 5 turns" in rest) == (what == "ask")


def test_a_command_is_sent_once_and_the_door_is_closed() -> None:
    doors: list[Played] = []

    def make(receive: Callable[[Event], None]) -> Played:
        doors.append(Played(receive, [INDEXED]))
        return doors[-1]

    conversation = Conversation(make, out=io.StringIO(), err=io.StringIO())
    conversation.index(IndexPaths(("/a",)))
    conversation.close()
    assert doors[0].commands == [IndexPaths(("/a",))]
    assert doors[0].closed and CancelIndex() not in doors[0].commands
