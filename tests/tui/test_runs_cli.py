"""``compare``, ``what-if``, ``sessions fork`` and the HTML export on the command line, over a real engine and journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.context.ledger import Ledger, fold
from engine.engine import Engine
from engine.measure import answer_diff, measure, table
from engine.model.scripted import ScriptedModel
from engine.protocol import Command, Event, RunEnded, RunStarted, TurnEnded
from engine.sessions import Journal
from engine.settings import Settings, load_settings
from tests.engine.played import ANSWER, act, play
from tests.engine.running import QUESTION, STORY, stock
from tests.engine.sources.library.hashing import HashEmbedder
from tests.engine.story import FIRST, WHOLE, stamped
from tests.tui.test_real_engine import NOTES
from tui import cli
from tui.bridge import OnEvent


@pytest.fixture(autouse=True)
def no_settings_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DEEPSEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(tmp_path / "none.toml"))


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "data"), *arguments])


def journal_of(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "data" / "sessions.db")


def keep(tmp_path: Path, events: Sequence[Event], title: str = "Who?") -> str:
    (tmp_path / "data").mkdir(exist_ok=True)
    with closing(journal_of(tmp_path)) as journal:
        session = journal.create(title)
        here = [replace(event, library="default") if isinstance(event, RunStarted) else event for event in events]
        journal.append_all(stamped(here, session))
        return session


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The replies of the model behind every engine that a command starts. The library is stocked."""
    replies: list[str] = []
    stock(load_settings({"data_dir": tmp_path / "data"}, env={}), tmp_path / "notes")

    class Door:
        def __init__(self, settings: Settings, receive: OnEvent) -> None:
            self._engine = Engine(
                settings, receive, load_model=lambda _: ScriptedModel(replies), embedder=HashEmbedder()
            )

        def send(self, command: Command) -> None:
            self._engine.handle(command)

        def close(self) -> None:
            self._engine.close()

    monkeypatch.setattr("tui.bridge.EngineProcess", Door)
    return replies


# ── compare ──────────────────────────────────────────────────────────────────────────────────────

LONG = [act("search", query="first keeper"), act("open", id=0), act("search", query="tower"), ANSWER]


def test_a_question_is_run_under_each_window_and_the_runs_are_side_by_side(tmp_path: Path, script: list[str]) -> None:
    script += [*LONG, *STORY]
    done = run(tmp_path, "compare", QUESTION, "--window", "1", "--window", "off")
    assert done.exit_code == 0, done.stderr
    lines = {line[:20].rstrip(): line.split() for line in done.stdout.splitlines()}
    assert lines["masking"][1:] == ["window", "1", "off"]
    assert lines["turns"][1:] == ["4", "3"]
    assert lines["citations verified"][2:] == ["1", "of", "1", "1", "of", "1"]
    assert "A and B answer the same." not in done.stdout and "answers, A [-only-], B {+only+}" in done.stdout
    assert "turn 1" in done.stderr and "turn 1" not in done.stdout
    with closing(journal_of(tmp_path)) as journal:
        kept = {each.id: each for each in journal.list()}
        assert len(kept) == 2 and set(kept) == set(lines["session"][1:])
        assert [measure(journal.events(each))[0].policy.window for each in lines["session"][1:]] == [1, 0]


