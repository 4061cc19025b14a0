"""The one indexing of an engine: begun, paused, called off, and told of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from engine.libraries import Libraries
from engine.protocol import (
    CancelIndex,
    Command,
    Event,
    Failed,
    IndexEnded,
    IndexPaths,
    IndexPaused,
    PauseIndex,
    Reembed,
)
from engine.reins import Reins
from engine.sources.library import Library


class Indexing:
    """Indexes, or embeds anew, one library at a time. ``start`` runs a job on a thread."""

    def __init__(self, libraries: Libraries, emit: Callable[[Event], None], *, start: Callable[..., None]) -> None:
        self._libraries, self._emit, self._start = libraries, emit, start
        self._lock = threading.Lock()
        self._reins: Reins | None = None  # of what is under way

    def handle(self, command: Command) -> None:
        """Take a command and return at once. What is not about indexing is left alone."""
        match command:
            case IndexPaths() | Reembed(go=True):
                with self._lock:
                    if self._reins is not None:
                        self._emit(Failed("Busy", "Indexing is under way.", "Wait for it or cancel it."))
                        return
                    self._reins = reins = Reins()
                self._start(self._index, command, reins)
            case Reembed(library):
                self._start(self._tell_cost, library)
            case CancelIndex():
                self.cancel()
            case PauseIndex(paused):
                reins_now = self._reins
                if reins_now is not None:
                    reins_now.pause(paused)
                    self._emit(IndexPaused(paused))

    def cancel(self) -> None:
        """Call off what is under way, if something is."""
        reins = self._reins
        if reins is not None:
            reins.cancel()

    def _index(self, command: IndexPaths | Reembed, reins: Reins) -> None:
        try:
            library = self._libraries.one(command.library)
            ended = self._indexed(library, command, reins)
        finally:
            self._reins = None
        self._emit(ended)
        self._emit(library.status())

    def _indexed(self, library: Library, command: IndexPaths | Reembed, cancelled: Callable[[], bool]) -> IndexEnded:
        if isinstance(command, Reembed):
            return library.reembed(progress=self._emit, cancelled=cancelled)
        paths = [Path(path).expanduser() for path in command.paths]
        if command.rebuild:
            ended = library.rebuild(progress=self._emit, cancelled=cancelled)
        if command.watch and not cancelled():

            def tell(report: IndexEnded) -> None:
                self._emit(report)
                self._emit(library.status())

            ended = library.watch(paths, progress=self._emit, cancelled=cancelled, ended=tell)
        elif paths or not command.rebuild:
            ended = library.index(paths, progress=self._emit, cancelled=cancelled)
        return ended

    def _tell_cost(self, name: str) -> None:
        self._emit(self._libraries.one(name).reembed_cost())
