"""What a model reads: messages made of segments. The language between ``engine.context`` and ``engine.model``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.protocol import Role, SegmentKind


@dataclass(frozen=True)
class Segment:
    """A piece of one message, tokenised on its own and never as special tokens.

    ``observation`` is the number of the observation it comes from, 0 for none.
    """

    kind: SegmentKind
    text: str
    observation: int = 0


@dataclass(frozen=True)
class Message:
    """One chat message. Its text is its segments, one after the other, with nothing in between."""

    role: Role
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True)
class View:
    """Everything the model reads at one turn, in order. ``opening`` is text its reply is made to begin with."""

    messages: tuple[Message, ...]
    opening: str = ""

    def segments(self) -> Iterator[Segment]:
        for message in self.messages:
            yield from message.segments
