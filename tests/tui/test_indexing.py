"""Indexing from within the app and from the shell: the prompt for a path, the pause, the price of new vectors."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from textual.widgets import Input

from engine.protocol import (
    Ask,
    Command,
    Event,
    Hit,
    IndexEnded,
    IndexPaths,
    IndexPaused,
    IndexProgress,
    LibraryOpened,
    PauseIndex,
    Reembed,
    ReembedCost,
    Search,
    SearchResults,
)
from tests.engine.sources.library.hashing import HashEmbedder
from tests.tui import fakes
from tests.tui.fakes import until_true
from tests.tui.test_safe import drawn
from tui import cli, plain
from tui.fold import fold_all
from tui.plain import Conversation
from tui.screens.indexing import IndexPrompt, ReembedQuestion, as_path, completed
from tui.state import AppState
from tui.widgets.status import status

EMBEDDING = IndexProgress("default", "embed", 120, 480, files=9, chunks=480, embedded=120, eta=42.0, speed=8.6)
COST = ReembedCost("default", "all-MiniLM-L6-v2", "bge-small@1a2b3c4d", 1200, 150.0)
DONE = IndexEnded("default", 0, 0, 9, 0, {}, (), 1200, 151.0, embedded=1200)


# ── the prompt for a path ────────────────────────────────────────────────────────────────────────


def test_a_path_is_completed_folders_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notes", "north", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "no.txt").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert completed(f"{tmp_path}/no") == f"{tmp_path}/north/"
    assert completed(f"{tmp_path}/not") == f"{tmp_path}/notes/"
    assert completed("~/no.") == "~/no.txt"
    assert completed(f"{tmp_path}/.h") == f"{tmp_path}/.hidden/"
    assert completed(f"{tmp_path}/zzz") is None and completed("/nowhere/at/all") is None and completed("word") is None


@pytest.mark.parametrize("pasted", ["'{}'", '"{}"', " {}\n", "file://{}"])
def test_a_pasted_path_is_understood(tmp_path: Path, pasted: str) -> None:
    folder = tmp_path / "my notes"
    assert as_path(pasted.format(folder if "file" not in pasted else str(folder).replace(" ", "%20"))) == folder
    assert as_path(str(folder).replace(" ", "\\ ")) == folder
    assert as_path("  ") is None


async def test_a_folder_is_indexed_from_within_the_app(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_true(pilot, lambda: app.door is not None and app.state.model is not None)
        await pilot.press("ctrl+l")
        await until_true(pilot, lambda: isinstance(app.screen, IndexPrompt))
        path = app.screen.query_one(Input)
        path.value = f"{tmp_path}/nowhere"
        await pilot.press("enter")
        await until_true(pilot, lambda: "There is no file or folder" in drawn(app.screen))
        path.value = f"{tmp_path}/no"
        path.cursor_position = len(path.value)
        await until_true(pilot, lambda: path._suggestion == f"{tmp_path}/notes/")
        await pilot.press("tab")
        await until_true(pilot, lambda: path.value == f"{tmp_path}/notes/")
        await pilot.press("enter")
        await until_true(pilot, lambda: not isinstance(app.screen, IndexPrompt))
        assert isinstance(app.door, fakes.ScriptedDoor) and app.door.last() == IndexPaths((f"{tmp_path}/notes",), "")
        await pilot.press("ctrl+l")
        await until_true(pilot, lambda: isinstance(app.screen, IndexPrompt))
        await pilot.press("escape")
        await until_true(pilot, lambda: not isinstance(app.screen, IndexPrompt))
        assert len(app.door.commands) == 1


# ── how far it is, and the pause ─────────────────────────────────────────────────────────────────


def test_how_far_it_is_shows_beside_the_question() -> None:
    for told in ((EMBEDDING,), (*fakes.RUNNING, EMBEDDING)):
        shown = status(fold_all(told), 160, fakes.START).plain
        assert "index 120/480 chunks 9 chunks/s 42s left" in shown
        paused = fold_all([IndexPaused(True)], fold_all(told))
        assert "index 120/480 chunks, paused" in status(paused, 160, fakes.START).plain
    assert "index" not in status(fold_all([*fakes.RUNNING, EMBEDDING, DONE]), 160, fakes.START).plain
    over = fold_all([EMBEDDING, IndexPaused(True), DONE])
    assert not over.index_paused


def test_several_libraries_are_named_in_the_status() -> None:
    state = fold_all(fakes.RUN)
    assert "in home, work" not in status(state, 300, fakes.START).plain
    assert state.run is not None
    both = replace(state, run=replace(state.run, library="home, work"))
    assert "in home, work" in status(both, 300, fakes.START).plain


async def test_indexing_rests_and_goes_on_with_a_key(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 30)) as pilot:
        await until_true(pilot, lambda: app.door is not None and app.state.model is not None)
        door = app.door
        assert isinstance(door, fakes.ScriptedDoor)
        await pilot.press("ctrl+t")
        await until_true(pilot, lambda: any("Nothing is being indexed" in each.message for each in app._notifications))
        assert door.commands == []
        door.tell([EMBEDDING])
        await until_true(pilot, lambda: "9 chunks/s" in drawn(app.screen))
        for paused in (True, False):
            await pilot.press("ctrl+t")
            await until_true(pilot, lambda: door.commands and door.last() == PauseIndex(paused))  # noqa: B023
            door.tell([IndexPaused(paused)])
            await until_true(pilot, lambda: ("paused" in drawn(app.screen)) is paused)  # noqa: B023


# ── vectors made anew ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("yes", [True, False])
async def test_the_price_is_told_before_vectors_are_made_anew(tmp_path: Path, yes: bool) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 30)) as pilot:
        await until_true(pilot, lambda: app.door is not None and app.state.model is not None)
        door = app.door
        assert isinstance(door, fakes.ScriptedDoor)
        (command,) = [each for each in app.get_system_commands(app.screen) if each.title == "Make all vectors anew"]
        command.callback()
        assert door.last() == Reembed("")
        door.tell([COST])
        await until_true(pilot, lambda: isinstance(app.screen, ReembedQuestion) and "1,200" in drawn(app.screen))
        assert "about 2m30s" in drawn(app.screen) and "bge-small@1a2b3c4d" in drawn(app.screen)
        await pilot.press("y" if yes else "n")
        await until_true(pilot, lambda: not isinstance(app.screen, ReembedQuestion))
        assert door.commands == [Reembed(""), *([Reembed("default", go=True)] if yes else [])]


class Priced:
    """A door that tells the price, and does it."""

    def __init__(self, receive: Callable[[Event], None]) -> None:
        self._receive = receive
        self.commands: list[Command] = []

    def send(self, command: Command) -> None:
        self.commands.append(command)
        self._receive(DONE if command == Reembed(go=True) else COST)

    def close(self) -> None: ...


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("yes", "typed", "goes"), [(True, None, True), (False, "y\n", True), (False, "\n", False), (False, None, False)]
)
def test_the_shell_tells_the_price_and_asks(yes: bool, typed: str | None, goes: bool) -> None:
    doors: list[Priced] = []

    def door(receive: Callable[[Event], None]) -> Priced:
        doors.append(Priced(receive))
        return doors[-1]

    out, err = io.StringIO(), Terminal()
    keyboard = io.StringIO() if typed is None else Terminal(typed)
    conversation = Conversation(door, out=out, err=err, keyboard=keyboard)
    code = conversation.reembed(Reembed(), yes=yes)
    said = err.getvalue()
    assert "1,200 chunks were embedded with all-MiniLM-L6-v2" in said and "about 2 minutes" in said
    assert doors[0].commands == [Reembed(), *([Reembed(go=True)] if goes else [])]
    assert code == (plain.OK if goes else plain.INTERRUPTED)
    assert ("1,200 with vectors" in out.getvalue()) is goes and ("Nothing was changed" in said) is not goes


# ── the command line ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def no_settings_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(tmp_path / "none.toml"))


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "data"), *arguments])


class Engines:
    """Doors that answer, and the commands they were given."""

    def __init__(self, answers: Sequence[Event]) -> None:
        self.commands: list[Command] = []
        self._answers = answers

    def door(self, _: object, receive: Callable[[Event], None]) -> Engines:
        self._receive = receive
        return self

    def send(self, command: Command) -> None:
        self.commands.append(command)
        for event in self._answers:
            self._receive(event)

    def close(self) -> None: ...


def test_several_libraries_are_named_with_commas_or_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hit = Hit("/w/press.md", "Press", "", 3, 3, "The oil of the press.", 0.1, 1, library="work", path="work:w/press.md")
    engines = Engines([SearchResults("oil", (hit,), 0.0, "words alone"), *fakes.RUN])
    monkeypatch.setattr("tui.bridge.EngineProcess", engines.door)
    done = run(tmp_path, "search", "oil", "--library", "home,work")
    assert (
        done.exit_code == 0
        and done.stdout.startswith("1. [work] /w/press.md:3-3")
        and "note: words alone" in done.stderr
    )
    run(tmp_path, "search", "oil", "--library", "home", "--library", "work")
    run(tmp_path, "--library", "home,work", "ask", "why?")
    assert engines.commands[:2] == [Search("oil", "home,work", 10)] * 2
    assert isinstance(engines.commands[2], Ask) and engines.commands[2].library == "home,work"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--library", "a,b"),
        ("--re-embed", "--rebuild"),
        ("--re-embed", "/"),
        ("--yes",),
    ],
)
def test_what_makes_no_sense_together_is_refused(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    assert run(tmp_path, "index", *wrong).exit_code == 2


def test_the_status_says_that_the_vectors_are_of_another_embedder(tmp_path: Path) -> None:
    from engine.sources.library import Library

    (tmp_path / "lamp.md").write_text("The lamp burns oil.")
    library = Library(tmp_path / "data" / "libraries", embedder=HashEmbedder())
    library.index([tmp_path / "lamp.md"])
    library.close()
    done = run(tmp_path, "index", "--status")
    assert done.exit_code == 0 and "made by hashing" in done.stdout and "--re-embed" in done.stdout
    told = LibraryOpened("default", 1, 1, 0, note="The vectors are of another embedder.")
    assert "The vectors are of another embedder." in _told(told)


def _told(event: Event) -> str:
    out = io.StringIO()
    plain._tell(AppState(), AppState(), event, out)
    return out.getvalue()
