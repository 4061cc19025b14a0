"""Splits a reply, while it is written, into thoughts, calls and what is said, at the marks that stand around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["said", "thought", "call", "noise"]


@dataclass(frozen=True)
class Fence:
    """What stands between two marks. Without ``closes`` it goes on to the next call or the end."""

    kind: Kind
    opens: str
    closes: str = ""


@dataclass(frozen=True)
class Part:
    """A piece of a reply. Thoughts and what is said come in several pieces, a call whole.

    ``fence`` is the mark that opened it, or the tool it is for where marks name it. ``whole``: it was closed.
    ``turned``: all that was said before it was a thought, too.
    """

    kind: Kind
    text: str
    fence: str = ""
    whole: bool = True
    turned: bool = False


class Splits(Protocol):
    """Takes a reply piece by piece. The parts do not depend on where it is cut into pieces."""

    def feed(self, piece: str) -> list[Part]:
        """The parts, or pieces of parts, that are certain by now."""
        ...

    def end(self) -> list[Part]:
        """The rest, at the end of the reply."""
        ...

    def awaits(self) -> str:
        """The mark of a call that has just begun, of which nothing is written yet; empty if there is none."""
        ...


class Fenced:
    """Splits at fences. ``inside``: the reply begins within a thought, as the prompt has opened it."""

    def __init__(self, fences: Sequence[Fence], *, inside: bool = False) -> None:
        self._calls = [fence for fence in fences if fence.kind == "call"]
        self._thoughts = [fence for fence in fences if fence.kind == "thought"]
        self._openers = {fence.opens: fence for fence in fences}
        self._closers = {fence.closes: fence for fence in self._thoughts}
        self._said = _any([*self._openers, *self._closers])
        self._call = _any([fence.opens for fence in self._calls])
        self._marks = [*self._openers, *self._closers]
        self._rest = ""
        self._fence = self._thoughts[0] if inside and self._thoughts else None
        self._fresh = inside  # some models open once more what the prompt has opened

    def feed(self, piece: str) -> list[Part]:
        self._rest += piece
        return list(self._steps(last=False))

    def end(self) -> list[Part]:
        return list(self._steps(last=True))

    def awaits(self) -> str:
        begun = self._fence is not None and self._fence.kind == "call" and not self._rest.strip()
        return self._fence.opens if begun and self._fence else ""

    def _steps(self, *, last: bool) -> Iterator[Part]:
        parts: list[Part] | None = []
        while parts is not None:
            yield from parts
            if self._fence is None:
                parts = self._saying(last)
            elif self._fence.kind == "thought":
                parts = self._thinking(self._fence, last)
            elif self._fence.kind == "call":
                parts = self._calling(self._fence, last)
            else:
                self._rest = ""
                parts = None

    # Each takes what is certain off the rest and returns its parts; None where it has to wait for more.

    def _saying(self, last: bool) -> list[Part] | None:
        mark = self._said.search(self._rest)
        if mark is None:
            return self._held("said", last)
        said = [Part("said", self._rest[: mark.start()])] if mark.start() else []
        self._rest = self._rest[mark.end() :]
        if mark[0] in self._openers:
            self._fence = self._openers[mark[0]]
            return said
        return [*said, Part("thought", "", turned=True)]

    def _thinking(self, fence: Fence, last: bool) -> list[Part] | None:
        if self._fresh:
            begin = self._rest.lstrip()
            if fence.opens.startswith(begin) and begin != fence.opens and not last:
                return None
            self._rest = begin.removeprefix(fence.opens)
            self._fresh = False
        end = self._rest.find(fence.closes)
        if end >= 0:
            thought, self._rest, self._fence = self._rest[:end], self._rest[end + len(fence.closes) :], None
            return [Part("thought", thought)]
        call = self._call.search(self._rest)
        if call is None:
            return self._held("thought", last)
        before, self._rest = self._rest[: call.start()], self._rest[call.start() :]
        if last:  # a thought that ends in a call without an end of its own
            self._rest, self._fence = self._rest[len(call[0]) :], self._openers[call[0]]
        if before:
            return [Part("thought", before)]
        return [] if last else None  # it may be no more than a thought of a call

    def _calling(self, fence: Fence, last: bool) -> list[Part] | None:
        closes = re.compile(re.escape(fence.closes)) if fence.closes else self._call
        json = not fence.closes or self._rest.lstrip().startswith(("{", "["))
        find = _outside_strings if json else _anywhere
        end = find(self._rest, closes, last)
        if end is None and last:
            end = find(self._rest, self._call, last)
        if end is None and not last:
            return None
        body, self._fence = self._rest[: end.start() if end else None], None
        whole = not fence.closes or (end is not None and end[0] == fence.closes)
        if end is None:
            self._rest = ""
        else:  # the mark of another call is still to be read
            self._rest = self._rest[end.end() if fence.closes and whole else end.start() :]
        return [Part("call", body, fence.opens, whole=whole)]

    def _held(self, kind: Kind, last: bool) -> list[Part] | None:
        """All but what may be the beginning of a mark."""
        keep = 0 if last else begun(self._rest, self._marks)
        sure, self._rest = self._rest[: len(self._rest) - keep], self._rest[len(self._rest) - keep :]
        if last and kind == "thought":
            self._fence = None
            return [Part("thought", sure, whole=False)]
        return [Part(kind, sure)] if sure else None


def _any(marks: Sequence[str]) -> re.Pattern[str]:
    """Finds the first of the marks; of two at one place the longer."""
    return re.compile("|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True)) or r"(?!)")


def begun(text: str, marks: Sequence[str]) -> int:
    """How many characters at the end may be the beginning of a mark."""
    longest = max(map(len, marks), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(mark.startswith(text[-size:]) for mark in marks):
            return size
    return 0


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _anywhere(body: str, mark: re.Pattern[str], last: bool) -> re.Match[str] | None:
    del last
    return mark.search(body)


def _outside_strings(body: str, mark: re.Pattern[str], last: bool) -> re.Match[str] | None:
    """The first such mark that is in no JSON string. Where a reply ends within one, a quote is missing, and none is one."""
    place = 0
    while found := mark.search(body, place):
        quote = body.find('"', place)
        if not 0 <= quote < found.start():
            return found
        quoted = _QUOTED.match(body, quote)
        if quoted is None:
            return mark.search(body) if last else None
        place = quoted.end()
    return None
