"""Functions as tags: Qwen 3.5 and 3.6, Qwen3-Coder, some Nemotron."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import ClassVar

from engine.agent.actions import Malformed
from engine.agent.formats import jsoncalls
from engine.agent.formats.native import Native, mark
from engine.agent.formats.split import Fence, Part
from engine.agent.formats.tools import Written
from engine.clean import clean_line
from engine.context.segments import Segment, Tool
from engine.context.transcript import Call
from engine.model import grammar as gbnf

_FUNCTION = re.compile(r"<function=([^<>\n]*)>(.*?)(?:</function>|(?=<function=)|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^<>\n]*)>(.*?)(</parameter>|(?=<parameter=)|\Z)", re.DOTALL)


def read(text: str) -> list[Written]:
    """The functions in ``text``. A value is taken as it is written. Raises Malformed."""
    calls = []
    for function in _FUNCTION.finditer(text):
        name, body = function[1].strip(), function[2]
        found = list(_PARAMETER.finditer(body))
        if open := [each[1] for each in found if not each[3]]:
            raise Malformed(f"the value of {clean_line(open[0], 40)} is not closed by </parameter>")
        values = {each[1].strip(): _value(each[2]) for each in found}
        if not values and body.strip():
            raise Malformed(f"{clean_line(name, 40)} is called without <parameter=name> around its arguments")
        calls.append(Written(name, values))
    if not calls:
        raise Malformed("a call must be <function=name> with <parameter=name> for each argument")
    return calls


def _value(text: str) -> str:
    """What stands in a tag, without the white space around it. Only what we would have quoted is quoted."""
    text = text.strip()
    if not (len(text) > 1 and text[0] == text[-1] == '"'):
        return text
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) and value(inner) == text else text


def value(text: str) -> str:
    """Text as the value of a parameter. What would not read back is quoted like JSON, and holds no tag then."""
    if text and "<" not in text and text == text.strip() and _value(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")


class Xml(Native):
    """``<tool_call><function=search><parameter=query>keeper</parameter></function></tool_call>``."""

    name: ClassVar[str] = "xml"
    fences: ClassVar[tuple[Fence, ...]] = (
        Fence("thought", "<think>", "</think>"),
        Fence("call", "<tool_call>", "</tool_call>"),
        Fence("call", "<function=", "</function>"),  # some forget the mark around it
        Fence("noise", "<tool_response>"),
    )
    marks: ClassVar[tuple[str, ...]] = (
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
        "<think>",
        "</think>",
        "<function=",
        "</function>",
        "<parameter=",
        "</parameter>",
    )

    def read(self, part: Part) -> list[Written]:
        if part.fence == "<function=":
            return read(part.fence + part.text)
        return jsoncalls.read(part.text) if part.text.lstrip().startswith(("{", "[")) else read(part.text)

    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        told: list[Segment] = []
        for call in calls:
            told += [mark("\n" * bool(told) + f"<tool_call>\n<function={call.tool}>\n")]
            for name, given in call.arguments.items():
                told += [mark(f"<parameter={name}>\n"), Segment("call", value(str(given))), mark("\n</parameter>\n")]
            told += [mark("</function>\n</tool_call>")]
        return tuple(told)

    def rules(self, offered: Sequence[Tool]) -> str:
        opens, closes = gbnf.literal("<tool_call>"), gbnf.literal("</tool_call>")
        functions = " | ".join(f"function-{tool.name}" for tool in offered)
        lines = [
            f"root ::= ws function ws {closes} ( ws {opens} ws function ws {closes} ){{0,7}} ws",
            f"function ::= {functions}",
            f"bare ::= ( {functions.replace('function-', 'named-')} ) ws",
            jsoncalls.BLANK,
            r"text ::= [^<\x00-\x1f]{1,160}",
            "number ::= [0-9]{1,6}",
        ]
        for tool in offered:
            inner = f"{gbnf.literal(tool.name + '>')} ws ( parameter-{tool.name} ws ){{1,{len(tool.parameters)}}} "
            lines += [
                f"named-{tool.name} ::= {inner}{gbnf.literal('</function>')}",
                f"function-{tool.name} ::= {gbnf.literal('<function=')} named-{tool.name}",
                f"parameter-{tool.name} ::= "
                + " | ".join(
                    f"{gbnf.literal(f'<parameter={each.name}>')} ws "
                    f"{gbnf.choice(each.choices) if each.choices else 'text' if each.kind == 'string' else 'number'} "
                    f"ws {gbnf.literal('</parameter>')}"
                    for each in tool.parameters
                ),
            ]
        return "\n".join(lines) + "\n"

    def root(self, awaited: str) -> str:
        return "bare" if awaited == "<function=" else "root"

    def example(self) -> str:
        return (
            "To call a tool, write\n"
            "<tool_call>\n<function=search>\n<parameter=query>\na few words\n</parameter>\n</function>\n</tool_call>\n"
            "and nothing after it. Several calls, each in its own <tool_call>, run at the same time."
        )
