"""The command line: what is understood, where it goes, and the code it ends with. Nothing here loads a model."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import engine
from engine.protocol import (
    ApprovalGiven,
    Ask,
    Command,
    Event,
    IndexEnded,
    IndexPaths,
    Network,
    NetworkEntry,
    Search,
    SearchResults,
    decode_event,
)
from engine.sessions import Journal
from engine.settings import CACHES, Settings
from engine.sources.library import Library
from engine.sources.library.cross_encoder import CrossEncoder
from tests.engine.model import tiny
from tests.engine.sources.library import tiny_encoder
from tests.engine.sources.library.hashing import HashEmbedder
from tests.tui import fakes
from tui import cli, plain
from tui.bridge import OnEvent
from tui.fold import fold_all

NO_MODEL = ("--model", "/nowhere/none.gguf")


@pytest.fixture(autouse=True)
def no_settings_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DEEPSEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(tmp_path / "none.toml"))


def run(tmp_path: Path, *arguments: str, **options: str) -> Result:
    return CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "data"), *arguments], **options)


class Engines:
    """The doors that were opened, with their settings and the commands they were given."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.commands: list[Command] = []

    def door(self, settings: Settings, receive: OnEvent) -> Engines:
        self.settings.append(settings)
        self._receive = receive
        return self

    def send(self, command: Command) -> None:
        self.commands.append(command)
        events: tuple[Event, ...] = ()
        match command:
            case Ask():
                events = fakes.RUN
            case IndexPaths():
                events = (fakes.INDEXED,)
            case Search(query):
                events = (SearchResults(query, (), 0.0),)
        for event in events:
            self._receive(event)

    def close(self) -> None:
        pass


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Doors that play the recorded run: what the command line asks for can be looked at."""
    engines = Engines()
    monkeypatch.setattr("tui.bridge.EngineProcess", engines.door)
    return engines


# ── what is asked of the engine ──────────────────────────────────────────────────────────────────


def test_a_question_alone_takes_everything_from_the_settings(tmp_path: Path, engines: Engines) -> None:
    done = run(tmp_path, "ask", "why?")
    assert (done.exit_code, done.stdout.startswith(fakes.ANSWER)) == (0, True)
    assert "  masked  " in done.stderr
    (asked,) = engines.commands
    assert isinstance(asked, Ask)
    assert (asked.question, asked.session, asked.library, asked.max_turns) == ("why?", "", "default", 0)
    assert asked.policy is not None and asked.policy.window == Settings().window


@pytest.mark.parametrize(("given", "window"), [("2", 2), ("0", 0), ("off", 0)])
def test_the_options_of_a_question(tmp_path: Path, engines: Engines, given: str, window: int) -> None:
    run(tmp_path, "ask", "why?", "--window", given, "--max-turns", "3", "--library", "work")
    (asked,) = engines.commands
    assert isinstance(asked, Ask) and asked.policy is not None
    assert (asked.policy.window, asked.max_turns, asked.library) == (window, 3, "work")


def test_json_on_stdout_is_the_events(tmp_path: Path, engines: Engines) -> None:
    done = run(tmp_path, "ask", "why?", "--json")
    assert fold_all(decode_event(line) for line in done.stdout.splitlines()) == fold_all(fakes.RUN)
    assert done.stderr == ""


def test_options_for_every_command_and_a_command_s_own(tmp_path: Path, engines: Engines) -> None:
    run(tmp_path, "--library", "work", "--model", "/m.gguf", "search", "oil")
    run(tmp_path, "--library", "work", "search", "oil", "--library", "home", "--limit", "3")
    assert [settings.library for settings in engines.settings] == ["work", "home"]
    assert engines.settings[0].model == "/m.gguf"
    assert engines.commands == [Search("oil", "", 10), Search("oil", "home", 3)]


def test_the_filters_of_a_search(tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = time.time()
    options = ["--path", "*.md", "--path", "./notes", "--type", "md", "--type", "html", "--since", "3d"]
    assert run(tmp_path, "search", "oil", *options).exit_code == plain.NOT_TOLD
    (command,) = engines.commands
    assert isinstance(command, Search)
    assert (command.paths, command.types) == (("*.md", str(tmp_path.resolve() / "notes")), ("md", "html"))
    assert 0 <= command.since - (before - 3 * 86400) < 60


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--since", "soon", "neither a date nor an age"),
        ("--since", "2999-01-01", "to come"),
        ("--path", "!", "no pattern"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_before_anything_starts(
    tmp_path: Path, engines: Engines, option: str, value: str, said: str
) -> None:
    done = run(tmp_path, "search", "oil", option, value)
    assert done.exit_code == plain.USAGE and said in done.stderr and "hint: " in done.stderr
    assert engines.commands == []


def a_cross_encoder_by_its_looks(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_reranker_of_a_search(tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    here = a_cross_encoder_by_its_looks(tmp_path / "ranker")
    a_cross_encoder_by_its_looks(tmp_path / "data" / "models" / "small")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPSEARCH_RERANKER", "/from/the/settings")
    for options in ((), ("--rerank", "ranker"), ("--rerank", "small"), ("--rerank", "none")):
        assert run(tmp_path, "search", "oil", *options).exit_code == plain.NOT_TOLD
    assert [each.reranker for each in engines.settings] == ["/from/the/settings", str(here.resolve()), "small", ""]


@pytest.mark.parametrize(
    ("value", "said"), [("nowhere", "there is no folder"), ("empty", "its config.json is missing")]
)
def test_a_reranker_that_is_none_is_refused_before_anything_starts(
    tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, "search", "oil", "--rerank", value)
    assert done.exit_code == plain.USAGE and said in done.stderr and "Name a folder with a cross-encoder" in done.stderr
    assert engines.commands == []


def test_paths_are_indexed_as_whole_paths(tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(tmp_path, "index", "notes", "~/notes", "--library", "work").exit_code == 0
    assert run(tmp_path, "index", "--rebuild").exit_code == 0
    notes = str(tmp_path / "notes")
    assert engines.commands == [IndexPaths((notes, notes), "work"), IndexPaths((), "", rebuild=True)]


def test_a_pattern_stands_for_what_it_matches(
    tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.md", "b.txt", "deep/c.md", "[x].md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert run(tmp_path, "index", "**/*.md", "[x].md", "--watch").exit_code == 0
    found = ("[x].md", "a.md", "deep/c.md", "[x].md")
    assert engines.commands == [IndexPaths(tuple(str(tmp_path / name) for name in found), watch=True)]


def test_the_demo_without_a_terminal_indexes_the_guide_and_asks_one_question(tmp_path: Path, engines: Engines) -> None:
    done = run(tmp_path, "demo")
    assert done.exit_code == 0
    assert engines.commands == [IndexPaths((str(cli.GUIDE),), "guide"), Ask(cli.EXAMPLES[0], library="guide")]
    assert engines.settings[0].library == "guide"
    assert done.stdout.index("  masked  ") < done.stdout.index("verified")
    run(tmp_path, "demo", "--docs", str(tmp_path))
    assert engines.commands[2] == IndexPaths((str(tmp_path),), "guide")


def test_the_guide_and_questions_about_it_are_there() -> None:
    assert len(list(cli.GUIDE.glob("*.md"))) >= 5
    assert len(cli.EXAMPLES) == 3


# ── what is not understood ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "deepsearch-tui ask QUESTION"),
        (("nowhere",), "There is no file, folder or command called 'nowhere'"),
        (("index", "nowhere"), "There is no file or folder 'nowhere'"),
        (("index", "nowhere*.md"), "There is no file or folder 'nowhere*.md'"),
        (("index", "--status", "--rebuild"), "stand alone"),
        (("index", "--failures", "--remove", "x"), "stand alone"),
        (("ask",), "Missing argument 'QUESTION'"),
        (("ask", " \t"), "it is empty"),
        (("search", ""), "it is empty"),
        (("ask", "why?", "--window", "many"), "a number of turns, or off"),
        (("ask", "why?", "--window", "-1"), "a number of turns, or off"),
        (("ask", "why?", "--max-turns", "0"), "is not in the range"),
        (("sessions", "export", "x", "--format", "docx"), "'docx' is not one of"),
        (("--nonsense",), "No such option"),
    ],
)
def test_a_bad_command_line_ends_with_2_and_says_why(
    tmp_path: Path, engines: Engines, arguments: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, *arguments)
    assert (done.exit_code, done.stdout, engines.commands) == (2, "", [])
    assert said in done.stderr


def test_a_setting_that_cannot_be_used_ends_with_1_and_what_helps(tmp_path: Path, engines: Engines) -> None:
    done = run(tmp_path, "ask", "why?", "--window", "99999")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: window is 99999\nhint: It must be between 0 and 10,000.\n"
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "file" / "below"), "sessions"])
    assert done.exit_code == 1
    assert done.stderr.endswith("hint: Choose another folder with --data-dir.\n")


def test_a_path_called_like_a_command_is_written_with_its_folder(
    tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ask").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "Missing argument 'QUESTION'" in run(tmp_path, "ask").stderr
    assert "The app needs a terminal" in run(tmp_path, "./ask").stderr
    assert "is written ./PATH" in CliRunner().invoke(cli.main, ["--help"]).stdout


def test_help_tells_every_exit_code() -> None:
    told = " ".join(CliRunner().invoke(cli.main, ["--help"]).stdout.split())
    for said in ("0 done", "1 an error", "2 a bad", "3 the documents do not tell", "4 some files", "130 interrupted"):
        assert said in told
    assert CliRunner().invoke(cli.main, ["--version"]).stdout == f"deepsearch-tui, version {engine.__version__}\n"


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def test_sessions_are_listed(tmp_path: Path, kept: str) -> None:
    for arguments in (("sessions",), ("sessions", "list")):
        done = run(tmp_path, *arguments)
        assert (done.exit_code, done.stdout.startswith(kept)) == (0, True)
        assert "3 turns" in done.stdout and "Who was the first keeper?" in done.stdout


def test_no_sessions_yet_is_said_beside_an_empty_list(tmp_path: Path) -> None:
    done = run(tmp_path, "sessions")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "No sessions yet" in done.stderr


def test_sessions_are_shown_and_exported_in_each_form(tmp_path: Path, kept: str) -> None:
    shown = run(tmp_path, "sessions", "show", "last").stdout
    assert "Who was the first keeper?" in shown and "Ada Quill" in shown
    assert run(tmp_path, "sessions", "export", kept).stdout == shown
    lines = run(tmp_path, "sessions", "export", kept, "--format", "jsonl").stdout.splitlines()
    journal = Journal(tmp_path / "data" / "sessions.db")
    assert [decode_event(line) for line in lines] == list(journal.events(kept))
    journal.close()
    record = json.loads(run(tmp_path, "sessions", "export", kept[:8], "--format", "trajectory").stdout)
    assert "Who was the first keeper?" in json.dumps(record)


def test_sessions_are_searched(tmp_path: Path, kept: str) -> None:
    assert run(tmp_path, "sessions", "search", "quill").stdout.startswith(f"{kept}  Who was the first keeper?")
    assert run(tmp_path, "sessions", "search", "submarine").stdout == ""


def test_deleting_asks_first(tmp_path: Path, kept: str) -> None:
    done = run(tmp_path, "sessions", "delete", kept, input="n\n")
    assert (done.exit_code, "Who was the first keeper?" in done.output) == (1, True)
    assert kept in run(tmp_path, "sessions").stdout
    assert run(tmp_path, "sessions", "delete", kept, input="y\n").exit_code == 0
    assert run(tmp_path, "sessions").stdout == ""


def test_deleting_without_asking(tmp_path: Path, kept: str) -> None:
    assert run(tmp_path, "sessions", "delete", "last", "--yes").exit_code == 0
    assert run(tmp_path, "sessions").stdout == ""


@pytest.mark.parametrize("command", [("show",), ("export",), ("delete", "--yes")])
def test_a_session_that_is_not_there(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(tmp_path, "sessions", *command, "20200101-zzzz")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: there is no session '20200101-zzzz'\nhint: See: deepsearch-tui sessions list\n"


def test_a_follow_up_goes_to_the_session_meant(tmp_path: Path, engines: Engines, kept: str) -> None:
    assert run(tmp_path, "ask", "and then?", "--session", "last").exit_code == 0
    (asked,) = engines.commands
    assert isinstance(asked, Ask) and asked.session == kept
    assert run(tmp_path, "ask", "and then?", "--session", "2020").exit_code == 1
    assert len(engines.commands) == 1


def test_a_damaged_journal_is_set_aside_and_said_and_the_question_is_asked(tmp_path: Path, engines: Engines) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sessions.db").write_bytes(b"not a database " * 999)
    done = run(tmp_path, "ask", "why?")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: the journal could not be read and was set aside as ")
    aside = list((tmp_path / "data").glob("sessions.db.corrupt*"))
    assert [path.read_bytes() for path in aside] == [b"not a database " * 999]
    assert len(engines.commands) == 1


# ── with the real engine, without a model ────────────────────────────────────────────────────────


def real(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tui", "--data-dir", str(tmp_path / "data"), *NO_MODEL, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | environment,
        timeout=120,
        check=False,
    )


def test_a_question_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    done = real(tmp_path, "ask", "why?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"error: there is no model file /nowhere/none.gguf\nhint: " in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.embedder
def test_indexing_and_searching_need_no_model(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "lamp.md").write_text("# The lamp\n\nThe lamp burns whale oil → 3 litres a night.\n")
    done = real(tmp_path, "index", str(notes), "--json")
    assert done.returncode == 0, done.stderr
    told = [decode_event(line) for line in done.stdout.decode().splitlines()]
    assert isinstance(told[-1], IndexEnded) and told[-1].added == 1
    found = real(tmp_path, "search", "whale oil", PYTHONIOENCODING="ascii")  # a terminal that has no arrow
    assert found.returncode == 0, found.stderr
    assert b"lamp.md:" in found.stdout and b"oil \\u2192 3" in found.stdout
    (tmp_path / "data" / "libraries" / "default" / "documents.db").write_bytes(b"no database" * 999)
    damaged = real(tmp_path, "search", "whale oil")
    assert damaged.returncode == 1 and b"index --rebuild" in damaged.stderr
    mended = real(tmp_path, "index", "--rebuild")
    assert mended.returncode == 0, mended.stderr


@pytest.mark.embedder
def test_a_search_in_the_order_of_a_cross_encoder(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in {"lamp": "The lamp burns whale oil.", "keeper": "The keeper of the lamp has no oil."}.items():
        (notes / f"{name}.txt").write_text(text + "\n")
    library = Library(tmp_path / "data" / "libraries", embedder=HashEmbedder())
    library.index([notes])
    library.close()
    folder = tiny_encoder.save(tmp_path / "ranker")
    found = real(tmp_path, "search", "oil for the lamp", "--rerank", str(folder), "--json")
    assert found.returncode == 0, found.stderr
    hits = [json.loads(line) for line in found.stdout.decode().splitlines()]
    expected = CrossEncoder(folder).scores("oil for the lamp", [hit["text"] for hit in hits])
    assert [hit["rerank"] for hit in hits] == pytest.approx(list(expected), abs=1e-5)
    assert len(hits) == 2 and hits[0]["rerank"] > hits[1]["rerank"] and hits[0]["score"] > 0
    (folder / "model.safetensors").write_bytes(b"damaged")
    without = real(tmp_path, "search", "oil for the lamp", DEEPSEARCH_RERANKER=str(folder))
    assert without.returncode == 0 and without.stdout.count(b" = text #") == 2 and b"rerank" not in without.stdout
    assert without.stderr.count(b"The reranker ranker is not used: ") == 1


def test_the_doctor_ends_with_1_where_something_is_wrong(tmp_path: Path) -> None:
    done = real(tmp_path, "doctor")
    said = done.stdout.decode()
    assert done.returncode == 1
    assert "✗ model            there is no model file /nowhere/none.gguf" in said
    assert "  → " in said and "✓ python" in said


def test_in_a_terminal_the_app_opens_and_quits(tmp_path: Path) -> None:
    """In a terminal of its own, with the real engine."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        base = [sys.executable, "-m", "tui", "--data-dir", str(tmp_path / "data"), *NO_MODEL]
        os.execv(sys.executable, base)
    seen = io.BytesIO()
    quitting = False
    while True:
        try:
            seen.write(os.read(terminal, 65536))
        except OSError:  # the program has ended, and the terminal with it
            break
        if not quitting and b"Ask" in seen.getvalue():
            os.write(terminal, b"\x11")  # ctrl+q
            quitting = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert quitting and os.waitstatus_to_exitcode(status) == 0


