"""Mistral: control tokens around JSON, in two generations that differ in where the tool's name stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from engine.agent import prompts
from engine.agent.actions import Malformed
from engine.agent.formats import jsoncalls, jsonish, tools
from engine.agent.formats.native import Native, mark
from engine.agent.formats.split import Fence, Part
from engine.agent.formats.tools import Written
from engine.context.segments import Message, Segment, Tool
from engine.context.transcript import Call, Turn
from engine.model import grammar as gbnf
from engine.protocol import Link

_CALLS, _ARGUMENTS, _ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
_RESULTS, _RESULTS_END = "[TOOL_RESULTS]", "[/TOOL_RESULTS]"
_NAMED = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*\w*\s*)?(?:\[ARGS\])?\s*(?=\{)(.*)", re.DOTALL)


class Mistral(Native):
    """``[TOOL_CALLS][{"name": "search", "arguments": {..}}]``, or ``[TOOL_CALLS]search[ARGS]{..}`` in newer ones.

    Its template is one of ours (:mod:`engine.model.families`): its own insist on ids that nothing here needs.
    """

    name: ClassVar[str] = "mistral"
    fences: ClassVar[tuple[Fence, ...]] = (
        Fence("thought", "[THINK]", "[/THINK]"),
        Fence("call", _CALLS),
        Fence("noise", _RESULTS),
    )
    marks: ClassVar[tuple[str, ...]] = (
        _CALLS, _ARGUMENTS, _ID, _RESULTS, _RESULTS_END, "[THINK]", "[/THINK]", "[INST]", "[/INST]",
        "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
    )  # fmt: skip

    @property
    def _named(self) -> bool:
        return _ARGUMENTS in self.traits.source

    def read(self, part: Part) -> list[Written]:
        if part.text.lstrip().startswith(("[", "{")):
            return jsoncalls.read(part.text)
        named = _NAMED.fullmatch(part.text)
        if named is None:
            raise Malformed("a call must be the tool's name and its arguments as one JSON object")
        value = jsonish.loads(named[2])
        if not isinstance(value, dict):
            raise Malformed("the arguments must be one JSON object")
        return [Written(named[1], value)]

    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        if not self._named:
            written = ", ".join(jsoncalls.write(call, marks=self.marks) for call in calls)
            return (mark(_CALLS), Segment("call", f"[{written}]"))
        told: list[Segment] = []
        for call in calls:
            arguments = jsonish.dumps(dict(call.arguments), self.marks)
            told += [mark(f"{_CALLS}{call.tool}{_ARGUMENTS}"), Segment("call", arguments)]
        return tuple(told)

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        if not shown:
            return super().returned(turn, shown)
        return tuple(Message("tool", (mark(_RESULTS), *self.defused(result), mark(_RESULTS_END))) for result in shown)

    def thought(self, text: str) -> tuple[Segment, ...]:
        del text  # never shown again
        return ()

    def tools(self, *, web: bool) -> tuple[Tool, ...]:
        return tools.offered(web=web)

    def system(self, *, web: bool, named: Sequence[Link]) -> str:
        return prompts.native(web=web, named=named)

    def rules(self, offered: Sequence[Tool]) -> str:
        lit = gbnf.literal
        named = " | ".join(f"{lit(tool.name + _ARGUMENTS)} ws object-{tool.name}" for tool in offered)
        return (
            f"root ::= ws {lit('[')} ws call ( ws {lit(',')} ws call ){{0,7}} ws {lit(']')} ws\n"
            f"chain ::= ws each ( {lit(_CALLS)} ws each ){{0,7}} ws\n"
            f"each ::= {named}\n" + jsoncalls.rules(offered)
        )

    def root(self, awaited: str) -> str:
        del awaited
        return "chain" if self._named else "root"

    def example(self) -> str:
        return ""
