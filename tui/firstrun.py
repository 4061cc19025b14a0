"""From nothing to a first question: a folder is indexed, or the program's own guide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from tui.guide import EXAMPLES, GUIDE

if TYPE_CHECKING:
    from tui.sides import Sides

Index = Callable[[str, str, tuple[str, ...]], None]
"""Index a folder into a library (empty: the one in use), then offer these questions."""


def start(app: Sides, what: str, index: Index) -> None:
    """Do what was picked where there was nothing to ask yet."""
    match what:
        case "index":
            app.action_index()
        case "demo":
            demo(app, index)
        case "doctor":
            app.action_doctor()
        case "settings":
            app.action_settings()


def demo(app: Sides, index: Index) -> None:
    """Index the guide, and offer questions that it answers."""
    if GUIDE.is_dir():
        index(str(GUIDE), "guide", EXAMPLES)
    else:
        app.notify("The guide is not installed here. Index a folder of your own.", severity="error", markup=False)


def commands(app: Sides, index: Index) -> Iterator[SystemCommand]:
    """The same, for the command palette."""
    yield SystemCommand("Try the demo", "Index this program's guide, and ask it.", lambda: demo(app, index))
