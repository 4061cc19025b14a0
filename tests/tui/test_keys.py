"""Every key does what it says, in the app, with the run it is pressed in. The last test counts that none is left out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from engine import config_file
from engine.doctor import checks
from engine.export import FORMS
from engine.protocol import (
    AnswerNow,
    ApprovalGiven,
    ApprovalNeeded,
    Approve,
    Ask,
    CancelPull,
    CheckModel,
    Continue,
    EngineStopped,
    Event,
    Fork,
    NetworkEntry,
    OpenPage,
    OpenSession,
    PauseIndex,
    Policy,
    Price,
    PullModel,
    Redo,
    RemoveModel,
    RunEnded,
    SessionOpened,
    SetMark,
    SetMasking,
    SetWeb,
    ShowPrompt,
    Stop,
    Undo,
    UseModel,
)
from engine.protocol import Network as NetworkEvent
from engine.sessions import Journal
from tests.tui import fakes, kept
from tests.tui.models_told import PULLING
from tui import keys
from tui.app import DeepSearchApp
from tui.safe import Plain
from tui.screens import network
from tui.screens.again import AskAgain
from tui.screens.compare import Choose, Compare
from tui.screens.doctor import Doctor
from tui.screens.fork import ForkForm
from tui.screens.help import Help
from tui.screens.indexing import IndexPrompt
from tui.screens.models import Models
from tui.screens.network import Approval, Network
from tui.screens.prompt import PromptView
from tui.screens.reader import Reader
from tui.screens.sessions import Sessions
from tui.screens.settings import SettingsScreen
from tui.screens.whatif import WhatIf
from tui.widgets.context_map import ContextMap
from tui.widgets.detail import Detail
from tui.widgets.document import Document
from tui.widgets.folds import Folds
from tui.widgets.prompt import Prompt
from tui.widgets.rows import RowList
from tui.widgets.turns import Turns

OTHERS = (
    *keys.READER,
    *keys.VIEW,
    *keys.SESSIONS,
    *keys.APPROVAL,
    *keys.NETWORK,
    *keys.SETTINGS,
    *keys.DOCTOR,
    *keys.MODELS,
    *keys.WHATIF,
    *keys.COMPARE,
)
"""Keys of the screens in front of the main one."""

Test = Callable[["Driven"], Awaitable[None]]
TESTS: dict[str, tuple[Sequence[Event], Test]] = {}
"""id of a key: the events told before, and what pressing it must do."""


class Driven:
    """The app, its pilot and its door."""

    def __init__(self, app: DeepSearchApp, pilot: Pilot[None], data: Path, patch: pytest.MonkeyPatch) -> None:
        self.app, self.pilot, self.data, self.patch = app, pilot, data, patch

    @property
    def door(self) -> fakes.ScriptedDoor:
        assert isinstance(self.app.door, fakes.ScriptedDoor)
        return self.app.door

    async def press(self, *names: str) -> None:
        await self.pilot.press(*names)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        await fakes.until_true(self.pilot, condition)

    @property
    def config(self) -> Path:
        """The settings file, beside the data."""
        return self.data / "config.toml"

    def focused(self, kind: type) -> bool:
        return isinstance(self.app.screen.focused, kind)

    @property
    def context(self) -> ContextMap:
        return self.app.screen.query_one(ContextMap)

    @property
    def turns(self) -> Turns:
        return self.app.screen.query_one(Turns)


@asynccontextmanager
async def driven(data: Path, told: Sequence[Event], patch: pytest.MonkeyPatch) -> AsyncIterator[Driven]:
    app = fakes.make_app(data, fakes.READY, told)
    async with app.run_test(size=(160, 50), notifications=True) as pilot:
        await fakes.settled(pilot, app, told)
        await fakes.until_true(pilot, lambda: not told or app.state.run is not None)
        if told and not isinstance(app.screen.focused, Turns):
            await pilot.press("escape", "1")
        await pilot.pause()
        yield Driven(app, pilot, data, patch)


def key(id: str, told: Sequence[Event] = fakes.RUN) -> Callable[[Test], Test]:
    def remember(test: Test) -> Test:
        TESTS[id] = (told, test)
        return test

    return remember


@pytest.mark.parametrize("id", [key.id for key in (*keys.ALL, *keys.SCROLLS, *OTHERS)])
async def test_key(id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, test = TESTS[id]
    async with driven(tmp_path, told, monkeypatch) as app:
        await test(app)


def test_no_key_means_two_things_on_one_screen() -> None:
    taken: dict[str, str] = {}
    for each in (*keys.SCREEN, *keys.APP):
        for name in each.keys.split(","):
            assert name not in taken or {taken[name], each.id} == {"run.stop", "back"}
            taken[name] = each.id


def test_every_key_explains_itself() -> None:
    every = (*keys.ALL, *OTHERS)
    assert all(each.tooltip.endswith(".") and each.group in keys.GROUPS and each.description for each in every)
    ids = [each.id for each in every]
    assert len(ids) == len(set(ids))


# ── the prompt ───────────────────────────────────────────────────────────────────────────────────


@key("run.send", ())
async def _(app: Driven) -> None:
    await app.press(*"why", "enter")
    assert app.door.last() == Ask("why")


@key("run.newline", ())
async def _(app: Driven) -> None:
    await app.press("a", "ctrl+j", "b")
    assert app.app.screen.query_one(Prompt).text == "a\nb"
    assert app.door.commands == []


@key("prompt")
async def _(app: Driven) -> None:
    await app.press("i", "x")
    assert app.focused(Prompt)
    assert app.app.screen.query_one(Prompt).text == "x"


# ── the web ──────────────────────────────────────────────────────────────────────────────────────

QUERY = ApprovalNeeded("7", "query", "keeper [of] the lamp", "searx.lan")
PAGE = ApprovalNeeded("8", "host", "http://site.test/lamps", "site.test")


@key("web.mode")
async def _(app: Driven) -> None:
    for mode in ("ask", "on", "off"):
        await app.press("w")
        assert app.door.last() == SetWeb(mode)
        await app.until(lambda: f"web {mode}" in status_of(app))  # noqa: B023 - called in this round


@key("web.network")
async def _(app: Driven) -> None:
    await app.press("n")
    await app.until(lambda: isinstance(app.app.screen, Network))
    await app.until(lambda: "Nothing was sent" in shown(app))
    entry = NetworkEntry(
        fakes.START, "page", "GET", "http://site.test/[b]x", "site.test", "93.184.215.14", 200, 1234, 0.5, "read"
    )
    app.door.tell([NetworkEvent(entry, session=fakes.SESSION)])
    await app.until(lambda: "GET http://site.test/[b]x" in shown(app))
    assert "read · 93.184.215.14 · 1,234 bytes · 0.5s" in shown(app)


@key("network.back")
async def _(app: Driven) -> None:
    for name in ("escape", "q"):
        await app.press("n")
        await app.until(lambda: isinstance(app.app.screen, Network))
        await app.press(name)
        await app.until(lambda: not isinstance(app.app.screen, Network))


async def asked(app: Driven, *needed: ApprovalNeeded) -> None:
    """The question is on the screen, and so long that a key is meant for it."""
    app.patch.setattr(network, "GRACE", math.inf)
    app.door.tell(needed)
    await app.until(lambda: isinstance(app.app.screen, Approval))
    assert needed[0].text in app.app.screen.query_one("#approval-text", Plain).render().plain
    await app.press("y", "n")
    assert not any(isinstance(command, Approve) for command in app.door.commands), "too soon to be meant for it"
    app.patch.setattr(network, "GRACE", -1)


@key("approval.yes", fakes.RUNNING)
async def _(app: Driven) -> None:
    await asked(app, QUERY, PAGE)
    await app.press("y", "y")
    assert [each for each in app.door.commands if isinstance(each, Approve)] == [Approve("7", True)]
    app.door.tell([ApprovalGiven("7", "query", QUERY.text, QUERY.host, True)])
    await app.until(lambda: PAGE.text in shown(app))
    assert isinstance(app.app.screen, Approval), "the next one comes up by itself"


@key("approval.no", fakes.RUNNING)
async def _(app: Driven) -> None:
    await asked(app, QUERY)
    assert "waits for your word" in status_of(app)
    await app.press("n")
    assert app.door.last() == Approve("7", False)
    app.door.tell([ApprovalGiven("7", "query", QUERY.text, QUERY.host, False)])
    await app.until(lambda: not isinstance(app.app.screen, Approval))


@key("approval.stop", fakes.RUNNING)
async def _(app: Driven) -> None:
    await asked(app, QUERY)
    await app.press("escape")
    assert app.door.last() == Stop()
    app.door.tell([RunEnded("stopped", 3, 1.0, session=fakes.SESSION, run=1)])
    await app.until(lambda: not isinstance(app.app.screen, Approval))


def status_of(app: Driven) -> str:
    return (
        next(each.query_one("#status", Plain) for each in app.app.screen_stack if each.query("#status")).render().plain
    )


def shown(app: Driven) -> str:
    """All text of the screen in front."""
    rows = [row.content.plain for each in app.app.screen.query(RowList) for row in each.rows]
    return "\n".join([*rows, *(each.render().plain for each in app.app.screen.query(Plain))])


async def test_an_engine_that_was_started_again_is_told_what_the_web_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driven(tmp_path, fakes.RUN, monkeypatch) as app:
        await app.press("w")
        await app.until(lambda: "web ask" in status_of(app))
        count = len(app.door.commands)
        app.door.tell([EngineStopped("it died", restarting=True), fakes.READY[0]])
        await app.until(lambda: app.door.commands[count:] == [SetWeb("ask")])


# ── masking ──────────────────────────────────────────────────────────────────────────────────────


@key("mask.toggle", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("2")
    app.context.select("6")
    await app.press("m")
    assert app.door.last() == Price(6, "mask")
    await app.until(lambda: "mask 6: frees 980 tokens" in status_of(app) and "3.0 s of re-reading" in status_of(app))
    assert "→ masked" not in row_of(app, "6")
    await app.press("m")
    assert app.door.last() == SetMark(6, "mask")
    await app.until(lambda: "→ masked" in row_of(app, "6"))
    await app.press("m", "m")
    assert app.door.last() == SetMark(6, "unmask")


@key("mask.pin", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("2")
    app.context.select("5")
    await app.press("p", "p")
    assert app.door.commands == [Price(5, "pin"), SetMark(5, "pin")]
    await app.until(lambda: "→ pinned" in row_of(app, "5"))
    await app.press("p", "p")
    assert app.door.last() == SetMark(5, "none")


@key("mask.wider", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("plus")
    assert app.door.last() == Price(policy=Policy(window=3))
    await app.press("plus")
    assert app.door.last() == SetMasking(Policy(window=3))
    await app.until(lambda: "window: last 3 turns → next turn" in row_of(app, "edge"))


@key("mask.narrower", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("minus")
    for window in (1, 0):
        await app.press("minus")
        assert app.door.last() == SetMasking(Policy(window=window)), "once taken, each press is a turn less"
        await app.until(lambda: app.app.state.policy.window == window)  # noqa: B023 - called in this round
    await app.press("minus")
    assert app.door.last() == SetMasking(Policy(window=0))
    assert "window off" in row_of(app, "edge")


@key("mask.all", fakes.RUN)
async def _(app: Driven) -> None:
    await app.press("U")
    assert "unmask all 3: takes 4,627 tokens" in status_of(app)
    await app.press("U")
    assert app.door.last() == SetMark(1, "unmask", also=(2, 5))
    await app.until(lambda: app.app.state.run and app.app.state.run.hidden == 0)


@key("mask.undo", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("2")
    app.context.select("6")
    await app.press("m", "m", "u")
    assert app.door.last() == Undo()
    await app.until(lambda: "→" not in row_of(app, "6"))
    assert any("taken back: mask 6" in row.content.plain for row in app.turns.rows)


@key("mask.redo", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("plus", "plus", "u", "ctrl+r")
    assert app.door.last() == Redo()
    await app.until(lambda: app.app.state.policy.window == 3)


@key("prompt.view")
async def _(app: Driven) -> None:
    await viewing(app)
    assert app.door.commands[0] == ShowPrompt(fakes.SESSION, 1, 7)


def row_of(app: Driven, row: str) -> str:
    return next(each.content.plain for each in app.context.rows if each.id == row)


# ── sources and the answer ───────────────────────────────────────────────────────────────────────


@key("source.open")
async def _(app: Driven) -> None:
    await app.press("4", "tab", "down", "down", "o")
    assert app.door.last() == OpenPage("docs/masking.md", "default")
    await app.until(lambda: isinstance(app.app.screen, Reader))


@key("copy")
async def _(app: Driven) -> None:
    await app.press("4", "y")
    assert app.app.clipboard == fakes.ANSWER
    await app.press("2")
    app.context.select("5")
    await app.press("y")
    assert app.app.clipboard.startswith("[5] find")


@key("export")
async def _(app: Driven) -> None:
    await app.press("e")
    file = app.data / "exports" / f"{fakes.SESSION}.md"
    await app.until(file.exists)
    await app.until(lambda: fakes.QUESTION in file.read_text())


@key("find")
async def _(app: Driven) -> None:
    await app.press("slash", *"keys", "enter", "escape")
    assert app.focused(Turns)
    assert app.turns.selected == (1, 5, 0)


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


@key("run.stop", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("escape")
    assert app.door.commands == [Stop()]
    await app.press("escape")
    assert app.door.commands == [Stop()]


@key("back")
async def _(app: Driven) -> None:
    await app.press("i", "escape")
    assert not app.focused(Prompt)
    await app.press("1", "home", "enter")
    assert app.focused(Detail)
    await app.press("escape")
    assert not app.app.screen.query_one("#main").has_class("-detail")


@key("run.answer", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("a")
    assert app.door.commands == [AnswerNow()]


@key("run.continue", (*fakes.RUNNING, RunEnded("stopped", 5, 9.0, session=fakes.SESSION, run=1)))
async def _(app: Driven) -> None:
    await app.press("1", "c")
    assert app.door.last() == Continue(fakes.SESSION)


# ── panes ────────────────────────────────────────────────────────────────────────────────────────


def _pane(number: str, id: str) -> None:
    @key(f"pane.{id if id != 'answer-scroll' else 'answer'}")
    async def _(app: Driven) -> None:
        await app.press(number)
        assert app.app.screen.focused is app.app.screen.query_one(f"#{id}")


for _number, _id in (("1", "turns"), ("2", "context"), ("3", "sources"), ("4", "answer-scroll")):
    _pane(_number, _id)


@key("pane.next")
async def _(app: Driven) -> None:
    assert await round_trip(app, "tab") == ["answer-scroll", "citations", "context", "sources", "prompt", "turns"]


@key("pane.previous")
async def _(app: Driven) -> None:
    assert await round_trip(app, "shift+tab") == ["prompt", "sources", "context", "citations", "answer-scroll", "turns"]


async def round_trip(app: Driven, name: str) -> list[str]:
    seen = []
    for _ in range(6):
        await app.press(name)
        seen.append(str(app.app.screen.focused.id) if app.app.screen.focused else "")
    return seen


# ── moving ───────────────────────────────────────────────────────────────────────────────────────


@key("move.down")
async def _(app: Driven) -> None:
    await app.press("g", "j", "down")
    assert app.turns.selected == (1, 3, 0)


@key("move.up")
async def _(app: Driven) -> None:
    await app.press("G", "k", "up")
    assert app.turns.selected == (1, 5, 0)


@key("move.first")
async def _(app: Driven) -> None:
    await app.press("G", "g")
    assert app.turns.selected == (1, 1, 0)


@key("move.last", fakes.RUNNING)
async def _(app: Driven) -> None:
    await app.press("g")
    assert not app.turns.following
    await app.press("G")
    assert app.turns.following
    assert app.turns.selected == (1, 6, 0)


@key("move.page_down")
async def _(app: Driven) -> None:
    await app.press("g", "pagedown")
    assert app.turns.selected > (1, 1, 0)


@key("move.page_up")
async def _(app: Driven) -> None:
    await app.press("G", "pageup")
    assert app.turns.selected < (1, 7, 0)


@key("move.select")
async def _(app: Driven) -> None:
    await app.press("g", "enter")
    assert app.focused(Detail)
    assert app.app.screen.query_one(Detail).number == 1


LONG = "\n".join(f"line {number} of the document" for number in range(1, 301))


async def reading(app: Driven) -> Document:
    app.app.push_screen(Reader("Long", "docs/long.md", LONG, 1, [(40, 42), (80, 81)]))
    await app.until(lambda: isinstance(app.app.screen, Reader) and app.app.screen.query(Document))
    await app.pilot.pause()
    return app.app.screen.query_one(Document)


@key("scroll.down")
async def _(app: Driven) -> None:
    document = await reading(app)
    await app.press("j", "down")
    await app.until(lambda: document.top == 3)


@key("scroll.up")
async def _(app: Driven) -> None:
    document = await reading(app)
    document.go_to(100, above=0)
    await app.press("k", "up")
    await app.until(lambda: document.top == 98)


@key("scroll.first")
async def _(app: Driven) -> None:
    document = await reading(app)
    document.go_to(100)
    await app.press("g")
    await app.until(lambda: document.top == 1)


@key("scroll.last")
async def _(app: Driven) -> None:
    document = await reading(app)
    await app.press("G")
    await app.until(lambda: document.scroll_y == document.max_scroll_y > 0)


# ── the reader ───────────────────────────────────────────────────────────────────────────────────


@key("reader.back")
async def _(app: Driven) -> None:
    await reading(app)
    await app.press("escape")
    assert not isinstance(app.app.screen, Reader)


@key("reader.find")
async def _(app: Driven) -> None:
    document = await reading(app)
    await app.press("slash", *"line 200 ")
    assert document.found == [200]
    await app.until(lambda: document.top == 198)
    await app.press("escape", "j")
    assert app.focused(Document)


@key("reader.next")
async def _(app: Driven) -> None:
    document = await reading(app)
    await app.press("n", "n")
    await app.until(lambda: document.top == 78)


@key("reader.previous")
async def _(app: Driven) -> None:
    document = await reading(app)
    await app.press("n", "n", "N")
    await app.until(lambda: document.top == 38)


@key("reader.copy")
async def _(app: Driven) -> None:
    await reading(app)
    await app.press("y")
    lines = [f"line {number} of the document" for number in (40, 41, 42)]
    second = ["line 80 of the document", "line 81 of the document", "(docs/long.md L80-L81)"]
    assert app.app.clipboard.splitlines() == [*lines, "(docs/long.md L40-L42)", "", *second]
    await app.press("n", "n", "y")
    assert app.app.clipboard.splitlines() == second, "at a citation, it alone"


async def original(app: Driven, uri: str) -> None:
    opened: list[Path] = []
    app.patch.setattr(DeepSearchApp, "open_document", lambda self, path: opened.append(path))
    await app.press("O")
    await app.until(lambda: opened)
    assert opened == [Path(uri)]


@key("source.original")
async def _(app: Driven) -> None:
    await app.press("3", "home")
    await original(app, "docs/masking.md")


@key("reader.original")
async def _(app: Driven) -> None:
    await reading(app)
    await original(app, "docs/long.md")


# ── the exact prompt ─────────────────────────────────────────────────────────────────────────────


async def viewing(app: Driven) -> Folds:
    """The prompt of the last turn, beside that of the turn before."""
    await app.press("v")
    await app.until(lambda: isinstance(app.app.screen, PromptView) and app.app.screen.query_one(Folds).block)
    await app.pilot.pause()
    return app.app.screen.query_one(Folds)


def title_of(app: Driven) -> str:
    return app.app.screen.query_one("#prompt-title", Plain).render().plain


def since_of(app: Driven) -> str:
    return app.app.screen.query_one("#prompt-difference", Plain).render().plain


@key("view.back")
async def _(app: Driven) -> None:
    for name in ("escape", "q", "v"):
        await viewing(app)
        await app.press(name)
        await app.until(lambda: not isinstance(app.app.screen, PromptView))


@key("view.fold")
async def _(app: Driven) -> None:
    folds = await viewing(app)
    assert folds.block is not None and folds.block.label == "system message"
    before = folds.opened
    for name in ("enter", "space"):
        await app.press(name)
        assert (folds.block.id in folds.opened) is (name == "enter")
    assert folds.opened == before


@key("view.fold_all")
async def _(app: Driven) -> None:
    folds = await viewing(app)
    some = len(folds.opened)
    await app.press("z")
    assert len(folds.opened) > some
    await app.press("z")
    assert folds.opened == frozenset()


@key("view.next")
async def _(app: Driven) -> None:
    await viewing(app)
    await app.press("left_square_bracket", "left_square_bracket", "right_square_bracket")
    await app.until(lambda: "Prompt of turn 6" in title_of(app) and "since turn 5" in since_of(app))


@key("view.previous")
async def _(app: Driven) -> None:
    await viewing(app)
    assert "Prompt of turn 7" in title_of(app) and "since turn 6" in since_of(app)
    await app.press(*["left_square_bracket"] * 6)
    await app.until(lambda: "Prompt of turn 1" in title_of(app) and "the first" in since_of(app))


@key("view.earlier")
async def _(app: Driven) -> None:
    await viewing(app)
    await app.press("left_curly_bracket", "left_curly_bracket")
    await app.until(lambda: "since turn 4" in since_of(app))
    assert "Prompt of turn 7" in title_of(app)
    assert "⊘ 3 masked" in since_of(app)


@key("view.later")
async def _(app: Driven) -> None:
    await viewing(app)
    await app.press("left_square_bracket", "left_square_bracket", "right_curly_bracket")
    await app.until(lambda: "since turn 6" in since_of(app))
    assert "Prompt of turn 5" in title_of(app)
    assert "- 3 gone" in since_of(app) and "↩ 1 back" in since_of(app)


@key("view.change")
async def _(app: Driven) -> None:
    folds = await viewing(app)
    labels = []
    for _ in range(4):
        await app.press("n")
        assert folds.block is not None
        labels.append(folds.block.label)
    assert labels == [
        "observation 5 · text",
        "turn 6 · what it wrote",
        "observation 7 · header",
        "observation 7 · text",
    ]


@key("view.change_before")
async def _(app: Driven) -> None:
    folds = await viewing(app)
    await app.press("n", "n", "N")
    assert folds.block is not None and folds.block.label == "observation 5 · text"


@key("view.find")
async def _(app: Driven) -> None:
    folds = await viewing(app)
    await app.press("slash", *"pinning")
    assert folds.block is not None and folds.block.label == "turn 4 · what it wrote"
    assert folds.block.id in folds.opened, "what was folded is opened where the words are"
    await app.press("escape", "n")
    assert app.focused(Folds)


@key("view.copy")
async def _(app: Driven) -> None:
    await viewing(app)
    await app.press("j", "y")
    assert app.app.clipboard == fakes.QUESTION


@key("view.copy_all")
async def _(app: Driven) -> None:
    await viewing(app)
    await app.press("Y")
    assert app.app.clipboard.startswith("<|system|>\nYou answer questions from documents.")
    assert "L19: shows the change at once as pending." in app.app.clipboard
    assert "one row for each observation" not in app.app.clipboard.casefold(), "what is masked was not read"


@key("view.template")
async def _(app: Driven) -> None:
    folds = await viewing(app)
    await app.press("t", "g")
    assert folds.block is not None and folds.block.label == "template"
    await app.press("t")
    assert folds.block is not None and folds.block.label != "template"


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


async def listing(app: Driven) -> Sessions:
    """The sessions screen over a journal that holds the recorded run."""
    journal = Journal(app.data / "sessions.db")
    for title in ("first", "second"):
        session = journal.create(title)
        for event in fakes.RUN:
            journal.append(dataclasses.replace(event, session=session))
    journal.close()
    await app.press("ctrl+s")
    await app.until(lambda: isinstance(app.app.screen, Sessions) and listed(app))
    assert isinstance(app.app.screen, Sessions)
    return app.app.screen


def listed(app: Driven) -> list[str]:
    rows = app.app.screen.query_one("#sessions-list", RowList)
    return [row.content.plain.splitlines()[0] for row in rows.rows if row.id]


@key("session.list")
async def _(app: Driven) -> None:
    await listing(app)
    assert sorted(listed(app)) == ["first", "second"]
    await app.press("enter")
    await app.until(lambda: not isinstance(app.app.screen, Sessions))
    assert type(app.door.last()).__name__ == "OpenSession"


@key("sessions.back")
async def _(app: Driven) -> None:
    await listing(app)
    await app.press("escape")
    assert not isinstance(app.app.screen, Sessions)


@key("sessions.find")
async def _(app: Driven) -> None:
    await listing(app)
    await app.press("slash", *"zebra")
    await app.until(lambda: listed(app) == [])
    await app.press(*["backspace"] * 5, *"transcript")
    await app.until(lambda: len(listed(app)) == 2)
    await app.press("enter")
    assert not app.focused(Input)


@key("sessions.delete")
async def _(app: Driven) -> None:
    await listing(app)
    await app.press("d", "n")
    assert len(listed(app)) == 2
    await app.press("d", "y")
    await app.until(lambda: len(listed(app)) == 1)


@key("sessions.rename")
async def _(app: Driven) -> None:
    await listing(app)
    title = listed(app)[0]
    await app.press("r", *" anew", "enter")
    await app.until(lambda: f"{title} anew" in listed(app))


@key("sessions.tag")
async def _(app: Driven) -> None:
    await listing(app)
    title = listed(app)[0]
    await app.press("t", *"Lamp, oil", "enter")
    await app.until(lambda: f"{title}  #lamp  #oil" in listed(app))
    await app.press("slash", *"#oi")
    await app.until(lambda: len(listed(app)) == 1)


@key("sessions.export")
async def _(app: Driven) -> None:
    await listing(app)
    await app.press("e")
    await app.until(lambda: app.app.screen.query("#choices"))
    names = [row.id for row in app.app.screen.query_one(RowList).rows]
    assert names == list(FORMS)
    await app.press("down", "enter")
    await app.until(lambda: list((app.data / "exports").glob(f"*.{list(FORMS.values())[1].ending}")))


@key("sessions.continue")
async def _(app: Driven) -> None:
    journal = Journal(app.data / "sessions.db")
    session = journal.create("cut off")
    for event in fakes.RUNNING:
        journal.append(dataclasses.replace(event, session=session))
    journal.close()
    await app.press("ctrl+s")
    await app.until(lambda: isinstance(app.app.screen, Sessions) and listed(app))
    assert listed(app) == ["cut off  not finished, c continues"]
    app.door.plays = (SessionOpened("cut off", True, session=session),)
    await app.press("c")
    await app.until(lambda: app.door.last() == Continue(session))
    assert app.door.commands[-2] == OpenSession(session)


# ── the settings and the doctor ──────────────────────────────────────────────────────────────────


async def setting(app: Driven, name: str) -> Callable[[], str]:
    """The settings screen with this one selected; gives its row as it is shown."""
    await app.press("f2")
    await app.until(lambda: isinstance(app.app.screen, SettingsScreen) and app.app.screen.query(RowList))
    rows = app.app.screen.query_one(RowList)
    await app.until(lambda: rows.row)
    rows.select(name)
    await app.pilot.pause()
    return lambda: " ".join(next(row.content.plain for row in rows.rows if row.id == name).split())


@key("app.settings")
async def _(app: Driven) -> None:
    row = await setting(app, "window")
    await app.press("enter", "backspace", "9", "enter")
    await app.until(lambda: row() == "window 9 file")
    assert app.door.last() == SetMasking(Policy(window=9)), "it holds at once"
    assert config_file.read(app.config) == {"window": 9}
    await app.press("enter", "x", "enter")
    await app.until(lambda: "not a whole number" in shown(app))
    assert config_file.read(app.config) == {"window": 9}


@key("settings.back")
async def _(app: Driven) -> None:
    await setting(app, "model")
    await app.press("enter", "escape")
    assert isinstance(app.app.screen, SettingsScreen), "out of the line first"
    await app.press("escape")
    assert not isinstance(app.app.screen, SettingsScreen)


@key("settings.next")
async def _(app: Driven) -> None:
    row = await setting(app, "theme")
    await app.press("right")
    await app.until(lambda: row() == "theme light file")
    assert app.app.theme == "textual-light"
    await app.press("space", "enter")
    await app.until(lambda: app.app.theme == "high-contrast")


@key("settings.previous")
async def _(app: Driven) -> None:
    row = await setting(app, "notify")
    await app.press("left")
    await app.until(lambda: row() == "notify no file")


@key("settings.reset")
async def _(app: Driven) -> None:
    row = await setting(app, "threads")
    await app.press("r")
    assert row() == "threads 0", "there is nothing to take out"
    await app.press("enter", "backspace", "3", "enter")
    await app.until(lambda: row() == "threads 3 from the next start on")
    assert config_file.read(app.config) == {"threads": 3}
    await app.press("r")
    await app.until(lambda: row() == "threads 0")
    assert config_file.read(app.config) == {}


@key("settings.copy")
async def _(app: Driven) -> None:
    await setting(app, "threads")
    await app.press("y")
    assert app.app.clipboard == str(app.config)


async def looked(app: Driven) -> str:
    await app.press("f3")
    await app.until(lambda: isinstance(app.app.screen, Doctor) and app.app.screen.query("#doctor-title"))
    await app.until(lambda: "looking" not in app.app.screen.query_one("#doctor-title", Plain).render().plain)
    return shown(app)


@key("app.doctor")
async def _(app: Driven) -> None:
    found = await looked(app)
    assert all(f"{each.name} " in found for each in checks(app.app._settings))


@key("doctor.again")
async def _(app: Driven) -> None:
    assert "no sessions yet" in await looked(app)
    Journal(app.data / "sessions.db").close()
    await app.press("r")
    await app.until(lambda: "0 sessions" in shown(app))


@key("doctor.copy")
async def _(app: Driven) -> None:
    await looked(app)
    await app.press("y")
    assert "journal: no sessions yet" in app.app.clipboard


@key("doctor.back")
async def _(app: Driven) -> None:
    await looked(app)
    await app.press("escape")
    assert not isinstance(app.app.screen, Doctor)


# ── models ───────────────────────────────────────────────────────────────────────────────────────


async def shelf(app: Driven, *down: str) -> None:
    """The models screen, with the list there and the cursor so far down."""
    await app.press("ctrl+o")
    await app.until(lambda: isinstance(app.app.screen, Models) and app.app.screen.selected is not None)
    await app.press(*down)


def models_of(app: Driven) -> Models:
    assert isinstance(app.app.screen, Models)
    return app.app.screen


@key("models", ())
async def _(app: Driven) -> None:
    await shelf(app)
    assert models_of(app).selected is not None


@key("models.back", ())
async def _(app: Driven) -> None:
    await shelf(app)
    await app.press("escape")
    assert not isinstance(app.app.screen, Models)


@key("models.use", ())
async def _(app: Driven) -> None:
    await shelf(app)
    await app.press("u")
    assert not isinstance(app.door.last(), UseModel), "it is in use"
    await app.press("j", "u")
    assert app.door.last() == UseModel("own.gguf")


@key("models.pull", ())
async def _(app: Driven) -> None:
    await shelf(app, "j", "j", "p")
    asked = "\n".join(str(each.visual) for each in app.app.screen.query(Plain))
    assert "Fetch granite-4.1-3b, 2.0 GB, 1.3 GB still missing, from huggingface.co?" in asked and "SHA-256" in asked
    await app.press("n")
    assert not isinstance(app.door.last(), PullModel)
    await app.press("p", "y")
    await app.until(lambda: app.door.last() == PullModel("granite-4.1-3b"))


@key("models.cancel", ())
async def _(app: Driven) -> None:
    await shelf(app)
    assert not models_of(app).check_action("cancel", ())
    app.door.tell([PULLING])
    await app.until(lambda: app.app.state.pull is not None)
    await app.press("x")
    assert app.door.last() == CancelPull()


@key("models.check", ())
async def _(app: Driven) -> None:
    await shelf(app, "j", "c")
    assert app.door.last() == CheckModel("own.gguf")


@key("models.remove", ())
async def _(app: Driven) -> None:
    await shelf(app, "d")
    assert isinstance(app.app.screen, Models), "the starter stays"
    await app.press("j", "d", "n")
    assert not isinstance(app.door.last(), RemoveModel)
    await app.press("d", "y")
    await app.until(lambda: app.door.last() == RemoveModel("own.gguf"))


# ── indexing ─────────────────────────────────────────────────────────────────────────────────────


@key("index.add")
async def _(app: Driven) -> None:
    await app.press("ctrl+l")
    await app.until(lambda: isinstance(app.app.screen, IndexPrompt))


@key("index.pause")
async def _(app: Driven) -> None:
    app.door.tell([fakes.INDEXING])
    await app.until(lambda: app.app.state.indexing is not None)
    await app.press("ctrl+t")
    assert app.door.last() == PauseIndex(True)


# ── the app ──────────────────────────────────────────────────────────────────────────────────────


@key("session.new")
async def _(app: Driven) -> None:
    await app.press("ctrl+n")
    assert app.app.state.run is None
    assert app.focused(Prompt)
    await app.press(*"next", "enter")
    assert app.door.last() == Ask("next")


@key("app.palette")
async def _(app: Driven) -> None:
    await app.press("ctrl+p")
    await app.until(lambda: type(app.app.screen).__name__ == "CommandPalette")
    await app.press(*"show the context", "escape")


@key("app.help")
async def _(app: Driven) -> None:
    await app.press("f1")
    assert isinstance(app.app.screen, Help)
    await app.press("escape", "question_mark")
    assert isinstance(app.app.screen, Help)


@key("app.interrupt")
async def _(app: Driven) -> None:
    await app.press("ctrl+c")
    assert app.app.return_code is None
    await app.press("ctrl+c")
    assert app.app.return_code == 0


@key("app.quit")
async def _(app: Driven) -> None:
    await app.press("i")
    assert isinstance(app.app.screen.focused, TextArea)
    await app.press("ctrl+q")
    assert app.app.return_code == 0


# ── runs beside runs ─────────────────────────────────────────────────────────────────────────────


@key("run.fork")
async def _(app: Driven) -> None:
    await app.press("f")
    assert isinstance(app.app.screen, ForkForm)


async def what_if(app: Driven) -> WhatIf:
    kept.keep(app.data, fakes.SESSION, fakes.RUN)
    await app.press("x")
    await app.until(lambda: isinstance(app.app.screen, WhatIf) and app.app.screen.both is not None)
    assert isinstance(app.app.screen, WhatIf)
    return app.app.screen


@key("run.whatif")
async def _(app: Driven) -> None:
    assert (await what_if(app)).window == 2


@key("whatif.wider")
async def _(app: Driven) -> None:
    screen = await what_if(app)
    await app.press("right", "l")
    assert screen.window == 4


@key("whatif.narrower")
async def _(app: Driven) -> None:
    screen = await what_if(app)
    await app.press("left")
    assert screen.window == 1
    await app.press("right", "right", "h")
    assert screen.window == 2


@key("whatif.back")
async def _(app: Driven) -> None:
    for back in ("escape", "q", "x"):
        if not isinstance(app.app.screen, WhatIf):
            app.app.push_screen(WhatIf(app.data / "sessions.db", fakes.SESSION, 1))
            await app.until(lambda: isinstance(app.app.screen, WhatIf))
        await app.press(back)
        assert not isinstance(app.app.screen, WhatIf)


@key("run.again")
async def _(app: Driven) -> None:
    await app.press("r")
    assert isinstance(app.app.screen, AskAgain)
    await app.press("down", "enter")
    assert app.door.last() == Fork(fakes.SESSION, 0, 1, policy=Policy(window=4))


@key("run.compare")
async def _(app: Driven) -> None:
    await app.press("b")
    await app.until(lambda: isinstance(app.app.screen, Choose))


@key("compare.back")
async def _(app: Driven) -> None:
    app.app.push_screen(Compare(app.data / "sessions.db", fakes.SESSION, fakes.SESSION))
    await app.until(lambda: isinstance(app.app.screen, Compare))
    await app.press("q")
    assert not isinstance(app.app.screen, Compare)


@key("sessions.compare")
async def _(app: Driven) -> None:
    kept.keep(app.data, fakes.SESSION, fakes.RUN)
    await app.press("ctrl+s")
    await app.until(lambda: isinstance(app.app.screen, Sessions) and app.app.screen.query_one(RowList).row)
    await app.press("b")
    await app.until(lambda: isinstance(app.app.screen, Choose))


def test_every_key_is_tested() -> None:
    assert set(TESTS) == {each.id for each in (*keys.ALL, *keys.SCROLLS, *OTHERS)}
