"""What has to be done to a cache so that it holds a view: planned as data, by pure functions, before anything is touched.

A prompt is a row of *spans*. Between one view and the next some spans' **bodies** go or come back, and the end is new;
anything else that differs means that the rest is read again. Three modes differ in what happens behind a body that went:

``strict``
    Everything behind it is read again. The cache is what a fresh context would hold.
``carry``
    What stands behind it is carried along: moved up to where the body began (or left in place with a gap before it,
    where the memory cannot move). It was computed with the body in sight and keeps a trace of it.
``carry+repair``
    As carry, but the first reply behind it, the one the model wrote upon reading the body, is read again in place:
    that is where most of the trace is.

A body that comes back is read where it stood, and what follows moves down; with repair the reply that first saw it is
read again too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, NamedTuple

Mode = Literal["strict", "carry", "carry+repair"]

MODES: Final[tuple[Mode, ...]] = ("strict", "carry", "carry+repair")


class Span(NamedTuple):
    """A piece of a prompt. ``body`` is the number of what it is the body of, 0 if it is none; only a body may go and
    come back by itself. ``reply``: the model wrote it.
    """

    tokens: tuple[int, ...]
    body: int = 0
    reply: bool = False


class Held(NamedTuple):
    """A span in the cache: its tokens sit at ``at``, ``at + 1`` and so on. ``stale``: a reply to read again, because
    a body before it went or came back since.
    """

    span: Span
    at: int
    stale: bool = False

    @property
    def end(self) -> int:
        """The position after its last token."""
        return self.at + len(self.span.tokens)


@dataclass(frozen=True)
class Keep:
    """The next span held stays."""


@dataclass(frozen=True)
class Remove:
    """The next span held goes. ``close``: what follows moves up; otherwise a gap is left in the positions."""

    close: bool = True


@dataclass(frozen=True)
class Redo:
    """The next span held is read again where it stands, upon what now stands before it."""


@dataclass(frozen=True)
class Insert:
    """A span is read in front of the next one held, and what follows moves down."""

    span: Span


Edit = Keep | Remove | Redo | Insert

_KEEP, _REDO = Keep(), Redo()
_REMOVE = {close: Remove(close) for close in (True, False)}


@dataclass(frozen=True)
class Plan:
    """``edits``, span by span from the left; of the tokens held behind those the first ``match`` stay and ``drop`` go;
    then ``append`` is read. The other numbers are tokens too: ``kept`` (with ``match``), ``removed`` by edits (without
    ``drop``), ``inserted`` and ``redone``. ``first`` is how many tokens stand before the first edit that is no Keep,
    None where there is none: what comes after it is carried, not exact.
    """

    edits: tuple[Edit, ...] = ()
    match: int = 0
    drop: int = 0
    append: tuple[int, ...] = ()
    kept: int = 0
    removed: int = 0
    inserted: int = 0
    redone: int = 0
    first: int | None = None

    @property
    def decoded(self) -> int:
        """Tokens to read: the price of the plan."""
        return len(self.append) + self.inserted + self.redone


def plan(
    held: Sequence[Held], wanted: Sequence[Span], mode: Mode = "strict", *, exact: int | None = None, shift: bool = True
) -> Plan:
    """The cheapest edit, in tokens to read, that ``mode`` allows, from what is held to what is wanted.

    ``exact``: how many of the tokens held are as a fresh context would hold them, None for all; strict keeps no other.
    ``shift``: whether the memory can move what it holds; without, nothing can come back except by reading the rest.
    No span is empty. Of the last one wanted at least the last token is read: its logits are needed. Takes time linear
    in the number of spans.
    """
    carries, repairs = mode != "strict", mode == "carry+repair"
    limit = exact if mode == "strict" else None
    here = {span.body for span in wanted} if carries else set()
    there = {old.span.body for old in held} if carries else set()
    edits: list[Edit] = []
    kept = removed = inserted = redone = 0
    first: int | None = None
    stale = False  # a body went or came back, and the reply to repair has not come yet
    i = j = 0
    while i < len(held) and j < len(wanted) - 1:
        old, new = held[i], wanted[j]
        if old.span == new:
            size = len(new.tokens)
            if limit is not None and kept + size > limit:
                break
            if repairs and new.reply and (stale or old.stale):
                edit: Edit = _REDO
                redone += size
                stale = False
            else:
                edit = _KEEP
                kept += size
            i, j = i + 1, j + 1
        elif carries and old.span.body and old.span.body not in here:
            edit = _REMOVE[shift]
            removed += len(old.span.tokens)
            stale, i = True, i + 1
        elif carries and shift and new.body and new.body not in there:
            edit = Insert(new)
            inserted += len(new.tokens)
            stale, j = True, j + 1
        else:
            break
        if first is None and edit is not _KEEP:
            first = kept
        edits.append(edit)
    rest = list(chain.from_iterable(span.tokens for span in wanted[j:]))
    behind = sum(len(old.span.tokens) for old in held[i:])
    match = 0
    if not (stale and repairs):  # what was read after a body that went is not worth keeping without its repair
        match = _common(held[i:], rest, len(rest) - 1 if limit is None else min(limit - kept, len(rest) - 1))
    return Plan(
        tuple(edits), match, behind - match, tuple(rest[match:]), kept + match, removed, inserted, redone, first
    )


def _common(held: Sequence[Held], wanted: Sequence[int], most: int) -> int:
    """How many tokens at the beginning are the same: up to the first gap or stale reply, ``most`` at most."""
    same = 0
    position = held[0].at if held else 0
    for old in held:
        if old.at != position or old.stale:
            break
        position = old.end
        for token in old.span.tokens:
            if same == most or token != wanted[same]:
                return same
            same += 1
    return same
