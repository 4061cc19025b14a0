"""The app: holds the state, folds the engine's events into it, and passes what the user wants to the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from engine import garbage
from engine.protocol import (
    Ask,
    Continue,
    EngineReady,
    Event,
    Failed,
    IndexPaths,
    LibraryOpened,
    ModelChecked,
    ModelChosen,
    ModelLoaded,
    ModelRemoved,
    OpenPage,
    OpenSession,
    PageOpened,
    PullEnded,
    ReembedCost,
    SessionOpened,
    SetMasking,
    SetWeb,
    UseModel,
    WebMode,
    WebSet,
)
from tui import firstrun, keys
from tui.again import heard
from tui.bridge import Coalescer, Door
from tui.fold import fold
from tui.palette import Keys, of_the_library
from tui.safe import short
from tui.screens.research import Research
from tui.sides import WEB, Sides
from tui.widgets.empty import Empty

if TYPE_CHECKING:
    from engine.settings import Settings
    from tui.screens.sessions import Chosen


class DeepSearchApp(Sides):
    """The screen of deepsearch-tui.

    ``door_factory`` starts an engine and is called once, after the first frame. ``paths`` are indexed at the start.
    ``questions`` are offered before the first one is asked. ``clock`` gives Unix seconds.
    """

    TITLE = "deepsearch"
    CSS_PATH = Path(__file__).with_name("styles") / "app.tcss"  # absolute, so that a subclass elsewhere finds it
    COMMANDS: ClassVar[set[type | Callable[[], type]]] = {Keys}
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.APP)

    class Told(Message):
        """The engine told these events."""

        def __init__(self, events: Sequence[Event]) -> None:
            super().__init__()
            self.events = tuple(events)

    def __init__(
        self,
        door_factory: Callable[[Callable[[Event], None]], Door],
        settings: Settings,
        *,
        paths: Sequence[str] = (),
        library: str = "",
        questions: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(settings)
        self._door_factory = door_factory
        self._paths, self._library = tuple(paths), library
        self._research = Research(self.state, questions, clock, preview=settings.preview)
        self._coalescer = Coalescer(lambda events: self.post_message(self.Told(events)))
        self._resume = ""
        self._reading: Research.Reading | None = None

    def on_mount(self) -> None:
        self.push_screen(self._research)
        self.call_after_refresh(self._connect)

    def _connect(self) -> None:
        if not self.is_headless:  # a process with one app in it, which is what a user runs
            garbage.settle()
        self.door = self._door_factory(self._coalescer.put)
        if self._paths:
            self._send(IndexPaths(self._paths, self._library))
        unsent, self._unsent = self._unsent, []
        for command in unsent:
            self._send(command)

    async def on_unmount(self) -> None:
        self._coalescer.close()
        if self.door is not None:
            await asyncio.to_thread(self.door.close)

    # ── events come in ───────────────────────────────────────────────────────────────────────────

    def on_deep_search_app_told(self, message: Told) -> None:
        if not self.is_running:  # it is being closed, and its widgets go one by one
            return
        before = self.state
        for event in message.events:
            self.state = fold(self.state, event)
            self._again = heard(self._again, event) if self._again is not None else None
            if isinstance(event, PageOpened):
                self._show_page(event)
            elif isinstance(event, EngineReady):  # it may have been started again, with settings that say otherwise
                if self.state.web != self._settings.web:
                    self._send(SetWeb(self.state.web))
                if self._model is not None:
                    self._send(UseModel(self._model, keep=False))
            elif isinstance(event, ModelChosen | ModelChecked | ModelRemoved | PullEnded):
                self._tell_of_models(event)
            elif isinstance(event, SessionOpened) and event.session == self._resume:
                self._resume = ""
                self._send(Continue(event.session))  # now that all of it has been told
            elif isinstance(event, WebSet):
                self.notify(WEB[event.mode], markup=False)
            elif isinstance(event, ReembedCost):
                self._ask_reembed(event)
            elif isinstance(event, ModelLoaded | LibraryOpened) and event.note:
                self.notify(short(event.note), markup=False)
            elif isinstance(event, Failed):
                self._reading = None
                self.notify(short(f"{event.message} {event.hint}".strip()), severity="error", markup=False)
        self._research.refresh_from(self.state)
        self._show_beside()
        self._go_on_again()
        self.tell_of_end(before, self.state)

    def _show_page(self, page: PageOpened) -> None:
        from tui.screens.reader import Reader

        wanted, self._reading = self._reading, None
        if wanted is not None:
            self.push_screen(Reader(page.title, page.uri, page.text, wanted.at, wanted.marked))

    # ── what the user wants ──────────────────────────────────────────────────────────────────────

    def on_steer_wanted(self, message: Research.Wanted) -> None:
        command = message.command
        self._send(replace(command, library=self._library) if isinstance(command, Ask) else command)

    def on_research_reading(self, message: Research.Reading) -> None:
        self._reading = message
        library = self.state.run.library if self.state.run is not None else self._library
        self._send(OpenPage(message.uri, library))

    def on_empty_start(self, message: Empty.Start) -> None:
        firstrun.start(self, message.what, self._index)

    def _index(self, folder: str, library: str, questions: tuple[str, ...]) -> None:
        if library:
            self._library = library
        if questions:
            self._research.query_one(Empty).ask_these(questions)
        self._send(IndexPaths((folder,), self._library))
        self.notify(short(f"Looking for documents in {folder}."), markup=False)

    def action_new(self) -> None:
        """A new session, unless a question is being answered."""
        if self._busy():
            return
        self.state = replace(self.state, session="", title="", run=None, earlier=(), can_continue=False, network=())
        self._research.refresh_from(self.state)
        self._research.action_prompt()

    def action_sessions(self) -> None:
        from engine.caches import Caches
        from tui.screens.sessions import Sessions

        if not self._busy() and self.screen is self._research:
            exports = Path(self._settings.data_dir) / "exports"
            self.push_screen(Sessions(self._settings.journal, Caches(self._settings), exports), self._open_session)

    def _open_session(self, chosen: Chosen | None) -> None:
        if chosen is not None:
            self.action_new()
            self._send(OpenSession(chosen.id))
            self._resume = chosen.id if chosen.resume else ""

    def _busy(self) -> bool:
        busy = self.state.run is not None and self.state.run.running
        if busy:
            self.notify("A question is being answered. esc stops it.", markup=False)
        return busy

    def apply(self, name: str, settings: Settings) -> None:
        super().apply(name, settings)
        if name == "web":
            self._send(SetWeb(cast(WebMode, settings.web)))
        elif name in ("masking", "window", "batch_turns", "batch_tokens"):
            self._send(SetMasking(settings.policy))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from firstrun.commands(self, self._index)
        yield from of_the_library(self._send, self._library)
        yield from (each for each in super().get_system_commands(screen) if each.title in ("Theme", "Screenshot"))
