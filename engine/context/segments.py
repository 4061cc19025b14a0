"""What a model reads: messages made of segments. The language between ``engine.context`` and ``engine.model``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from engine.protocol import Role, SegmentKind


@dataclass(frozen=True)
class Parameter:
    """An argument of a tool. ``choices`` are the only values it may have, if there are any."""

    name: str
    kind: Literal["string", "integer"]
    about: str
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tool:
    """Something a model may call."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]

    def schema(self) -> dict[str, Any]:
        """The tool as chat templates and servers expect it."""
        properties: dict[str, dict[str, Any]] = {}
        for each in self.parameters:
            properties[each.name] = {"type": each.kind, "description": each.about}
            if each.choices:
                properties[each.name]["enum"] = list(each.choices)
        required = [each.name for each in self.parameters if each.required]
        parameters = {"type": "object", "properties": properties, "required": required}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.about, "parameters": parameters},
        }


@dataclass(frozen=True)
class Segment:
    """A piece of one message, tokenised on its own, and never as special tokens but for the kind ``template``.

    That kind is for marks that a format writes itself; no text from outside may stand in it.
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
    """Everything the model reads at one turn, in order. ``opening`` is text its reply is made to begin with.

    ``tools`` are offered through the model's chat template; empty where the system message tells of them.
    """

    messages: tuple[Message, ...]
    opening: str = ""
    tools: tuple[Tool, ...] = ()

    def segments(self) -> Iterator[Segment]:
        for message in self.messages:
            yield from message.segments
