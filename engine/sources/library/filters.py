"""Which documents a search is about: by path, by type, and by when they last changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from engine.clean import clean_line
from engine.errors import FilterError

_AGE = re.compile(r"([0-9]{1,6}) ?(min|h|d|w|m|y)[a-z]*", re.IGNORECASE)
_UNITS = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "m": timedelta(days=30),
    "y": timedelta(days=365),
}
_SINCE = "Write a date such as 2025-01-31 or 2025-01, or an age such as 12h, 3d, 2w, 6m or 1y."


@dataclass(frozen=True)
class Filters:
    """All of them must hold; an empty one holds for every document.

    ``paths``: patterns as in a ``.gitignore``, at any depth; one that begins with ``!`` leaves out what fits it.
    ``types``: kinds (``markdown``) or endings of names (``md``), any of them. ``since``: Unix time in seconds.
    """

    paths: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    since: float = 0.0


@dataclass(frozen=True)
class Brief:
    """What filters look at. ``shown`` and ``path`` are the short and the whole path; ``changed`` in Unix seconds."""

    id: str
    shown: str
    path: str
    kind: str
    changed: float

    @property
    def ending(self) -> str:
        return self.shown.rpartition("/")[2].rpartition(".")[2].lower()


def since(text: str, now: datetime) -> float:
    """The Unix time of a date or an age. ``now`` has a time zone. Raises FilterError for anything else."""
    text = text.strip()
    if age := _AGE.fullmatch(text):
        try:
            return (now - int(age[1]) * _UNITS[age[2].lower()]).timestamp()
        except OverflowError:
            return 0.0
    if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", text):
        text += "-01-01"[: 10 - len(text)] if len(text) == 4 else "-01"
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise FilterError(f"{clean_line(text, 40)!r} is neither a date nor an age.", _SINCE) from None
    day = day if day.tzinfo else day.replace(tzinfo=now.tzinfo)
    if day > now:
        raise FilterError(f"{clean_line(text, 40)!r} is still to come: nothing has changed since.", _SINCE)
    return max(0.0, day.timestamp())


def apply(filters: Filters, documents: Iterable[Brief]) -> list[str]:
    """The ids of the documents for which the filters hold. Raises FilterError for a type that no document has."""
    documents = list(documents)
    left: Iterable[Brief] = documents
    if filters.types:
        types = {each.lower().lstrip(".") for each in filters.types}
        _check(types, documents)
        left = [each for each in left if each.kind in types or each.ending in types]
    if filters.since:
        left = [each for each in left if each.changed >= filters.since]
    if filters.paths:
        fits = matcher(filters.paths)
        left = [each for each in left if fits(each)]
    return [each.id for each in left]


def _check(types: set[str], documents: list[Brief]) -> None:
    kinds = {each.kind for each in documents}
    unknown = types - kinds - {each.ending for each in documents}
    if unknown and documents:
        there = ", ".join(sorted(kinds))
        raise FilterError(
            f"The library has no document of the type {clean_line(min(unknown), 40)!r}.",
            f"There are: {there}. The ending of a name, such as md, will do as well.",
        )


def check(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns as they hold in any working folder. Raises FilterError."""
    placed = tuple(_placed(each) for each in patterns)
    matcher(placed)
    return placed


def _placed(pattern: str) -> str:
    """The pattern with a whole path in place of ``~``, ``.`` and ``..``."""
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    if body in (".", "..", "~") or body.startswith(("./", "../", "~/")):
        body = str(Path(body).expanduser().resolve()) + "/" * body.endswith("/")
    return sign + body


def matcher(patterns: Iterable[str]) -> Callable[[Brief], bool]:
    """Whether a document's path fits the patterns. Raises FilterError for one that means nothing."""
    tests = [_test(_placed(each)) for each in patterns]
    keep = [test for wanted, test in tests if wanted]
    drop = [test for wanted, test in tests if not wanted]

    def fits(document: Brief) -> bool:
        kept = not keep or any(test(document) for test in keep)
        return kept and not any(test(document) for test in drop)

    return fits


def _test(pattern: str) -> tuple[bool, Callable[[Brief], bool]]:
    """Whether what fits the pattern is wanted, and what tells whether something fits."""
    from pathspec import GitIgnoreSpec

    wanted = not pattern.startswith("!")
    body = pattern.removeprefix("!")
    whole = body.startswith("/")
    try:
        if not body.strip("/ "):
            raise ValueError("nothing is named")
        # A short path begins with the name of an indexed folder, which nobody thinks of: any depth will do.
        spec = GitIgnoreSpec.from_lines([body if whole else f"**/{body}"])
    except ValueError as error:
        hint = "Write it as in a .gitignore: *.md, notes/**, /home/me/docs."
        raise FilterError(f"{clean_line(pattern, 80)!r} is no pattern for paths.", hint) from error
    return wanted, lambda document: spec.match_file(document.path.lstrip("/") if whole else document.shown)
