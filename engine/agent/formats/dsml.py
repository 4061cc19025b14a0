"""DeepSeek: tags of its own since V3.2, and JSON between marks before that. Either way is read from any of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from engine.agent.actions import Malformed
from engine.agent.formats import jsoncalls, jsonish
from engine.agent.formats.native import Native, mark
from engine.agent.formats.split import Fence, Part
from engine.agent.formats.tools import Written
from engine.clean import clean_line
from engine.context.segments import Segment, Tool
from engine.context.transcript import Call
from engine.model import grammar as gbnf

_BAR = "｜DSML｜"
_CALLS, _FUNCTIONS = f"<{_BAR}tool_calls>", f"<{_BAR}function_calls>"
_OLD, _OLD_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_ONE, _BETWEEN, _ONE_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
_RESULT, _RESULT_END = "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"

_INVOKE = re.compile(
    r'<｜DSML｜invoke\s+name="([^"\n]*)"\s*>(.*?)(</｜DSML｜invoke>|(?=<｜DSML｜invoke)|\Z)', re.DOTALL
)
_PARAMETER = re.compile(
    r'<｜DSML｜parameter\s+name="([^"\n]*)"(?:\s+string="(true|false)")?\s*>(.*?)'
    r"(</｜DSML｜parameter>|(?=<｜DSML｜parameter)|\Z)",
    re.DOTALL,
)


class Dsml(Native):
    """``<｜DSML｜invoke name="search"><｜DSML｜parameter name="query" string="true">keeper</｜DSML｜parameter>..``."""

    name: ClassVar[str] = "dsml"
    fences: ClassVar[tuple[Fence, ...]] = (
        Fence("thought", "<think>", "</think>"),
        *(Fence("call", each, each.replace("<", "</")) for each in (_CALLS, _FUNCTIONS)),
        *(
            Fence("call", each.replace("｜", "|"), each.replace("｜", "|").replace("<", "</"))
            for each in (_CALLS, _FUNCTIONS)
        ),
        Fence("call", _OLD, _OLD_END),
        Fence("call", _ONE, _ONE_END),
        Fence("noise", "<function_results>"),
    )
    marks: ClassVar[tuple[str, ...]] = (
        f"<{_BAR}", f"</{_BAR}", "<think>", "</think>", "<function_results>", "</function_results>", "<result>",
        "</result>", _OLD, _OLD_END, _ONE, _BETWEEN, _ONE_END, _RESULT, _RESULT_END,
    )  # fmt: skip

    @property
    def _new(self) -> bool:
        return "DSML" in self.traits.source or _OLD not in self.traits.source

    @property
    def _opens(self) -> str:
        return _FUNCTIONS if _FUNCTIONS in self.traits.source else _CALLS

    def read(self, part: Part) -> list[Written]:
        if "DSML" not in part.fence:
            return _read_old(part.text)
        text = part.text.replace("|DSML|", _BAR)
        calls = [Written(each[1], _values(each[2])) for each in _INVOKE.finditer(text)]
        if not calls:
            raise Malformed(f'a call must be <{_BAR}invoke name="..."> with <{_BAR}parameter> for each argument')
        return calls

    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        told: list[Segment] = []
        if not self._new:
            for call in calls:
                told += [mark(f"{_ONE}{call.tool}{_BETWEEN}")]
                told += [Segment("call", jsonish.dumps(dict(call.arguments), self.marks)), mark(_ONE_END)]
            return (mark(_OLD), *told, mark(_OLD_END))
        for call in calls:
            told += [mark(f'<{_BAR}invoke name="{call.tool}">\n')]
            for name, value in call.arguments.items():
                plain = isinstance(value, str) and "<" not in value
                text = str(value) if plain else jsonish.dumps(value).replace("<", "\\u003c")
                told += [
                    mark(f'<{_BAR}parameter name="{name}" string="{"true" if plain else "false"}">'),
                    Segment("call", text),
                    mark(f"</{_BAR}parameter>\n"),
                ]
            told += [mark(f"</{_BAR}invoke>\n")]
        return (mark(f"{self._opens}\n"), *told, mark(self._opens.replace("<", "</")))

    def wrap(self, result: tuple[Segment, ...]) -> tuple[Segment, ...]:
        if self._new:
            return (mark("<function_results>\n<result>\n"), *result, mark("</result>\n</function_results>"))
        return (mark(_RESULT), *result, mark(_RESULT_END))

    def rules(self, offered: Sequence[Tool]) -> str:
        lit = gbnf.literal
        invokes = []
        lines = [r"text ::= [^<\x00-\x1f]{1,160}", "number ::= [0-9]{1,6}"]
        for tool in offered:
            values = []
            for each in tool.parameters:
                string = each.kind == "string"
                kind = gbnf.choice(each.choices) if each.choices else "text" if string else "number"
                begin = f'<{_BAR}parameter name="{each.name}" string="{str(string).lower()}">'
                values.append(f"{lit(begin)} {kind} {lit(f'</{_BAR}parameter>')}")
            lines.append(f"parameter-{tool.name} ::= {' | '.join(values)}")
            named = lit(f'<{_BAR}invoke name="{tool.name}">')
            invokes.append(f"{named} ws ( parameter-{tool.name} ws ){{1,{len(tool.parameters)}}}")
        lines.append(f"invoke ::= ( {' | '.join(invokes)} ) {lit(f'</{_BAR}invoke>')} ws")
        for name, opens in (("root", _CALLS), ("functions", _FUNCTIONS)):
            lines.append(f"{name} ::= ws ( invoke ){{1,8}} {lit(opens.replace('<', '</'))} ws")
        one = " | ".join(f"{lit(tool.name + _BETWEEN)} ws object-{tool.name}" for tool in offered)
        lines.append(f"old ::= ws ( {lit(_ONE)} ( {one} ) ws {lit(_ONE_END)} ws ){{1,8}} {lit(_OLD_END)} ws")
        return "\n".join(lines) + "\n" + jsoncalls.objects(offered) + jsoncalls.BLANK

    def root(self, awaited: str) -> str:
        return {_CALLS: "root", _FUNCTIONS: "functions", _OLD: "old"}.get(awaited, "")

    def example(self) -> str:
        if not self._new:
            return (
                "To call a tool, write\n"
                f'{_OLD}{_ONE}search{_BETWEEN}{{"query": "a few words"}}{_ONE_END}{_OLD_END}\n'
                "and nothing after it. Several calls between the outer marks run at the same time."
            )
        return (
            "To call a tool, write\n"
            f'{self._opens}\n<{_BAR}invoke name="search">\n'
            f'<{_BAR}parameter name="query" string="true">a few words</{_BAR}parameter>\n</{_BAR}invoke>\n'
            f"{self._opens.replace('<', '</')}\nand nothing after it. Several invokes run at the same time."
        )


def _values(body: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for each in _PARAMETER.finditer(body):
        name, string, text = each[1], each[2], each[3]
        if not each[4]:
            raise Malformed(f"the value of {clean_line(name, 40)} is not closed by </{_BAR}parameter>")
        values[name] = text
        if string == "false":
            with suppress(ValueError):  # or they are plain words
                values[name] = jsonish.loads(text)
    if not values and body.strip():
        raise Malformed(f"there is no <{_BAR}parameter> around the arguments")
    return values


def _read_old(text: str) -> list[Written]:
    """``name<sep>{..}``, or with the word function before it and the name behind."""
    calls = []
    for each in text.replace(_ONE_END, "").split(_ONE):
        if not each.strip():
            continue
        name, found, rest = each.partition(_BETWEEN)
        if not found:
            raise Malformed(f"a call must be a name, {_BETWEEN} and its arguments")
        if name.strip() == "function":
            name, _, rest = rest.partition("\n")
        calls.append(Written(name.strip(), jsonish.unfenced(rest).strip()))
    return calls
