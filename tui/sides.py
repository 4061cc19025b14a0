"""The screens beside the main one that show its state: the network, the models; and the file a session is written to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

from engine.protocol import (
    Command,
    IndexPaths,
    ListModels,
    ModelChecked,
    ModelChosen,
    ModelRemoved,
    PauseIndex,
    PullEnded,
    Reembed,
    ReembedCost,
    SetWeb,
    WebMode,
)
from tui import markdown
from tui.bridge import Door
from tui.comfort import Comfort
from tui.safe import short
from tui.screens.watching import Watching
from tui.state import AppState

if TYPE_CHECKING:
    from engine.settings import Settings

WEB: dict[WebMode, str] = {
    "off": "The web is off: nothing opens a socket.",
    "ask": "The web, from the next question on: each query and each new host waits for your word.",
    "on": "The web, from the next question on: queries and pages are requested without asking.",
}

_NEXT: dict[WebMode, WebMode] = {"off": "ask", "ask": "on", "on": "off"}


class Sides(Comfort):
    """An app that has a state and a door to an engine."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.state = AppState(policy=settings.policy, web=cast(WebMode, settings.web))
        self.door: Door | None = None
        self._unsent: list[Command] = []  # what was wanted before there was a door
        self._library = ""
        self._model: str | None = None  # another than the settings', if one was chosen

    def _send(self, command: Command) -> None:
        if self.door is not None:
            self.door.send(command)
        else:
            self._unsent.append(command)

    def _show_beside(self) -> None:
        """Screens in front of the main one go on with the state; what waits for the user's word comes before them all."""
        from tui.screens.network import Approval
        from tui.screens.research import Research

        for screen in self.screen_stack:
            if isinstance(screen, Watching) and not isinstance(screen, Research):
                screen.refresh_from(self.state)
        if self.state.waiting and not isinstance(self.screen, Approval):
            self.push_screen(Approval(self.state.waiting[0], self._send))

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


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(text, encoding="utf-8")
