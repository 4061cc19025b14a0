"""Calls without marks of their own: a reply, or the end of one, that is JSON or Python. Llama 3 and Gemma."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from engine.agent.formats import jsoncalls
from engine.agent.formats.native import Native
from engine.agent.formats.split import Part, Splits
from engine.agent.formats.tools import Written
from engine.context.segments import Segment, Tool
from engine.context.transcript import Call
from engine.model import grammar as gbnf

_MOST = 2_000
"""Characters of a call in Python that are read."""

_BEGIN = re.compile(r"^[ \t]*(?=[\[{]|```|<\|python_tag\|>)", re.MULTILINE)
_OBJECT = re.compile(r"""\A\[?\s*\{\s*["']?\w+["']?\s*:""")
_FENCED = re.compile(r"\A```[\w-]*[ \t]*\n(.*?)(?:\n```.*|```\s*)?\Z", re.DOTALL)
_PYTHON = re.compile(r"\A\[?\s*(?:browser\.|functions\.)?(?:search|open|find)\(", re.IGNORECASE)
_OPENED = re.compile(r"""[ \t\n]*(?:```[\w-]*\n)?\{\s*"name"\s*:\s*""")


class Bare(Native):
    """``{"name": "search", "parameters": {"query": "keeper"}}``."""

    def splitter(self) -> Splits:
        return _Begun()

    def read(self, part: Part) -> list[Written]:
        text = _inner(part.text)
        return _python(text) if _PYTHON.match(text) else jsoncalls.read(text)

    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        written = [jsoncalls.write(call, "parameters", self.marks) for call in calls]
        return (Segment("call", written[0] if len(written) == 1 else f"[{', '.join(written)}]"),)

    def thought(self, text: str) -> tuple[Segment, ...]:
        del text
        return ()

    def rules(self, offered: Sequence[Tool]) -> str:
        ends = f"ws {gbnf.literal('}')} ws"
        return f"root ::= ws named {ends}\n" + jsoncalls.rules(offered, "parameters")

    def example(self) -> str:
        return (
            'To call a tool, reply with nothing but {"name": "search", "parameters": {"query": "a few words"}}. '
            "Several calls are a list of such objects."
        )


def _inner(text: str) -> str:
    """A call without what may stand around it."""
    text = text.strip().removeprefix("<|python_tag|>").lstrip()
    fenced = _FENCED.match(text)
    return fenced[1].strip() if fenced else text


def looks_like_a_call(text: str) -> bool:
    """Whether text that begins like a call is meant as one, well made or not."""
    inner = _inner(text)
    return bool(_PYTHON.match(inner) or _OBJECT.match(inner))


class _Begun:
    """Splits where a line begins like a call. Whether it is one shows only at the end."""

    def __init__(self) -> None:
        self._rest = ""
        self._begun = False
        self._line = True  # the rest begins a line

    def feed(self, piece: str) -> list[Part]:
        self._rest += piece
        if self._begun:
            return []
        begin = _BEGIN.search(self._rest, 0 if self._line else 1)
        if begin is not None:
            self._begun = True
            return self._say(begin.start())
        last = self._rest.rfind("\n") + 1
        line = self._rest[last:].lstrip(" \t")
        held = (last > 0 or self._line) and any(each.startswith(line) for each in ("```", "<|python_tag|>"))
        return self._say(last if held else len(self._rest))

    def _say(self, end: int) -> list[Part]:
        said, self._rest = self._rest[:end], self._rest[end:]
        if not said:
            return []
        self._line = said.endswith("\n")
        return [Part("said", said)]

    def end(self) -> list[Part]:
        rest, self._rest = self._rest, ""
        if self._begun and looks_like_a_call(rest):
            return [Part("call", rest, whole=rest.rstrip().endswith(("}", "]", ")", "`")))]
        return [Part("said", rest)] if rest else []

    def awaits(self) -> str:
        return "name" if self._begun and _OPENED.fullmatch(self._rest) else ""


def _python(text: str) -> list[Written]:
    """Calls written as Python: ``[search(query="keeper"), open(id=2)]``. Raises ValueError."""
    if len(text) > _MOST:
        raise ValueError("too long for a call")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return [_call(node) for node in (tree.elts if isinstance(tree, ast.List) else [tree])]
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("not a call in Python") from error


def _call(node: ast.expr) -> Written:
    if not isinstance(node, ast.Call):
        raise ValueError("not a call")
    name = ast.unparse(node.func)
    if len(node.args) == 1 and not node.keywords:
        alone = ast.literal_eval(node.args[0])
        return Written(name, alone if isinstance(alone, str) else {"id": alone})
    if node.args:
        raise ValueError("arguments need their names")
    return Written(name, {str(each.arg): ast.literal_eval(each.value) for each in node.keywords})
