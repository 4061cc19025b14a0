"""What is asked before something is indexed: which path, and whether it is worth its time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input

from engine.protocol import ReembedCost
from tui import keys
from tui.safe import Plain, line, short
from tui.widgets.bars import duration

_LOOKED_AT = 2000
"""Names of a folder that are looked through for one that fits."""


class IndexPrompt(ModalScreen[str | None]):
    """Asks for a file or folder. Its result is a whole path that exists, or None."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.INDEXING)

    def __init__(self, library: str) -> None:
        super().__init__()
        self._library = library

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            into = f" into {short(self._library, 60)}" if self._library else ""
            yield Plain(line((f"Index a file or folder{into}", "bold"), ("  type or paste its path", "dim")))
            yield Input(placeholder="~/documents", suggester=Paths(), id="index-path", compact=True)
            yield Plain(
                line(("tab", "bold"), " completes   ", ("enter", "bold"), " indexes   ", ("esc", "bold"), " back"),
                id="index-said",
            )

    def action_complete(self) -> None:
        """What is offered; where nothing is, the way is open to type on."""
        self.query_one(Input).action_cursor_right()

    def action_back(self) -> None:
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        path = as_path(event.value)
        if path is not None and path.exists():
            self.dismiss(str(path))
        elif path is not None:
            self.query_one("#index-said", Plain).show(
                line((f"There is no file or folder {short(str(path), 200)}", "$warning"))
            )


class ReembedQuestion(ModalScreen[bool | None]):
    """Tells what it takes to make all vectors anew. Its result is whether to."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.AGREE)

    def __init__(self, cost: ReembedCost) -> None:
        super().__init__()
        self._cost = cost

    def compose(self) -> ComposeResult:
        cost = self._cost
        with Vertical(id="confirm"):
            yield Plain(line((f"Make all {cost.chunks:,} vectors of {short(cost.library, 60)} anew?", "bold")))
            yield Plain(line(f"They were made by {short(cost.old, 80)}; the embedder is {short(cost.new, 80)}."))
            yield Plain(
                line(f"It takes about {duration(cost.seconds)}. Words are found meanwhile; meaning as vectors come.")
            )
            yield Plain(line(("y", "bold $warning"), " yes   ", ("n", "bold"), " no"))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class Paths(Suggester):
    """Offers the first file or folder whose name goes on from what is typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return completed(value)


def completed(typed: str) -> str | None:
    """``typed`` with the rest of the first name that fits it, folders first; None where none does."""
    folder, begun = os.path.split(typed)
    if not folder:
        return None
    fits: list[tuple[bool, str]] = []
    try:
        with os.scandir(Path(folder).expanduser()) as entries:
            for _, each in zip(range(_LOOKED_AT), entries, strict=False):
                hidden = each.name.startswith(".") and not begun.startswith(".")
                if each.name.startswith(begun) and each.name != begun and not hidden and each.name.isprintable():
                    fits.append((not each.is_dir(), each.name))
    except OSError:
        return None
    if not fits:
        return None
    file, name = min(fits)
    return typed[: len(typed) - len(begun)] + name + ("" if file else "/")


def as_path(pasted: str) -> Path | None:
    """The whole path that is meant: terminals paste in quotes, with escaped spaces, or as an address."""
    text = pasted.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    elif text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    elif "\\ " in text and os.sep == "/":
        text = text.replace("\\ ", " ")
    return Path(text).expanduser().absolute() if text else None
