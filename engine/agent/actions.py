"""What a model can decide to do in a turn, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Search:
    """Look for documents. ``source`` is one of :data:`engine.browser.tools.SOURCES`; None: wherever one may look."""

    query: str
    source: str | None = None


@dataclass(frozen=True)
class Open:
    """Read a link of a page, or go to a line of a page seen before."""

    id: int | None = None
    cursor: int | None = None
    line: int | None = None


@dataclass(frozen=True)
class Find:
    """Look for words on a page."""

    pattern: str
    cursor: int | None = None


@dataclass(frozen=True)
class Answer:
    """Stop searching. ``text`` is the answer; empty where it is yet to be written from chosen evidence."""

    text: str = ""


Action = Search | Open | Find | Answer


@dataclass(frozen=True)
class Reply:
    """A model's turn, read: why, and what to do. Several calls run at the same time.

    ``problems`` is what was wrong with calls beside them, for the model to read.
    """

    thought: str
    actions: tuple[Action, ...]
    problems: tuple[str, ...] = ()


class Malformed(Exception):
    """A reply that is no action. The message is written for the model to read."""


def arguments(action: Action) -> dict[str, Any]:
    """The action's arguments as a call shows them; what was left out is left out."""
    return {name: value for name, value in vars(action).items() if value is not None}


def tool(action: Action) -> str:
    """The tool's name: ``search``, ``open``, ``find`` or ``answer``."""
    return type(action).__name__.lower()
