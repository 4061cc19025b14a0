"""The app: holds the state, folds the engine's events into it, and passes what the user wants to the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from engine.protocol import (
    Ask,
    CancelIndex,
    Command,
    EngineReady,
    Event,
    Failed,
    IndexPaths,
    LibraryOpened,
    ListModels,
    ModelChecked,
    ModelChosen,
    ModelLoaded,
    ModelRemoved,
    OpenPage,
    OpenSession,
    PageOpened,
    PauseIndex,
    PullEnded,
    Reembed,
    ReembedCost,
    SetWeb,
    UseModel,
    WebMode,
    WebSet,
)
from tui import keys, markdown
from tui.bridge import Coalescer, Door
from tui.fold import fold
from tui.palette import Keys
from tui.safe import short
from tui.screens.research import Research
from tui.screens.watching import Watching
from tui.state import AppState

if TYPE_CHECKING:
    from engine.settings import Settings

_WEB: dict[WebMode, str] = {
    "off": "The web is off: nothing opens a socket.",
    "ask": "The web, from the next question on: each query and each new host waits for your word.",
    "on": "The web, from the next question on: queries and pages are requested without asking.",
}

_NEXT: dict[WebMode, WebMode] = {"off": "ask", "ask": "on", "on": "off"}

_AGAIN = 2.0
"""Seconds within which a second ctrl+c quits."""


class DeepSearchApp(App[None]):
    """The screen of deepsearch-tui.

    ``door_factory`` starts an engine and is called once, after the first frame. ``paths`` are indexed at the start.
    ``questions`` are offered before the first one is asked. ``clock`` gives Unix seconds.
    """

    TITLE = "deepsearch"
    CSS_PATH = Path(__file__).with_name("styles") / "app.tcss"  # absolute, so that a subclass elsewhere finds it
    COMMANDS: ClassVar[set[type | Callable[[], type]]] = App.COMMANDS | {Keys}
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
        super().__init__()
        self.state = AppState(policy=settings.policy, web=cast(WebMode, settings.web))
        self.door: Door | None = None
        self._door_factory = door_factory
        self._settings = settings
        self._paths, self._library = tuple(paths), library
        self._research = Research(self.state, questions, clock, preview=settings.preview)
        self._coalescer = Coalescer(lambda events: self.post_message(self.Told(events)))
        self._interrupted = -_AGAIN
        self._reading: Research.Reading | None = None
        self._model: str | None = None  # another than the settings', if one was chosen

    def on_mount(self) -> None:
        self.push_screen(self._research)
        self.call_after_refresh(self._connect)

    def _connect(self) -> None:
        self.door = self._door_factory(self._coalescer.put)
        if self._paths:
            self._send(IndexPaths(self._paths, self._library))

    async def on_unmount(self) -> None:
        self._coalescer.close()
        if self.door is not None:
            await asyncio.to_thread(self.door.close)

    def _send(self, command: Command) -> None:
        if self.door is not None:
            self.door.send(command)

    # ── events come in ───────────────────────────────────────────────────────────────────────────

    def on_deep_search_app_told(self, message: Told) -> None:
        for event in message.events:
            self.state = fold(self.state, event)
            if isinstance(event, PageOpened):
                self._show_page(event)
            elif isinstance(event, EngineReady):  # it may have been started again, with settings that say otherwise
                if self.state.web != self._settings.web:
                    self._send(SetWeb(self.state.web))
                if self._model is not None:
                    self._send(UseModel(self._model, keep=False))
            elif isinstance(event, ModelChosen | ModelChecked | ModelRemoved | PullEnded):
                self._tell_of_models(event)
            elif isinstance(event, WebSet):
                self.notify(_WEB[event.mode], markup=False)
            elif isinstance(event, ReembedCost):
                self._ask_reembed(event)
            elif isinstance(event, ModelLoaded | LibraryOpened) and event.note:
                self.notify(short(event.note), markup=False)
            elif isinstance(event, Failed):
                self._reading = None
                self.notify(short(f"{event.message} {event.hint}".strip()), severity="error", markup=False)
        self._research.refresh_from(self.state)
        self._show_web()
        self._show_models()

    def _show_web(self) -> None:
        """What waits for the user's word comes in front of everything; screens that watch the state go on with it."""
        from tui.screens.network import Approval

        for screen in self.screen_stack:
            if screen is not self._research and isinstance(screen, Watching):
                screen.refresh_from(self.state)
        if self.state.waiting and not isinstance(self.screen, Approval):
            self.push_screen(Approval(self.state.waiting[0], self._send))

    def _show_models(self) -> None:
        from tui.screens.models import Models

        for screen in self.screen_stack:
            if isinstance(screen, Models):
                screen.refresh_from(self.state)

    def _tell_of_models(self, event: ModelChosen | ModelChecked | ModelRemoved | PullEnded) -> None:
        from tui.screens.models import Checked

        if isinstance(event, ModelChecked):
            self.push_screen(Checked(event))
            return
        if isinstance(event, ModelChosen):
            again = event.model == self._model  # it was told what it should have known
            self._model = event.model
            if again:
                return
        failed = isinstance(event, PullEnded) and event.why == "failed"
        hint = event.hint if isinstance(event, PullEnded) else ""
        said = short(f"{event.message} {hint}".strip(), 600)
        self.notify(said, severity="error" if failed else "information", markup=False)

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
            self.push_screen(Sessions(self._settings.journal, Caches(self._settings)), self._open_session)

    def _open_session(self, session: str | None) -> None:
        if session:
            self.action_new()
            self._send(OpenSession(session))

    def _busy(self) -> bool:
        busy = self.state.run is not None and self.state.run.running
        if busy:
            self.notify("A question is being answered. esc stops it.", markup=False)
        return busy

    async def action_export(self) -> None:
        """Write the session as Markdown into the data folder, and say where."""
        if self.state.run is None:
            self.notify("There is nothing to export yet.", markup=False)
            return
        folder = Path(self._settings.data_dir) / "exports"
        path = folder / f"{self.state.session or 'session'}.md"
        try:
            await asyncio.to_thread(_write, path, markdown.session(self.state))
        except OSError as error:
            self.notify(short(f"{path} could not be written: {error.strerror}"), severity="error", markup=False)
        else:
            self.notify(short(f"Written to {path}"), markup=False)

    def action_what_if(self) -> None:
        """The run at hand under other windows."""
        from tui.screens.whatif import WhatIf

        if self.state.run is None:
            self.notify("Ask something first.", markup=False)
        else:
            self.push_screen(WhatIf(self._settings.journal, self.state.session, self.state.run.number))

    def action_compare(self) -> None:
        """The session at hand and another one side by side."""
        from tui.screens.compare import Compare

        if self.state.run is None:
            self.notify("Ask something first, or compare from the list of sessions.", markup=False)
        else:
            self.push_screen(Compare(self._settings.journal, self.state.session))

    def action_index(self) -> None:
        """Ask for a path and index it, beside whatever goes on."""
        from tui.screens.indexing import IndexPrompt

        def index(path: str | None) -> None:
            if path:
                self._send(IndexPaths((path,), self._library))

        self.push_screen(IndexPrompt(self._library), index)

    def action_pause_index(self) -> None:
        if self.state.indexing is None:
            self.notify("Nothing is being indexed. ctrl+l indexes a folder.", markup=False)
        else:
            self._send(PauseIndex(not self.state.index_paused))

    def _ask_reembed(self, cost: ReembedCost) -> None:
        """What it would take is known: make all vectors anew?"""
        from tui.screens.indexing import ReembedQuestion

        def go(yes: bool | None) -> None:
            if yes:
                self._send(Reembed(cost.library, go=True))

        self.push_screen(ReembedQuestion(cost), go)

    def action_web(self) -> None:
        """The next mode: off, ask, on."""
        self._send(SetWeb(_NEXT[self.state.web]))

    def action_network(self) -> None:
        from tui.screens.network import Network

        self.push_screen(Network(self.state))

    def action_models(self) -> None:
        from tui.screens.models import Models

        if not any(isinstance(screen, Models) for screen in self.screen_stack):
            self.push_screen(Models(self.state, self._send))
            self._send(ListModels())

    def action_help(self) -> None:
        from tui.screens.help import Help

        self.push_screen(Help())

    def action_interrupt(self) -> None:
        """The first time a hint, the second time within two seconds the end."""
        now = time.monotonic()
        if now - self._interrupted < _AGAIN:
            self.exit()
        else:
            self._interrupted = now
            self.notify("ctrl+c again quits. esc stops a run.", timeout=_AGAIN, markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What has no key of its own: work on the library, and some of Textual's own commands."""
        library = self._library
        yield SystemCommand(
            "Index again",
            "Look for new, changed and deleted files in the library's folders.",
            lambda: self._send(IndexPaths((), library)),
        )
        yield SystemCommand(
            "Rebuild the library",
            "Throw its index away and make it again. Your files are only read.",
            lambda: self._send(IndexPaths((), library, rebuild=True)),
        )
        yield SystemCommand(
            "Make all vectors anew",
            "With the embedder of the settings. Tells first what it takes, and asks.",
            lambda: self._send(Reembed(library)),
        )
        yield SystemCommand("Cancel indexing", "What is written stays searchable.", lambda: self._send(CancelIndex()))
        wanted = ("Theme", "Screenshot")
        yield from (command for command in super().get_system_commands(screen) if command.title in wanted)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(text, encoding="utf-8")
