"""The libraries of one data folder, each opened once, and what a question or a command means by their names."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.errors import LibraryError
from engine.protocol import Event, Network
from engine.settings import Settings
from engine.sources import several
from engine.sources.library import Library
from engine.sources.library.cross_encoder import reranker_of
from engine.sources.library.embed import Embedder
from engine.sources.several import Several

_UNNAMED = "default"
"""The library of who names none. It may not be there yet."""


class Libraries:
    """Opens libraries by name; an empty name means those of the settings. ``tell`` hears of one that is elsewhere."""

    def __init__(self, settings: Settings, embedder: Embedder, tell: Callable[[Event], None]) -> None:
        self._settings, self._embedder, self._tell = settings, embedder, tell
        self._reranker = reranker_of(settings.reranker, settings.models_dir)
        self._lock = threading.RLock()
        self._open: dict[str, Library] = {}

    def one(self, name: str) -> Library:
        """The library to write to. Raises LibraryError where several are named."""
        names = several.split(name or self._settings.library)
        if len(names) > 1:
            raise LibraryError(
                f"One library is indexed at a time, and {len(names)} are named.", "Name one with --library."
            )
        return self._library(names[0])

    def source(self, names: str) -> Library | Several:
        """The library of this name, or several as one."""
        libraries = [self._library(name) for name in several.split(names or self._settings.library)]
        return libraries[0] if len(libraries) == 1 else Several(libraries)

    def known(self, names: str) -> Library | Several:
        """The same. Raises LibraryError for a name that no library has, but for the name that is used where none is given."""
        named = several.split(names or self._settings.library)
        several.check([name for name in named if name != _UNNAMED], self._settings.libraries_dir)
        return self.source(names)

    def stocked(self, names: str, *, alone: bool) -> Library | Several:
        """What a question is asked of. Raises LibraryError where it holds nothing yet and is ``alone``: there is nothing
        else to search.
        """
        library = self.known(names)
        if alone and not library.holds_any():
            raise LibraryError(
                f"The library {library.name!r} holds no documents yet.",
                "Index some first: deepsearch-tui index PATH",
            )
        return library

    def close(self) -> None:
        with self._lock:
            for library in self._open.values():
                library.close()
            self._open.clear()

    def _library(self, name: str) -> Library:
        with self._lock:
            if name not in self._open:
                self._settings.prepare()
                self._open[name] = Library(
                    self._settings.libraries_dir, name, embedder=self._embedder, reranker=self._reranker
                )
                if entry := self._open[name].network():
                    self._tell(Network(entry))
            return self._open[name]
