"""Several libraries in one question: searched side by side, fused by place, each hit told with its library."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from engine.clean import clean_line
from engine.errors import LibraryError, NotFound
from engine.protocol import Hit, LibraryOpened
from engine.sources.base import Document
from engine.sources.library import Library
from engine.sources.library.filters import Filters
from engine.sources.library.recall import Recall
from engine.sources.library.search import RRF_K, Found


def split(names: str) -> tuple[str, ...]:
    """The names in ``a,b``, in order, each once; one empty name where there are none."""
    return tuple(dict.fromkeys(name for each in names.split(",") if (name := each.strip()))) or ("",)


def check(names: Collection[str], folder: Path) -> None:
    """Raises LibraryError for a name that no library in ``folder`` has, and says which one may be meant."""
    known = sorted(each.name for each in folder.glob("*") if each.is_dir()) if folder.is_dir() else []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            there = f"There are: {', '.join(known)}." if known else "Index some first: deepsearch-tui index PATH"
            hint = f"Did you mean {near[0]!r}?" if near else there
            raise LibraryError(f"There is no library {clean_line(name)!r}.", clean_line(hint))


class Several:
    """Two or more libraries as one. Implements :class:`engine.sources.base.Source`.

    Scores of different libraries cannot be compared, so their lists are fused by the places in them, unless a reranker
    has scored them. A file that is in
    several libraries counts as the first one's, so that a document means the same whenever it is opened.
    """

    def __init__(self, libraries: Sequence[Library]) -> None:
        self._libraries = tuple(libraries)

    @property
    def name(self) -> str:
        """The names, as they were asked for."""
        return ", ".join(each.name for each in self._libraries)

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """The best hits of all, best first."""
        return self._fused([each.search(query, limit) for each in self._libraries], limit)

    def find(self, query: str, limit: int = 10, filters: Filters | None = None) -> Found:
        """The same among the documents that pass the filters. Raises FilterError."""
        found = [each.find(query, limit, filters) for each in self._libraries]
        notes = [
            f"{library.name}: {each.note}" for library, each in zip(self._libraries, found, strict=True) if each.note
        ]
        return Found(self._fused([each.hits for each in found], limit), " ".join(notes))

    def open(self, uri: str) -> Document:
        """A document of the first library that has it. Raises NotFound."""
        for library in self._libraries:
            if library.holds(uri):
                document = library.open(uri)
                return replace(document, path=shown(library.name, document.path))
        raise NotFound(f"None of the libraries {self.name} has {clean_line(uri)}.", "Open what a search has found.")

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """The cosine of each text to the query: one embedder serves them all."""
        return self._libraries[0].similarity(query, texts)

    def holds_any(self) -> bool:
        """Whether there is anything to search."""
        return any(each.holds_any() for each in self._libraries)

    def status(self) -> LibraryOpened:
        """What there is in all of them together."""
        all_of_them = [each.status() for each in self._libraries]
        return LibraryOpened(
            self.name,
            sum(each.documents for each in all_of_them),
            sum(each.chunks for each in all_of_them),
            sum(each.embedded for each in all_of_them),
            sum(each.failures for each in all_of_them),
            " ".join(each.note for each in all_of_them if each.note),
        )

    def recall(self) -> Recall | None:
        """How often they find what they hold, all together; None where that is not known of each."""
        return _together([each.recall() for each in self._libraries])

    def measure_recall(self, cancelled: Callable[[], bool]) -> Recall | None:
        """Measure it now, of each by itself."""
        return _together([each.measure_recall(cancelled) for each in self._libraries])

    def warm(self) -> None:
        """Load now what the first search needs."""
        for each in self._libraries:
            each.warm()

    def _fused(self, lists: Sequence[Sequence[Hit]], limit: int) -> tuple[Hit, ...]:
        scored: list[Hit] = []
        for number, hits in enumerate(lists):
            library, before = self._libraries[number], self._libraries[:number]
            own = [hit for hit in hits if not any(each.holds(hit.uri) for each in before)]
            scored += [
                replace(hit, score=1 / (RRF_K + place), library=library.name, path=shown(library.name, hit.path))
                for place, hit in enumerate(own, start=1)
            ]
        # Of equal places the library that was named first comes first: sorting keeps the order.
        scored.sort(key=lambda hit: -hit.score)
        if all(hits[0].rerank is not None for hits in lists if hits):
            # One reranker has looked at all of them, and its scores can be compared.
            scored.sort(key=lambda hit: math.inf if hit.rerank is None else -hit.rerank)
        return tuple(scored[:limit])


def _together(known: Sequence[Recall | None]) -> Recall | None:
    found = [each for each in known if each is not None]
    if not found or len(found) < len(known):
        return None
    return Recall(sum(r.found for r in found), sum(r.asked for r in found), sum(r.chunks for r in found))


def shown(library: str, path: str) -> str:
    """A path as people see it where more than one library is in use."""
    return f"{library}:{path}"
