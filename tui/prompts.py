"""What the model read at one turn beside what it read at another: which pieces came, went, were masked or came back. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.protocol import PromptSegment, PromptShown

Change = Literal["same", "added", "gone", "changed", "masked", "back"]
"""``masked``: its text was in the other view and is not in this one; ``back``: the other way round."""

Key = tuple[object, ...]
"""What makes a piece the same one in two views."""


@dataclass(frozen=True)
class Piece:
    """A piece of a view, and how it differs from the other view. One that is ``gone`` stands where it stood there."""

    key: Key
    segment: PromptSegment
    change: Change


def keyed(shown: PromptShown) -> list[tuple[Key, PromptSegment]]:
    """The pieces of a view by what they are. Template pieces go by the piece before them."""
    seen: Counter[Key] = Counter()
    before: Key = ()
    pieces = []
    for segment in shown.segments:
        if segment.kind == "template":
            key: Key = ("template", before)
        else:
            run = shown.run if segment.kind == "call" or shown.purpose == "evidence" else 0  # turns count anew in a run
            key = before = (segment.kind, run, segment.turn, segment.observation)
        seen[key] += 1
        pieces.append(((*key, seen[key]), segment))
    return pieces


def compare(shown: PromptShown, other: PromptShown | None) -> tuple[Piece, ...]:
    """The pieces of a view, with those of the ``other`` that are gone in between. Without another, all came now."""
    old = keyed(other) if other is not None else []
    where = {key: place for place, (key, _) in enumerate(old)}
    now = keyed(shown)
    keys = {key for key, _ in now}
    pieces: list[Piece] = []
    next_old = 0

    def gone(until: int) -> None:
        nonlocal next_old
        for key, segment in old[next_old:until]:
            if key not in keys and segment.kind != "template":
                pieces.append(Piece(key, segment, "gone"))
        next_old = max(next_old, until)

    for key, segment in now:
        place = where.get(key)
        if place is None:
            pieces.append(Piece(key, segment, "masked" if segment.masked else "added"))
            continue
        gone(place)
        next_old = max(next_old, place + 1)
        before = old[place][1]
        if before.masked != segment.masked:
            pieces.append(Piece(key, segment, "masked" if segment.masked else "back"))
        elif before.text != segment.text:
            pieces.append(Piece(key, before, "gone"))
            pieces.append(Piece(key, segment, "changed"))
        else:
            pieces.append(Piece(key, segment, "same"))
    gone(len(old))
    return tuple(pieces)


def label(segment: PromptSegment) -> str:
    """What a piece is."""
    match segment.kind:
        case "call" | "thought":
            return f"turn {segment.turn} · what it wrote"
        case "header":
            return f"observation {segment.observation} · header"
        case "body":
            return f"observation {segment.observation} · text" if segment.observation else "the lines it may use"
        case "system":
            return "system message"
        case "answer":
            return "an earlier answer"
        case "note":
            return "note to the model"
        case kind:
            return str(kind)


def heading(shown: PromptShown) -> str:
    """Which view this is: ``turn 4``, ``turn 4, try 2``, ``turn 4, evidence alone``."""
    narrow = ", evidence alone" if shown.purpose == "evidence" else ""
    tries = f", {'step' if narrow else 'try'} {shown.attempt}" if shown.attempt > 1 else ""
    return f"turn {shown.turn}{narrow}{tries}"


def sizes(shown: PromptShown) -> str:
    """How much was read, and how much was not."""
    masked = [each.tokens for each in shown.segments if each.masked]
    left_out = f" · ⊘ {len(masked)} masked, {sum(masked):,} not in view" if masked else ""
    return f"{shown.tokens:,} of {shown.limit:,} tokens{left_out}"


def difference(pieces: Sequence[Piece]) -> str:
    """What changed, summed up, with tokens: ``+ 3 new (1,204) · ⊘ 1 masked (1,904)``."""
    told = []
    for change, words in (
        ("added", "+ {} new"),
        ("masked", "⊘ {} masked"),
        ("back", "↩ {} back"),
        ("gone", "- {} gone"),
    ):
        found = [each.segment.tokens for each in pieces if each.change == change and each.segment.kind != "template"]
        if found:
            told.append(f"{words.format(len(found))} ({sum(found):,})")
    return " · ".join(told) or "nothing changed"