def test_saved_sessions_are_compared_without_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def no_engine(*_: object) -> None:
        raise AssertionError("no model is asked")

    monkeypatch.setattr("tui.bridge.EngineProcess", no_engine)
    other = [*LONG[:-1], act("answer", text="The first keeper, Ada Quill [1:L1].")]
    one, two = keep(tmp_path, FIRST), keep(tmp_path, play(other, WHOLE[0].policy))
    done = run(tmp_path, "compare", "--sessions", one, two)
    assert done.exit_code == 0 and "A and B answer the same." not in done.stdout
    told = json.loads(run(tmp_path, "compare", "--sessions", one, two, "--json").stdout)
    assert [each["session"] for each in told["runs"]] == [one, two]
    assert told["runs"][0]["turns"] == 3 and told["runs"][1]["policy"]["window"] == 1
    assert "".join(text for kind, text in told["diffs"][0] if kind != "new").strip() == told["runs"][0]["answer"]
    assert "A and B answer the same." in run(tmp_path, "compare", "--sessions", one, one).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare",), "Give a QUESTION to run, or --sessions A B."),
        (("compare", "why?", "--sessions", "a", "b"), "Give a QUESTION"),
        (("compare", "why?", "--window", "many"), "a number of turns, or off"),
        (("compare", "--sessions", "a", "b", "--window", "2"), "no --window"),
        (("what-if",), "Missing argument 'SESSION'"),
        (("what-if", "last", "--window", "-2"), "a number of turns, or off"),
        (("sessions", "fork", "last"), "Missing option '--turn'"),
    ],
)
def test_a_bad_command_line_says_why(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(tmp_path, *arguments)
    assert (done.exit_code, done.stdout) == (2, "") and said in done.stderr


def test_what_is_not_there_is_named(tmp_path: Path, script: list[str]) -> None:
    session = keep(tmp_path, FIRST)
    for arguments, code, said in (
        (("compare", "--sessions", session, "20200101-zzzz"), 1, "there is no session '20200101-zzzz'"),
        (("what-if", "20200101-zzzz"), 1, "there is no session"),
        (("what-if", session, "--question", "2"), 2, "There are 1 questions"),
        (("sessions", "fork", session, "--turn", "8"), 1, "there is no turn 8 of this session to fork from"),
        (("compare", "why?", "--window", "99999"), 1, "window is 99999"),
    ):
        done = run(tmp_path, *arguments)
        assert (done.exit_code, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr


# ── what if ──────────────────────────────────────────────────────────────────────────────────────


def test_other_windows_of_a_saved_run(tmp_path: Path) -> None:
    session = keep(tmp_path, play([*LONG[:-1], act("search", query="lamp"), ANSWER], WHOLE[0].policy))
    lines = run(tmp_path, "what-if", session, "--window", "1", "--window", "3", "--window", "off").stdout.splitlines()
    rows = {line[:10].strip(): line[10:].split() for line in lines}
    assert rows["as it ran"] == rows["window 1"], "it ran with window 1"
    assert [rows[name][0] for name in ("window 1", "window 3", "off")] == ["3", "1", "0"]
    assert rows["window 3"][-1] == rows["off"][-1] == "0" and int(rows["window 1"][-1]) > 0
    assert "window 1: turn 5 cited [1:L1], out of view: 2" in lines
    told = [json.loads(line) for line in run(tmp_path, "what-if", session, "--json").stdout.splitlines()]
    assert [each["name"] for each in told][:3] == ["as it ran", "window 1", "window 2"] and told[-1]["name"] == "off"
    assert told[0]["turns"][-1]["masked"] == [1, 2, 3]
    assert told[-1]["peak"] == max(turn["tokens"] for turn in told[-1]["turns"])


def test_each_question_of_a_session_can_be_asked_about(tmp_path: Path) -> None:
    session = keep(tmp_path, (*FIRST, *WHOLE[len(FIRST) :]))
    assert run(tmp_path, "what-if", session, "--question", "1").stdout.startswith("Who was the first keeper?")
    assert run(tmp_path, "what-if", session).stdout.startswith("And the second?")


# ── fork ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_fork_goes_on_as_a_session_of_its_own(tmp_path: Path, script: list[str]) -> None:
    session = keep(tmp_path, WHOLE)
    script += [act("search", query="tower"), act("open", id=0), act("answer", text="Built of basalt [4:L2].")]
    done = run(
        tmp_path, "sessions", "fork", session, "--turn", "1", "--window", "off", "--question", "Of what is the tower?"
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Built of basalt [4:L2].") and "✓ verified" in done.stdout
    assert "question  And the second?" not in done.stderr, "what is past is no news"
    with closing(journal_of(tmp_path)) as journal:
        other = journal.resolve("last")
        assert f"forked from {session} after turn 1 as {other}" in done.stderr
        assert journal.title(other) == "Of what is the tower?"
        events = list(journal.events(other))
        assert measure(events)[-1].policy.window == 0 and measure(events)[-1].turns == 4
        assert len(list(journal.events(session))) == len(WHOLE)
    assert "forked from" in run(tmp_path, "sessions", "export", other, "--format", "html").stdout


def test_a_fork_as_json_is_all_of_its_events(tmp_path: Path, script: list[str]) -> None:
    session = keep(tmp_path, (*FIRST, *WHOLE[len(FIRST) :]))
    script += [act("open", id=0), ANSWER]
    done = run(tmp_path, "sessions", "fork", session, "--turn", "1", "--of", "2", "--json")
    with closing(journal_of(tmp_path)) as journal:
        events = [json.loads(line) for line in done.stdout.splitlines()]
        kept = [event["seq"] for event in events if event["session"]]
        assert kept == [event.seq for event in journal.events(journal.resolve("last"))]


# ── the report ───────────────────────────────────────────────────────────────────────────────────


def test_a_session_is_exported_as_a_page(tmp_path: Path) -> None:
    session = keep(tmp_path, FIRST)
    page = run(tmp_path, "sessions", "export", session, "--format", "html").stdout
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "Who was the first keeper?" in page and session in page


# ── the figures ──────────────────────────────────────────────────────────────────────────────────


def test_figures_are_sums_over_the_events() -> None:
    events = play([*LONG, *LONG], WHOLE[0].policy)
    (figures,) = measure(events)
    ledger = Ledger()
    for event in events:
        ledger = fold(ledger, event)
    assert (figures.reused, figures.decoded, figures.saved) == (ledger.reused, ledger.decoded, ledger.saved)
    assert figures.prompt == figures.reused + figures.decoded
    assert figures.turns == sum(isinstance(event, TurnEnded) for event in events) == 4
    assert (figures.calls, figures.verified, figures.weak, figures.missing) == (3, 1, 0, 0)
    assert figures.seconds == sum(event.seconds for event in events if isinstance(event, RunEnded))
    assert len(table([figures, figures])[0][1]) == 2


def test_what_is_seen_twice_is_counted_once_for_each_time() -> None:
    again = [act("open", cursor=1, line=1)] * 2
    (figures,) = measure(play([*LONG[:3], *again, ANSWER], WHOLE[0].policy))
    assert figures.reopened >= 1 and figures.again >= 1, "under a window of one it was masked when it was opened again"


@pytest.mark.parametrize(
    ("one", "two", "diff"),
    [
        ("a b c", "a b c", [("same", "a b c")]),
        ("a b c", "a x c", [("same", "a "), ("gone", "b "), ("new", "x "), ("same", "c")]),
        ("", "new", [("new", "new")]),
        ("gone", "", [("gone", "gone")]),
        ("", "", []),
    ],
)
def test_answers_differ_word_by_word(one: str, two: str, diff: list[tuple[str, str]]) -> None:
    assert list(answer_diff(one, two)) == diff


@pytest.mark.model
@pytest.mark.embedder
@pytest.mark.timeout(600)
def test_the_starter_model_compared_with_itself(tmp_path: Path) -> None:
    """The whole way: engine process, llama.cpp, library, journal, command line."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "tui", "--data-dir", str(tmp_path / "data")]
    indexed = subprocess.run([*command, "index", str(folder)], capture_output=True, text=True, timeout=300)
    assert indexed.returncode == 0, indexed.stderr
    asked = [
        *command,
        "compare",
        "Who was the first keeper?",
        "--window",
        "1",
        "--window",
        "off",
        "--max-turns",
        "4",
        "--json",
    ]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)["runs"]
    assert (one["policy"]["window"], two["policy"]["window"], two["masked"]) == (1, 0, 0)
    assert one["session"] != two["session"] and one["model"] == two["model"]
    for each in (one, two):
        assert 1 <= each["turns"] <= 4 and each["answer"] and 0 < each["peak"] <= each["limit"]
        assert each["prompt"] == each["reused"] + each["decoded"] and each["reading"] > 0 < each["writing"]
    with closing(journal_of(tmp_path)) as journal:
        for each in (one, two):
            assert measure(journal.events(each["session"]))[0].decoded == each["decoded"]
