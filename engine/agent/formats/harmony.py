"""Harmony: gpt-oss. Everything it writes is a message of a channel, to the user or to a tool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from engine.agent import prompts
from engine.agent.actions import Malformed
from engine.agent.formats import jsoncalls, jsonish, tools
from engine.agent.formats.native import Native, mark
from engine.agent.formats.split import Kind, Part, Splits, begun
from engine.agent.formats.tools import Written
from engine.context.segments import Message, Segment, Tool
from engine.context.transcript import Call, Turn
from engine.protocol import Link

_START, _CHANNEL, _MESSAGE, _CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_TO = re.compile(r"to=(?:functions\.)?([\w.-]+)")
_HEADED = re.compile(r"\A\s*(?:assistant\b|to=|<\|)")
_END = re.compile("|".join(map(re.escape, (*_ENDS, _START))))
_WORDS = ("assistant", "to=", "<|")


class Harmony(Native):
    """``<|channel|>commentary to=functions.search<|message|>{"query": "keeper"}<|call|>``.

    It stops after each call. Its thoughts stay while a question is open, and its template is one of ours
    (:mod:`engine.model.families`).
    """

    name: ClassVar[str] = "harmony"
    marks: ClassVar[tuple[str, ...]] = (_START, _CHANNEL, _MESSAGE, _CONSTRAIN, *_ENDS)

    @property
    def thinks(self) -> bool:
        return True

    def splitter(self) -> Splits:
        return _Messages()

    def read(self, part: Part) -> list[Written]:
        value = jsonish.loads(part.text) if part.text.strip() else {}
        if not isinstance(value, dict):
            raise Malformed(f"what is sent to {part.fence} must be an object with names and values")
        return [Written(part.fence, value)]

    def thought(self, text: str) -> tuple[Segment, ...]:
        if not text:
            return ()
        begin = mark(f"{_START}assistant{_CHANNEL}analysis{_MESSAGE}")
        return (begin, Segment("thought", self.harmless(text)), mark("<|end|>"))

    def write(self, calls: Sequence[Call]) -> tuple[Segment, ...]:
        told: list[Segment] = []
        for call in calls:
            header = f"{_START}assistant{_CHANNEL}commentary to=functions.{call.tool} {_CONSTRAIN}json{_MESSAGE}"
            arguments = jsonish.dumps(dict(call.arguments), self.marks)
            told += [mark(header), Segment("call", arguments), mark("<|call|>")]
        return tuple(told)

    def answered(self, text: str) -> tuple[Segment, ...]:
        begin = mark(f"{_START}assistant{_CHANNEL}final{_MESSAGE}")
        return (begin, Segment("answer", self.harmless(text)), mark("<|end|>"))

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        if not shown:
            return super().returned(turn, shown)
        told = []
        for observation, result in zip(turn.observations, shown, strict=True):
            if not observation.call:  # no call: a complaint about the reply
                told.append(Message("user", self.defused(result)))
                continue
            header = f"{_START}functions.{observation.tool} to=assistant{_CHANNEL}commentary{_MESSAGE}"
            told.append(Message("tool", (mark(header), *self.defused(result), mark("<|end|>"))))
        return tuple(told)

    def tools(self, *, web: bool) -> tuple[Tool, ...]:
        return tools.offered(web=web)

    def system(self, *, web: bool, named: Sequence[Link]) -> str:
        return prompts.native(web=web, named=named)

    def rules(self, offered: Sequence[Tool]) -> str:
        roots = "".join(f"root-{tool.name} ::= ws object-{tool.name} ws\n" for tool in offered)
        return roots + jsoncalls.objects(offered) + jsoncalls.BLANK

    def root(self, awaited: str) -> str:
        return f"root-{awaited}" if awaited in ("search", "open", "find") else ""

    def example(self) -> str:
        return ""


class _Messages:
    """Splits at messages. Text without any marks is what is said."""

    def __init__(self) -> None:
        self._rest = ""
        self._kind: Kind | None = None  # None: within a header
        self._to = ""

    def feed(self, piece: str) -> list[Part]:
        self._rest += piece
        return list(self._steps(last=False))

    def end(self) -> list[Part]:
        return list(self._steps(last=True))

    def awaits(self) -> str:
        return self._to if self._kind == "call" and not self._rest.strip() else ""

    def _steps(self, *, last: bool) -> Iterator[Part]:
        while True:
            if self._kind is None:
                if not self._head(last):
                    if last and self._rest.strip():  # a header that nothing came of
                        yield Part("thought", "", whole=False)
                        self._rest = ""
                    return
                continue
            end = _END.search(self._rest)
            if end is None:
                yield from self._open_end(self._kind, last)
                return
            text, self._rest = self._rest[: end.start()], self._rest[end.end() :]
            yield Part(self._kind, text, self._to)
            self._kind = None

    def _head(self, last: bool) -> bool:
        """Read a header; False where it has to wait for more."""
        at = self._rest.find(_MESSAGE)
        begin = self._rest.lstrip()
        if at < 0:
            plain = bool(begin) and not _HEADED.match(begin) and (last or not any(w.startswith(begin) for w in _WORDS))
            if plain:
                self._kind, self._to = "said", ""
            return plain
        if not _HEADED.match(begin) and at > 0:
            self._kind, self._to = "said", ""
            return True
        header, self._rest = self._rest[:at], self._rest[at + len(_MESSAGE) :]
        to = _TO.search(header)
        self._to = to[1] if to and to[1] not in ("user", "assistant") else ""
        self._kind = "call" if self._to else "said" if "final" in header or not header.strip() else "thought"
        return True

    def _open_end(self, kind: Kind, last: bool) -> Iterator[Part]:
        if kind == "call":
            if last:
                yield Part("call", self._rest, self._to, whole=False)
                self._rest = ""
            return
        held = 0 if last else begun(self._rest, (*_ENDS, _START))
        sure, self._rest = self._rest[: len(self._rest) - held], self._rest[len(self._rest) - held :]
        if sure or (last and kind == "thought"):
            yield Part(kind, sure, whole=not (last and kind == "thought"))
