"""Llama 3.1 and later: a reply that is one JSON object, and a role for what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from engine.agent.formats.bare import Bare
from engine.context.segments import Message, Segment
from engine.context.transcript import Turn


class Llama3(Bare):
    """``{"name": "search", "parameters": {"query": "keeper"}}``, the results in one message of the role tool."""

    name: ClassVar[str] = "llama3"
    marks: ClassVar[tuple[str, ...]] = (
        "<|python_tag|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>",
    )  # fmt: skip

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        if not shown:
            return super().returned(turn, shown)
        return (Message("tool", tuple(segment for result in shown for segment in self.defused(result))),)
