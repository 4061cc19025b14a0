"""JSON between ``<tool_call>`` marks: Qwen 2.5 and 3, Hermes, Nemotron, Granite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from engine.agent.formats import jsoncalls, xml
from engine.agent.formats.native import Native, mark
from engine.agent.formats.split import Fence, Part
from engine.agent.formats.tools import Written
from engine.context.segments import Message, Segment, Tool
from engine.context.transcript import Call, Turn
from engine.model import grammar as gbnf

_GRANITE = "<|tool_call|>"


class ToolCall(Native):
    """``<tool_call>{"name": "search", "arguments": {"query": "keeper"}}</tool_call>``."""

    name: ClassVar[str] = "tool_call"
    fences: ClassVar[tuple[Fence, ...]] = (
        Fence("thought", "<think>", "</think>"),
        Fence("call", "<tool_call>", "</tool_call>"),
        Fence("call", _GRANITE),
        Fence("noise", "<tool_response>"),  # the model goes on to make up what the tool returns
    )
    marks: ClassVar[tuple[str, ...]] = (
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
        "<think>",
        "</think>",
        _GRANITE,
    )

    @property
    def _granite(self) -> bool:
        return "<tool_call>" not in self.traits.source and _GRANITE in self.traits.source

    def read(self, part: Part) -> list[Written]:
        tagged = "<function=" in part.text and not part.text.lstrip().startswith(("{", "["))
        return xml.read(part.text) if tagged else jsoncalls.read(part.text)

    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        if self._granite:
            written = ", ".join(jsoncalls.write(call, marks=self.marks) for call in calls)
            return (mark(_GRANITE), Segment("call", f"[{written}]"))
        told: list[Segment] = []
        for call in calls:
            told += [mark("\n<tool_call>\n" if told else "<tool_call>\n")]
            told += [Segment("call", jsoncalls.write(call, marks=self.marks)), mark("\n</tool_call>")]
        return tuple(told)

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        if not shown or not self.traits.results or "<tool_response>" in self.traits.source:
            return super().returned(turn, shown)  # as templates of this family write it themselves
        return tuple(Message("tool", self.defused(result)) for result in shown)

    def rules(self, offered: Sequence[Tool]) -> str:
        opens, closes = gbnf.literal("<tool_call>"), gbnf.literal("</tool_call>")
        return (
            f"root ::= ws call ws {closes} ( ws {opens} ws call ws {closes} ){{0,7}} ws\n"
            f"granite ::= ws {gbnf.literal('[')} ws call ( ws {gbnf.literal(',')} ws call ){{0,7}} ws {gbnf.literal(']')} ws\n"
            + jsoncalls.rules(offered)
        )

    def root(self, awaited: str) -> str:
        return "granite" if awaited == _GRANITE else "root"

    def example(self) -> str:
        return (
            "To call a tool, write\n"
            '<tool_call>\n{"name": "search", "arguments": {"query": "a few words"}}\n</tool_call>\n'
            "and nothing after it. Several calls, each in its own <tool_call>, run at the same time."
        )