# ── models ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.model
def test_a_model_is_tried_out_once_and_told_in_words(tmp_path: Path) -> None:
    file = tiny.write(tmp_path / "small.gguf", "llama", context=4096)
    first = run(tmp_path, "models", "check", str(file))
    assert first.exit_code == 0, first.output
    assert "small.gguf" in first.output and "as used: carry+repair" in first.output
    assert "After a mask the rest is kept, same next word at" in first.output
    again = run(tmp_path, "models", "check", str(file), "--json")
    told = json.loads(again.stdout)
    assert (told["mode"], told["moves"], told["way"]) == ("carry+repair", "shift", "as used")
    every = [
        json.loads(row) for row in run(tmp_path, "models", "check", str(file), "--all", "--json").stdout.splitlines()
    ]
    assert [row["way"] for row in every] == ["as used", "attention fused", "keys and values in q8_0"]
    assert every[0]["seconds"] == told["seconds"], "remembered, not tried again"


@pytest.mark.model
@pytest.mark.parametrize(
    ("kind", "said"), [("mamba", "recurrent or hybrid"), ("gemma3", "a sliding window of 32 tokens")]
)
def test_what_a_memory_cannot_do_is_said(kind: tiny.Kind, said: str, tmp_path: Path) -> None:
    file = tiny.write(tmp_path / "small.gguf", kind, context=4096)
    result = run(tmp_path, "models", "check", str(file))
    assert result.exit_code == 0
    assert said in result.output


