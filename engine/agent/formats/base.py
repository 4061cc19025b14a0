"""The seam to model families: how a model is told of its tools, and how its calls are read and shown back to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.agent.actions import Reply
from engine.agent.moves import Moves
from engine.context.segments import Tool
from engine.context.view import Manner
from engine.model.base import Lazy
from engine.protocol import Link


@dataclass(frozen=True)
class Delta:
    """What a new piece of a reply adds to its thought, and to what it says."""

    thought: str = ""
    said: str = ""


class Reader(Protocol):
    """Reads one reply while it is written."""

    def feed(self, piece: str) -> Delta:
        """Take the next piece; returns what can be shown by now. Part of a mark is never shown."""
        ...

    def finish(self) -> Reply:
        """The whole reply. Raises Malformed, saying to the model what is wrong."""
        ...


class Format(Manner, Protocol):
    """How a family of models is spoken to. Values, without state: a reply that is being read has its own Reader.

    ``led``: the model is too small to be trusted with words of its own. ``native``: it was trained to call tools, so
    that its answer is its text without a call. ``turns`` is the budget of a run where nobody set one, ``mend`` what
    the model is told to do after it has been told what was wrong.
    """

    @property
    def name(self) -> str: ...

    @property
    def led(self) -> bool: ...

    @property
    def native(self) -> bool: ...

    @property
    def turns(self) -> int: ...

    @property
    def mend(self) -> str: ...

    def viewport(self, tokens: int) -> int:
        """How much of a page to show, of the ``tokens`` that the settings allow."""
        ...

    def reply_tokens(self, context: int) -> int:
        """Room for one reply, thought included, in a ``context`` of so many tokens."""
        ...

    def system(self, *, web: bool, named: Sequence[Link]) -> str:
        """The system message. ``web``: the live web may be searched. ``named``: addresses in the question."""
        ...

    def tools(self, *, web: bool) -> tuple[Tool, ...]:
        """The tools to offer through the chat template; none where :meth:`system` tells of them."""
        ...

    def grammar(self, moves: Moves) -> str:
        """GBNF for the whole reply, empty where the model may write what it likes."""
        ...

    def lazy(self, *, web: bool) -> Lazy | None:
        """A grammar for the part of a reply that is a call."""
        ...

    def reader(self) -> Reader:
        """A reader for one reply."""
        ...

    def spoken(self, text: str) -> str:
        """Of a reply that was to be plain text, the text: without thoughts."""
        ...
