"""Gemma 3: no tools in its template, so that they are told in the system message."""

from __future__ import annotations

from typing import ClassVar

from engine.agent.formats.bare import Bare
from engine.agent.formats.native import mark
from engine.context.segments import Segment


class Gemma(Bare):
    """``{"name": "search", "parameters": {"query": "keeper"}}``, the results in a fenced block."""

    name: ClassVar[str] = "gemma"
    marks: ClassVar[tuple[str, ...]] = ("```", "<start_of_turn>", "<end_of_turn>")

    def wrap(self, result: tuple[Segment, ...]) -> tuple[Segment, ...]:
        return (mark("```tool_output\n"), *result, mark("```"))
