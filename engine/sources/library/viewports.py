"""Ranked rows made into a list worth reading: nothing said twice, no section in crowds, neighbours joined. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.sources.library.table import Row

PER_SECTION = 2
"""Places one section of one document may take. More would only crowd out other sections."""

VIEWPORT = 1300
"""Characters. What is joined stays small enough for the agent to read in one view."""

_ALIKE = 0.9
"""Two chunks with this share of their words in common say the same."""


@dataclass(frozen=True)
class Viewport:
    """Neighbouring chunks of one section as one piece. ``best`` is the row that brought it here."""

    best: Row
    whole: Row
    chunks: int = 1

    @property
    def section(self) -> tuple[str, str]:
        return self.best.document, self.best.heading


def arrange(rows: Iterable[Row], limit: int, *, per_section: int = PER_SECTION, most: int = VIEWPORT) -> list[Viewport]:
    """The first ``limit`` places of a list, from rows that come best first.

    A row that repeats an earlier one is left out. One that stands right before or behind an earlier one joins it, if
    both are in one section and together no longer than ``most`` characters. Of one section ``per_section`` stay.
    """
    views: list[Viewport] = []
    words: list[frozenset[str]] = []
    for row in rows:
        if len(views) == limit:
            break
        own = frozenset(re.findall(r"\w+", row.text.lower()))
        if any(_alike(own, other) for other in words):
            continue
        words.append(own)
        beside = next((place for place, view in enumerate(views) if _fits(view, row, most)), None)
        if beside is not None:
            views[beside] = _join(views[beside], row)
        elif sum(view.section == (row.document, row.heading) for view in views) < per_section:
            views.append(Viewport(row, row))
    return views


def _fits(view: Viewport, row: Row, most: int) -> bool:
    """Whether a row is the next or the last before a view, and there is room for it."""
    if view.section != (row.document, row.heading):
        return False
    size = max(view.whole.end, row.end) - min(view.whole.start, row.start)
    behind = row.number == view.whole.number + view.chunks and row.start >= view.whole.end
    before = row.number == view.whole.number - 1 and row.end <= view.whole.start
    return (behind or before) and size <= most


def _join(view: Viewport, row: Row) -> Viewport:
    """The view with one more row. ``whole.number`` is that of its first chunk."""
    one, other = sorted((view.whole, row), key=lambda each: each.start)
    # Between two chunks there is white space alone: so many line breaks, and what else there was of it.
    breaks = max(0, other.first - one.last)
    gap = "\n" * breaks + " " * max(0, other.start - one.end - breaks)
    whole = replace(one, text=one.text + gap + other.text, last=other.last, end=other.end)
    return replace(view, whole=whole, chunks=view.chunks + 1)


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one) and len(one & other) >= _ALIKE * len(one | other)
