"""A browser over a few documents held in memory, counting words as tokens."""

from __future__ import annotations

from collections.abc import Callable

from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.sources.base import Document
from tests.engine.shelf import Shelf, shelf


def count(text: str) -> int:
    return len(text.split())


def document(text: str, name: str = "page", title: str = "") -> Document:
    return Document(f"/shelf/{name}.txt", f"shelf/{name}.txt", title or name.title(), text)


def browser(*documents: Document, tokens: int = 60, results: int = 5, count: Callable[[str], int] = count) -> Browser:
    source = Shelf(documents) if documents else shelf()
    return Browser(source, PagePool(), count=count, viewport_tokens=tokens, results=results)


def numbered(body: str) -> dict[int, str]:
    """The lines of a document that a body shows."""
    lines = [line for line in body.split("\n") if line.startswith("L")]
    return {int(line.partition(": ")[0][1:]): line.partition(": ")[2] for line in lines}
