"""The pages the agent has seen, each at a cursor that is never used again."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.errors import DeepSearchError, NotFound
from engine.protocol import Link, Observation
from engine.sources.base import PageLink, Source

Kind = Literal["results", "document", "find"]

_NUMBERED = re.compile(r"^L(\d+): ", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A document as it was opened, or a list of links. Lines are the text's own, counted from 1.

    ``links`` are those that were shown, ``leads`` all that the document has.
    """

    kind: Kind
    title: str
    uri: str
    path: str
    text: str
    links: tuple[Link, ...] = ()
    cursor: int = -1
    leads: tuple[PageLink, ...] = ()
    lines: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", tuple(self.text.removesuffix("\n").split("\n")))


@dataclass(frozen=True)
class Seen:
    """Lines of a document that the agent was shown: ``opened`` to read on from, or only met around a match."""

    cursor: int
    first: int
    last: int
    opened: bool = True


class PagePool:
    """Pages by cursor, from 0 on. Nothing is ever taken out. Safe to use from several threads."""

    def __init__(self) -> None:
        self._pages: dict[int, Page] = {}
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    def add(self, page: Page) -> Page:
        """The page with its cursor."""
        with self._lock:
            cursor = max(self._pages, default=-1) + 1
            placed = replace(page, cursor=cursor)
            self._pages[cursor] = placed
            return placed

    def get(self, cursor: int) -> Page:
        """Raises NotFound, naming the cursors there are."""
        with self._lock:
            page = self._pages.get(cursor)
            known = max(self._pages, default=-1)
        if page is None:
            there = f"pages are [0] to [{known}]" if known >= 0 else "no page was opened yet"
            raise NotFound(f"there is no page [{cursor}]; {there}")
        return page

    def latest(self, *kinds: Kind, links: bool = False) -> Page | None:
        """The newest page of these kinds (any, if none is named), with links if so wanted."""
        with self._lock:
            for cursor in sorted(self._pages, reverse=True):
                page = self._pages[cursor]
                if (not kinds or page.kind in kinds) and (page.links or not links):
                    return page
        return None

    def offering(self) -> tuple[Page, ...]:
        """The pages whose links are open to choice: the newest list, and the documents read since that show some.

        A document's links are numbered on from the list's, so that each number means one thing.
        """
        with self._lock:
            pages = [page for _, page in sorted(self._pages.items()) if page.links]
        lists = [place for place, page in enumerate(pages) if page.kind != "document"]
        return tuple(pages[lists[-1] if lists else 0 :])

    def show(self, seen: Seen) -> None:
        """Note that these lines were shown."""
        with self._lock:
            self._seen.append(seen)

    def seen(self) -> Sequence[Seen]:
        """All that was shown, in order."""
        with self._lock:
            return tuple(self._seen)

    def restore(self, observation: Observation, source: Source) -> None:
        """Put back the page of an observation told in an earlier process.

        A document is read again from its source. Where that is gone, the lines of the observation have to do: their
        numbers stay right.
        """
        if observation.error or observation.cursor < 0:
            return
        kind = _kind(observation)
        path, text = observation.path, observation.body
        leads: tuple[PageLink, ...] = ()
        if kind == "document":
            try:
                document = source.open(observation.uri)
                path, text, leads = document.path, document.text, document.links
            except DeepSearchError:
                text = "\n" * (observation.first - 1) + _unnumbered(observation.body)
        page = Page(kind, observation.title, observation.uri, path, text, observation.links, observation.cursor, leads)
        with self._lock:
            self._pages[observation.cursor] = page
            if kind == "document" and observation.first:
                self._seen.append(Seen(observation.cursor, observation.first, observation.last))
            if observation.links and observation.tool == "find":  # only a document's matches are links
                on = [
                    page.cursor
                    for page in self._pages.values()
                    if (page.kind, page.uri) == ("document", observation.uri)
                ]
                self._seen += [Seen(on[-1], first, last, opened=False) for first, last in _met(observation) if on]


def _kind(observation: Observation) -> Kind:
    """What was shown. A list may have been opened once more: only a document has lines of its own."""
    if observation.tool == "open" and observation.total_lines:
        return "document"
    return "find" if observation.tool == "find" or observation.uri else "results"


def _met(observation: Observation) -> Iterator[tuple[int, int]]:
    """The line ranges that a find showed, read off the line numbers in its body."""
    numbers = [int(match[1]) for match in _NUMBERED.finditer(observation.body)]
    breaks = [place for place in range(1, len(numbers)) if numbers[place] != numbers[place - 1] + 1]
    for start, end in zip([0, *breaks], [*breaks, len(numbers)], strict=True):
        if start < end:
            yield numbers[start], numbers[end - 1]


def _unnumbered(body: str) -> str:
    return "\n".join(line.partition(": ")[2] for line in body.split("\n") if _NUMBERED.match(line))
