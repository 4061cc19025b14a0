"""What the ignore files of a tree leave out, by git's rules: the innermost file decides, and in it the last pattern."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAMES = (".deepsearchignore", ".gitignore")
"""The files that hold patterns. In one folder the first of them has the last word."""

_LONGEST = 1_000_000
"""Characters read of one ignore file."""

_STARS = re.compile(r"(?:(?<!\*)\*(?!\*)[^/*]*){5}")
"""Five single stars in one name: no pattern that anybody needs, but one that can take hours to match."""


@dataclass(frozen=True)
class Rules:
    """The ignore files between a root and one of its folders, each with the length of its folder's path."""

    layers: tuple[tuple[int, GitIgnoreSpec], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.layers)

    def below(self, folder: str, names: Collection[str] = NAMES) -> Rules:
        """The rules inside ``folder``, of whose files ``names`` are the ones to look for. Raises OSError."""
        own = []
        for name in NAMES:
            if name in names and (spec := _read(os.path.join(folder, name))):  # noqa: PTH118 - once a folder, and fast
                own.append((len(folder) + (not folder.endswith(os.sep)), spec))
        return Rules((*own, *self.layers)) if own else self

    def leave_out(self, path: str, *, folder: bool) -> bool:
        """Whether a path below the folders of these rules is left out. What is inside a left out folder is not asked."""
        for length, spec in self.layers:
            relative = path[length:].replace(os.sep, "/")
            decided = spec.check_file(relative + "/" if folder else relative).include
            if decided is not None:
                return decided
        return False


def _read(path: str) -> GitIgnoreSpec | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            lines = file.read(_LONGEST).splitlines()
    except (FileNotFoundError, IsADirectoryError):
        return None
    from pathspec import GitIgnoreSpec

    spec = GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))
    return spec if any(pattern.include is not None for pattern in spec.patterns) else None


def _is_pattern(line: str) -> bool:
    """Whether a line is one to obey. Git passes over what is no pattern, too."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return not _STARS.search(line)
