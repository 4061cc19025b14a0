"""What the formats of models that were trained to call tools have in common. Each family adds how it writes a call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from engine.agent import prompts
from engine.agent.formats import tools
from engine.agent.formats.reader import NativeReader
from engine.agent.formats.split import Fence, Fenced, Part, Splits
from engine.agent.formats.tools import Written
from engine.agent.formats.traits import Traits
from engine.agent.moves import Moves
from engine.context.segments import Message, Segment, Tool
from engine.context.transcript import Call, Turn
from engine.context.view import NOTHING
from engine.model.base import Lazy
from engine.protocol import Link

_LEAST_REPLY, _REPLY, _THINKING_REPLY = 320, 1_024, 4_096
"""Tokens. The larger ones are for large contexts: a reply never takes more than a quarter of the context."""


def mark(text: str) -> Segment:
    """A mark of a format: the only text that may become special tokens."""
    return Segment("template", text)


@dataclass(frozen=True)
class Native(ABC):
    """A family's format for one model, whose template has ``traits``."""

    traits: Traits = Traits()

    name: ClassVar[str]
    fences: ClassVar[tuple[Fence, ...]] = ()
    marks: ClassVar[tuple[str, ...]] = ()
    """Whatever means something to the family: none of it can be found in text from outside."""

    led: ClassVar[bool] = False
    native: ClassVar[bool] = True
    turns: ClassVar[int] = 12
    mend: ClassVar[str] = "Call a tool the way you were told to, or answer in plain text without a call."

    # ── what a family says for itself ────────────────────────────────────────────────────────────

    @abstractmethod
    def read(self, part: Part) -> list[Written]:
        """The calls in a part of a reply. Raises Malformed or ValueError."""

    @abstractmethod
    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        """Calls as the model would have written them."""

    @abstractmethod
    def rules(self, offered: Sequence[Tool]) -> str:
        """GBNF for calls, empty where there is none for this family."""

    @abstractmethod
    def example(self) -> str:
        """How to write a call, for a model whose template does not say it."""

    def wrap(self, result: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """What a tool returned, as the user would tell it."""
        return (mark("<tool_response>\n"), *result, mark("</tool_response>"))

    def root(self, awaited: str) -> str:
        """The rule for what follows the mark, or the name of the tool, that the reply has just come to."""
        del awaited
        return "root"

    def splitter(self) -> Splits:
        return Fenced(self.fences, inside=self.traits.inside)

    @property
    def thinks(self) -> bool:
        return self.traits.thinks

    def thought(self, text: str) -> tuple[Segment, ...]:
        """An earlier thought, where the model reads it again."""
        if not (self.traits.thinks and self.traits.keeps and text):
            return ()
        return (mark("<think>\n"), Segment("thought", self.harmless(text)), mark("\n</think>\n\n"))

    # ── Format ───────────────────────────────────────────────────────────────────────────────────

    def viewport(self, tokens: int) -> int:
        return tokens

    def reply_tokens(self, context: int) -> int:
        return max(_LEAST_REPLY, min(_THINKING_REPLY if self.thinks else _REPLY, context // 4))

    def system(self, *, web: bool, named: Sequence[Link]) -> str:
        text = prompts.native(web=web, named=named)
        if self.traits.offers:
            return text
        return f"{text}\n\n{prompts.declare(tools.offered(web=web))}\n{self.example()}"

    def tools(self, *, web: bool) -> tuple[Tool, ...]:
        return tools.offered(web=web) if self.traits.offers else ()

    def grammar(self, moves: Moves) -> str:
        del moves
        return ""

    def lazy(self, *, web: bool) -> Lazy | None:
        rules = self.rules(tools.offered(web=web))
        if not rules:
            return None

        def root(so_far: str) -> str:
            splitter = self.splitter()
            splitter.feed(so_far)
            return self.root(awaited) if (awaited := splitter.awaits()) else ""

        return Lazy(rules, root)

    def reader(self) -> NativeReader:
        return NativeReader(self.splitter(), self.read)

    def spoken(self, text: str) -> str:
        splitter = self.splitter()
        parts = [*splitter.feed(text), *splitter.end()]
        said = ""
        for part in parts:
            said = "" if part.turned else said + part.text if part.kind == "said" else said
        return said.strip()

    # ── Manner ───────────────────────────────────────────────────────────────────────────────────

    def answered(self, text: str) -> tuple[Segment, ...]:
        return (Segment("answer", self.harmless(text)),)

    def called(self, turn: Turn) -> tuple[Segment, ...]:
        """The calls, written anew: what the model wrote may hold anything, and marks only mean what we wrote."""
        if not turn.calls:
            return self.answered(self.spoken(turn.raw))
        return (*self.thought(turn.thought), *self.write(turn.calls))

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        del turn
        if not shown:
            return (Message("user", (Segment("note", NOTHING + "\n"),)),)
        told: list[Segment] = []
        for result in shown:
            told += [*([mark("\n")] if told else []), *self.wrap(self.defused(result))]
        return (Message("user", tuple(told)),)

    def defused(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """Segments in whose text no mark can be found."""
        return tuple(Segment(each.kind, self.harmless(each.text), each.observation) for each in segments)

    def harmless(self, text: str) -> str:
        """Text in which no mark can be found: a zero-width space stands in each. Where a mark is no token of the
        vocabulary, this is all that tells one that a page quotes from one that we wrote.
        """
        for each in self.marks:
            text = text.replace(each, f"{each[0]}\u200b{each[1:]}")
        return text