def test_a_deleted_session_takes_its_saved_cache_along(tmp_path: Path, kept: str) -> None:
    file = tmp_path / "data" / "caches" / f"{kept}.kv"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"what was read")
    assert run(tmp_path, "sessions", "delete", "--yes", kept).exit_code == 0
    assert not file.exists()


def test_a_model_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path, "models", "check", "/nowhere/none.gguf")
    assert result.exit_code == 1 and "hint:" in result.stderr


def test_every_way_of_the_cache_can_be_chosen(tmp_path: Path, engines: Engines) -> None:
    [option] = [each for each in cli.main.params if each.name == "cache"]
    assert tuple(option.type.choices) == CACHES
    run(tmp_path, "--cache", "strict", "--batch", "3", "ask", "What?")
    assert (engines.settings[0].cache, engines.settings[0].batch_turns) == ("strict", 3)
    [asked] = [command for command in engines.commands if isinstance(command, Ask)]
    assert asked.policy is not None and asked.policy.batch_turns == 3


# ── the web ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "web"),
    [(("ask", "x"), "off"), (("--web", "ask", "ask", "x"), "ask"), (("--web", "ask", "ask", "--web", "on", "x"), "on")],
)
def test_the_web_is_off_unless_it_is_asked_for(
    tmp_path: Path, engines: Engines, arguments: tuple[str, ...], web: str
) -> None:
    assert run(tmp_path, *arguments).exit_code == 0
    assert engines.settings[-1].web == web


