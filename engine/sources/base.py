"""The seam to places that can be searched and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.protocol import Hit


@dataclass(frozen=True)
class PageLink:
    """A link on a web page: its text, where it leads, and the line of the page it stands on, 0 where that is unknown."""

    text: str
    url: str
    line: int = 0


@dataclass(frozen=True)
class Document:
    """A whole document as text. Line numbers everywhere are 1-based lines of ``text``.

    ``uri`` names it to the source; ``path`` is what a person is shown. ``links`` lead to what the source can open.
    """

    uri: str
    path: str
    title: str
    text: str
    links: tuple[PageLink, ...] = ()


def is_web(uri: str) -> bool:
    """Whether a document is a page of the web, and not one of the library, whose documents are files."""
    return uri.startswith(("http://", "https://"))


class Source(Protocol):
    """A place to search and read: the library, the web. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """The best hits first. Raises SourceError."""
        ...

    def open(self, uri: str) -> Document:
        """A document as it was when it was indexed or fetched. Raises NotFound or SourceError."""
        ...

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """How near each text is to the query in meaning, -1 to 1; empty where the source cannot tell."""
        ...
