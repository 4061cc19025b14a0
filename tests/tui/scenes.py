"""Every screen of the app, and how to get there: one line each. Pictures and checks of all screens are made from this."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TextArea

from engine.doctor import Check
from engine.protocol import (
    ApprovalNeeded,
    EngineStopped,
    Event,
    ModelChecked,
    NetworkEntry,
    RunEnded,
)
from engine.protocol import Network as NetworkEvent
from engine.protocol import ReembedCost as Cost
from engine.sessions import Journal
from engine.settings import Settings
from tests import record
from tests.tui import fakes, kept, looks
from tests.tui.models_told import MODELS, PULLING
from tui.app import DeepSearchApp
from tui.screens.again import AskAgain
from tui.screens.compare import Choose, Compare
from tui.screens.confirm import Ask, Confirm, Pick
from tui.screens.doctor import Doctor
from tui.screens.fork import ForkForm
from tui.screens.help import Help
from tui.screens.indexing import IndexPrompt, ReembedQuestion
from tui.screens.models import Checked, Models
from tui.screens.network import Approval, Network
from tui.screens.prompt import PromptView
from tui.screens.reader import Reader
from tui.screens.research import Research
from tui.screens.sessions import Sessions
from tui.screens.settings import SettingsScreen
from tui.screens.small import TooSmall
from tui.screens.whatif import WhatIf
from tui.widgets.folds import Folds
from tui.widgets.rows import RowList

Size = tuple[int, int]

SIZES: dict[str, Size] = {"narrow": (80, 24), "medium": (120, 40), "wide": (160, 50)}
NARROW: dict[str, Size] = {"narrow": SIZES["narrow"]}
ENDS: dict[str, Size] = {name: SIZES[name] for name in ("narrow", "wide")}
WIDE: dict[str, Size] = {"wide": SIZES["wide"]}
TINY: dict[str, Size] = {"tiny": SIZES["narrow"]}
"""Where it begins; the way there makes it smaller than the app can be used."""


@dataclass(frozen=True)
class Stage:
    """The app under way in a test, and its data folder."""

    app: DeepSearchApp
    pilot: Pilot[None]
    data: Path

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        await fakes.until_true(self.pilot, condition)

    async def front(self, kind: type[Screen[object]]) -> None:
        """Wait for a screen to be in front."""
        await self.until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted)

    async def listed(self, rows: int = 1, id: str = "") -> None:
        """Wait for the rows of a list of the screen in front."""

        def there() -> bool:
            found = self.app.screen.query(f"#{id}" if id else "RowList").results(RowList)
            return any(sum(row.enabled for row in each.rows) >= rows and each.row for each in found)

        await self.until(there)

    def tell(self, *events: Event) -> None:
        assert isinstance(self.app.door, fakes.ScriptedDoor)
        self.app.door.tell(events)

    async def settle(self) -> None:
        """Wait until nothing moves: no cursor blinks, the keys at the bottom are there."""
        for each in (*self.app.screen.query(Input), *self.app.screen.query(TextArea)):
            each.cursor_blink = False
        await self.until(self._keys_are_there)
        await fakes.still(self.pilot, self.app)

    def _keys_are_there(self) -> bool:
        bars = [each.region for each in self.app.screen.query("Footer, KeyBar") if each.region]
        lines = looks.characters(looks.grid(self.app)).split("\n") if bars else []
        return all(lines[bar.y].strip() for bar in bars)


Go = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """A screen, what was told before, and the way there. ``saved``: the run is also in the journal, beside another.
    ``anew``: it keeps the colours it was opened in, so it is opened again for each theme.

    Each screen is seen at three sizes, what else can be seen on it at two or one, and a box in front at the smallest.
    """

    shows: type[Screen[object]]
    told: Sequence[Event]
    go: Go
    saved: bool = False
    anew: bool = False
    sizes: dict[str, Size] = dataclasses.field(default_factory=lambda: SIZES)


def press(*keys: str, until: Callable[[DeepSearchApp], object] | None = None) -> Go:
    """The way is a few keys."""

    async def go(stage: Stage) -> None:
        await stage.press(*keys)
        if until is not None:
            await stage.until(lambda: until(stage.app))

    return go


def push(make: Callable[[Stage], Screen[object]], rows: int = 0) -> Go:
    """The screen is pushed, as the app does in a place that is hard to get to."""

    async def go(stage: Stage) -> None:
        stage.app.push_screen(made := make(stage))
        await stage.until(lambda: stage.app.screen is made and made.is_mounted)
        if rows:
            await stage.listed(rows)

    return go


def tell(*events: Event, keys: Sequence[str] = (), until: Callable[[DeepSearchApp], object] | None = None) -> Go:
    """The engine tells something more."""

    async def go(stage: Stage) -> None:
        stage.tell(*events)
        await stage.press(*keys)
        if until is not None:
            await stage.until(lambda: until(stage.app))

    return go


# ── what is on the screens ───────────────────────────────────────────────────────────────────────

SETTINGS = Settings(data_dir=Path("/data"), config_file=Path("/data/config.toml"), window=6)
NAMES = ("model", "context", "library", "web", "window", "theme", "notify", "keys", "data_dir")
"""Some settings, so that a new one does not change every picture."""

CHECKS = (
    Check("settings", True, "/data/config.toml"),
    Check("disk", True, "68.0 GB free"),
    Check("model", False, "there is no file m.gguf", "Name another with --model."),
    Check("library", None, "default holds no documents", "Index some: deepsearch-tui index PATH"),
)
ASKED = ApprovalNeeded(
    session=fakes.SESSION, run=1, request="7", what="query", text="keeper [of] the lamp", host="searx.lan"
)
_QUERY = ("query", "GET", "http://searx.lan/search?q=keeper", "searx.lan", "192.168.7.7", 200, 8_120)
_PAGE = ("page", "GET", "http://site.test/[b]x", "site.test", "93.184.215.14", 200, 1_234, 0.5, "read")
_REFUSED = ("page", "GET", "http://inner.test/", "inner.test", "", 0, -1, 0.1, "refused: a private address")
SENT = (
    NetworkEntry(fakes.START, *_QUERY),
    NetworkEntry(fakes.START + 2, *_PAGE),
    NetworkEntry(fakes.START + 3, *_REFUSED),
)
STOPPED: tuple[Event, ...] = (
    *fakes.RUNNING,
    RunEnded("stopped", 5, 41.0, session=fakes.SESSION, run=1, turn=6, seq=999, at=fakes.START + 41),
)
LOST: tuple[Event, ...] = (*fakes.RUNNING, EngineStopped("it was killed by SIGKILL", restarting=False))
RECORDED = record.recorded()
CITED = ((8, 10), (17, 18))
CHECKED = ModelChecked(
    "qwen3-4b-instruct", ("reads 99 tokens a second", "after a mask: 71 tokens taken out of its cache")
)


# ── the ways that are longer ─────────────────────────────────────────────────────────────────────


class _NoCaches:
    def forget(self, session: str) -> None: ...


async def _sessions(stage: Stage) -> None:
    journal = Journal(stage.data / "sessions.db")
    for number, (title, told, tags) in enumerate(
        ((fakes.QUESTION, fakes.RUN, ["masking", "paper"]), ("Which files can be indexed?", fakes.RUNNING, []))
    ):
        session = journal.create(title)
        for event in told:
            journal.append(dataclasses.replace(event, session=session, at=event.at + 3600 * number))
        journal.tag(session, tags)
    journal.close()
    await push(lambda stage: Sessions(stage.data / "sessions.db", _NoCaches(), stage.data), rows=2)(stage)
    await stage.press("slash", *"transcript", "enter")
    await stage.until(lambda: "read: " in stage.app.screen.query_one(RowList).rows[0].content.plain)


async def _models(stage: Stage) -> None:
    await stage.press("ctrl+o")
    await stage.until(lambda: isinstance(stage.app.screen, Models) and stage.app.screen.selected is not None)
    await stage.press("j", "j")
    await stage.until(lambda: isinstance(stage.app.screen, Models) and stage.app.screen.selected == MODELS[2])


async def _fetching(stage: Stage) -> None:
    await _models(stage)
    stage.tell(PULLING)
    await stage.until(lambda: stage.app.screen.query_one("#models-pull").display)


async def _checked(stage: Stage) -> None:
    await _models(stage)
    stage.tell(CHECKED)
    await stage.front(Checked)


async def _what_if(stage: Stage) -> None:
    await stage.press("escape", "1", "x")
    await stage.until(lambda: isinstance(stage.app.screen, WhatIf) and stage.app.screen.both is not None)
    await stage.press("right")


async def _choose(stage: Stage) -> None:
    await stage.press("escape", "1", "b")
    await stage.front(Choose)
    await stage.listed()


async def _compare(stage: Stage) -> None:
    await _choose(stage)
    await stage.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, Compare) and stage.app.screen.measures)


async def _network(stage: Stage) -> None:
    stage.tell(*(NetworkEvent(entry, session=fakes.SESSION, run=1) for entry in SENT))
    await stage.until(lambda: len(stage.app.state.network) == len(SENT))
    await stage.press("escape", "n")
    await stage.front(Network)


async def _palette(stage: Stage) -> None:
    await stage.press("escape", "1", "ctrl+p")
    await stage.front(CommandPalette)
    await stage.until(lambda: stage.app.screen.query_one(CommandList).option_count > 5)
    await stage.press("down")


async def _shrink(stage: Stage) -> None:
    await stage.pilot.resize_terminal(48, 12)
    await stage.until(lambda: stage.app.screen.size.width == 48)


async def _too_small(stage: Stage) -> None:
    await stage.press("escape", "f1")
    await stage.front(Help)
    await _shrink(stage)
    await stage.front(TooSmall)


async def _diff(stage: Stage) -> None:
    await stage.press("escape", "1", "v")
    await stage.until(lambda: _viewed(stage.app))
    await stage.press("left_curly_bracket", "left_curly_bracket", "z")


async def _found(stage: Stage) -> None:
    await stage.press("escape", "2", "home", "slash", *"masking")
    await stage.until(lambda: stage.app.screen.query_one("#find", Input).value == "masking")


async def _reader_found(stage: Stage) -> None:
    await push(_reader)(stage)
    await stage.press("slash", *"window")
    await stage.until(lambda: "lines found" in str(stage.app.screen.query_one("#reader-note").render()))


def _viewed(app: DeepSearchApp) -> object:
    return isinstance(app.screen, PromptView) and app.screen.query_one(Folds).block


def _reader(stage: Stage) -> Screen[object]:
    return Reader("Masking", "docs/masking.md", fakes.MASKING_MD, 8, CITED)


def _shows(kind: type[Screen[object]]) -> Callable[[DeepSearchApp], object]:
    return lambda app: isinstance(app.screen, kind)


RUN, RUNNING = fakes.RUN, fakes.RUNNING

SCENES: dict[str, Scene] = {
    # the main screen
    "empty": Scene(Research, (), press()),
    "loading": Scene(Research, (), tell(fakes.LOADING[1], until=lambda app: app.state.model_loading), sizes=NARROW),
    "running": Scene(Research, RUNNING, press()),
    "answered": Scene(Research, RUN, press()),
    "masked": Scene(Research, RUN, press("escape", "2", "home", "enter")),
    "context": Scene(
        Research,
        RUNNING,
        press("2", "end", "p", "p", "plus", "plus", until=lambda app: app.state.policy.window == 3),
    ),
    "offer": Scene(Research, RUNNING, press("2", "end", "m", until=lambda app: app.state.offer)),
    "detail": Scene(Research, RUN, press("escape", "1", "home", "down", "enter"), sizes=ENDS),
    "sources": Scene(Research, RUN, press("escape", "3"), sizes=ENDS),
    "citations": Scene(Research, RUN, press("escape", "4", "tab", "down"), sizes=NARROW),
    "find": Scene(Research, RUN, _found, sizes=NARROW),
    "indexing": Scene(Research, RUNNING, tell(fakes.INDEXING, until=lambda app: app.state.indexing), sizes=ENDS),
    "stopped": Scene(Research, STOPPED, press(), sizes=ENDS),
    "lost": Scene(Research, LOST, press(), sizes=NARROW),
    "recorded": Scene(Research, RECORDED, press("escape", "2", "home"), sizes=ENDS),
    "recorded-turns": Scene(Research, RECORDED, press("escape", "1", "home", "down", "enter"), sizes=NARROW),
    "tiny": Scene(Research, RUN, _shrink, sizes=TINY),
    # in front of it
    "help": Scene(Help, RUN, press("escape", "2", "f1", until=_shows(Help))),
    "palette": Scene(CommandPalette, RUN, _palette, anew=True, sizes=NARROW),
    "reader": Scene(Reader, RUN, push(_reader)),
    "reader-found": Scene(Reader, RUN, _reader_found, sizes=NARROW),
    "prompt": Scene(PromptView, RUN, press("escape", "1", "v", until=_viewed)),
    "prompt-diff": Scene(PromptView, RUN, _diff, sizes=ENDS),
    "what-if": Scene(WhatIf, RUN, _what_if, saved=True),
    "compare": Scene(Compare, RUN, _compare, saved=True),
    "again": Scene(
        AskAgain, RUN, press("escape", "1", "r", "space", "down", "down", "space", until=_shows(AskAgain)), sizes=NARROW
    ),
    "compare-three": Scene(
        Compare, RUN, push(lambda stage: Compare(stage.data / "sessions.db", "s1", "s2", "s1")), saved=True, sizes=WIDE
    ),
    "compare-choose": Scene(Choose, RUN, _choose, saved=True, sizes=NARROW),
    "fork": Scene(ForkForm, RUN, press("escape", "1", "g", "j", "f", until=_shows(ForkForm)), saved=True),
    "settings": Scene(SettingsScreen, RUN, push(lambda _: SettingsScreen(SETTINGS, lambda change: None), len(NAMES))),
    "doctor": Scene(Doctor, RUN, push(lambda _: Doctor(SETTINGS), len(CHECKS))),
    "sessions": Scene(Sessions, RUN, _sessions),
    "models": Scene(Models, (), _models),
    "fetching": Scene(Models, (), _fetching),
    "checked": Scene(Checked, (), _checked, sizes=NARROW),
    "network": Scene(Network, RUN, _network),
    "approval": Scene(Approval, RUNNING, tell(ASKED, until=_shows(Approval))),
    "index": Scene(IndexPrompt, RUN, press("ctrl+l", until=_shows(IndexPrompt)), sizes=NARROW),
    "reembed": Scene(
        ReembedQuestion,
        RUN,
        push(lambda _: ReembedQuestion(Cost("default", "old-one", "new-one", 35_700, 4_020.0))),
        sizes=NARROW,
    ),
    "confirm": Scene(
        Confirm,
        RUN,
        push(lambda _: Confirm("Open this address in the browser?", "open it", "do not", "http://a.test/")),
        sizes=NARROW,
    ),
    "ask": Scene(
        Ask,
        RUN,
        push(lambda _: Ask("Another title for this session", fakes.QUESTION[:40], "empty: as it was.")),
        sizes=NARROW,
    ),
    "pick": Scene(
        Pick,
        RUN,
        push(lambda _: Pick("Write it as", (("md", "Markdown, to be read"), ("html", "a page with its picture")))),
        sizes=NARROW,
    ),
    "too-small": Scene(TooSmall, RUN, _too_small, sizes=TINY),
}
"""By name. A screen of the app that is in none of these lets a test fail."""


async def arrive(stage: Stage, scene: Scene) -> None:
    """Go there, and wait until it stands still."""
    await fakes.settled(stage.pilot, stage.app, scene.told)
    await go(stage, scene)


async def go(stage: Stage, scene: Scene) -> None:
    """Go there from the main screen."""
    await scene.go(stage)
    await stage.front(scene.shows)
    await stage.settle()


def staged(scene: Scene, data: Path) -> DeepSearchApp:
    """An app that was told what the scene begins with."""
    if scene.saved:
        kept.keep(data, fakes.SESSION, fakes.RUN)
        kept.keep(data, kept.OTHER, tuple(kept.unmasked()), "The same without masking")
    return fakes.make_app(data, fakes.READY, scene.told)