def test_the_web_has_three_modes(tmp_path: Path) -> None:
    assert "is not one of" in run(tmp_path, "ask", "--web", "maybe", "x").stderr
    done = run(tmp_path, "sessions", env={"DEEPSEARCH_WEB": "yes"})
    assert (done.exit_code, "It must be one of off, ask, on" in done.stderr) == (1, True)


def test_the_ledger_of_a_session_is_printed(tmp_path: Path, kept: str) -> None:
    assert run(tmp_path, "sessions", "show", kept, "--network").stdout == "Nothing was sent in this session.\n"
    journal = Journal(tmp_path / "data" / "sessions.db")
    entry = NetworkEntry(1.0, "page", "GET", "http://site.test/", "site.test", "93.184.215.14", 200, 1234, 0.5, "read")
    seq = journal.next_seq(kept)
    journal.append(Network(entry, session=kept, seq=seq))
    journal.append(ApprovalGiven("1", "query", "my secret", "searx.lan", False, session=kept, seq=seq + 1))
    journal.append(ApprovalGiven("2", "query", "a lamp", "searx.lan", True, session=kept, seq=seq + 2))
    journal.close()
    shown = run(tmp_path, "sessions", "show", kept, "--network").stdout.splitlines()
    assert shown[0].endswith("page    site.test  GET http://site.test/")
    assert shown[1] == "    read, 93.184.215.14, 1,234 bytes, 0.5 s"
    assert shown[2].endswith("query   searx.lan  my secret") and shown[3] == "    not allowed, not sent"
    assert len(shown) == 4
