"""Which files there are to index under a path, and what was left out and why. Reads no file's content."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.sources.library.extract import SUFFIXES
from engine.sources.library.ignore import Rules

LARGEST = 50 * 1024 * 1024
"""Bytes. A larger file is hardly a text that somebody wrote."""

_NAMES = frozenset(
    (
        "readme",
        "license",
        "licence",
        "copying",
        "changelog",
        "changes",
        "news",
        "authors",
        "contributors",
        "notes",
        "notice",
        "todo",
        "install",
        "faq",
        "makefile",
        "dockerfile",
    )
)
_PASSED_OVER = frozenset(("CVS", "_darcs", "__pycache__", "node_modules", "bower_components", "site-packages", "venv"))
_MARKERS = frozenset(("CACHEDIR.TAG", "pyvenv.cfg"))
"""A folder that holds one of these says itself that it is a cache or an installation."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to index. There may be very many: the path is kept as a string."""

    file: str
    kind: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        return Path(self.file)


@dataclass(frozen=True)
class Problem:
    """A file or folder that could not be looked at, and why.

    ``kept``: what was known of it before still holds, as far as anyone can tell.
    """

    path: Path
    reason: str
    hint: str = ""
    kept: bool = True


@dataclass
class Scan:
    """What was found under the paths. ``skipped`` counts what was left out on purpose, by reason.

    ``same`` is how many files are as they are known to be.
    """

    files: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    same: int = 0


def kind_of(name: str) -> str:
    """The kind of a file by its name, empty if it is none that is read."""
    stem, _, suffix = name.rpartition(".")
    if name.startswith("~$"):
        return ""  # what office programs keep beside a document while it is open
    if stem:
        return SUFFIXES.get(suffix.lower(), "")
    return "text" if name.lower() in _NAMES else ""


def scan(
    path: Path,
    *,
    found: Callable[[int, Path], None],
    cancelled: Callable[[], bool],
    root: Path | None = None,
    taken_out: Collection[Path] = (),
    known: MutableMapping[str, tuple[int, int]] | None = None,
) -> Scan:
    """Look at a file, or at everything below a folder. ``found`` is told the count so far, folder by folder.

    ``root`` is what the user named; where ``path`` is below it, it is looked at by the rules of the root. ``taken_out``
    are paths to pass over. ``known`` holds size and time of files by their path: each one that is met is taken out of
    it, and told as one of ``files`` only if it changed. Folders reached by a symbolic link are not entered: they may
    lead back up, and what they hold has its own place.
    """
    walk = _Walk(str(root or path), frozenset(map(str, taken_out)), {} if known is None else known)
    try:
        status = path.stat()
        rules = walk.rules_above(path)
    except OSError as error:
        walk.problem(path, error)
        return walk.result
    if isinstance(rules, str):
        walk.result.skipped[rules] += 1
    elif not stat.S_ISDIR(status.st_mode):
        kind = kind_of(path.name) or ("text" if root in (None, path) else "")  # named by hand: taken as text
        walk.file(str(path), kind, status)
    else:
        folders = [(str(path), rules)]
        while folders and not cancelled():
            folder, rules = folders.pop()
            folders.extend(reversed(walk.folder(folder, rules)))
            found(len(walk.result.files) + walk.result.same, Path(folder))
    return walk.result


def left_out(path: Path, root: Path, taken_out: Collection[Path] = ()) -> str:
    """Why the rules of ``root`` leave out a path below it, empty if they do not. Raises OSError."""
    rules = _Walk(str(root), frozenset(map(str, taken_out)), {}).rules_above(path)
    return rules if isinstance(rules, str) else ""


class _Walk:
    """One look at one place. Most files of most scans are unchanged: for those, it does next to nothing."""

    def __init__(self, root: str, taken_out: frozenset[str], known: MutableMapping[str, tuple[int, int]]) -> None:
        self.result = Scan()
        self._root = root
        self._taken_out = taken_out
        self._taken_apart = {os.path.dirname(each) for each in taken_out}  # noqa: PTH120 - they are strings
        self._known = known

    def rules_above(self, path: Path) -> Rules | str:
        """The ignore rules that hold where ``path`` is, or why the way there from the root is left out."""
        rules = Rules()
        for above in reversed([path, *path.parents]):
            if not above.is_relative_to(self._root) or str(above) == self._root:
                continue
            rules = rules.below(str(above.parent))
            folder = above != path or path.is_dir()
            if reason := self._passed_over(str(above), above.name, rules, folder=folder):
                return reason
        return rules

    def folder(self, folder: str, rules: Rules) -> list[tuple[str, Rules]]:
        """Look at the entries of a folder. The folders in it to enter, each with the rules that hold for it."""
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
            names = {entry.name for entry in entries}
            if folder != self._root and not _MARKERS.isdisjoint(names):
                self.result.skipped["cache folder"] += 1
                return []
            rules = rules.below(folder, names)
        except OSError as error:
            self.problem(Path(folder), error)
            return []
        entries.sort(key=_name)
        below = []
        plain = not rules and folder not in self._taken_apart
        for entry in entries:
            try:
                if plain and self._same(entry):
                    continue
                if self._entry(entry, rules):
                    below.append((entry.path, rules))
            except OSError as error:
                self.problem(Path(entry.path), error)
        return below

    def _same(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a file that is known and unchanged, told with one look-up and one ``stat``."""
        was = self._known.get(entry.path)
        if was is None or entry.name[0] == "." or not entry.is_file(follow_symlinks=False) or not kind_of(entry.name):
            return False
        status = entry.stat(follow_symlinks=False)
        if was != (status.st_size, status.st_mtime_ns):
            return False
        self.result.same += 1
        del self._known[entry.path]
        return True

    def _entry(self, entry: os.DirEntry[str], rules: Rules) -> bool:
        """Note a directory entry; true for a folder to enter."""
        name, path = entry.name, entry.path
        folder = entry.is_dir(follow_symlinks=False)
        if reason := self._passed_over(path, name, rules, folder=folder):
            self.result.skipped[reason] += 1
        elif folder:
            return True
        elif entry.is_symlink() and _not_followed(Path(path), self._root):
            self.result.skipped["link"] += 1
        elif kind := kind_of(name):
            self.file(path, kind, entry.stat())
        else:
            self.result.skipped["unknown kind"] += 1
        return False

    def _passed_over(self, path: str, name: str, rules: Rules, *, folder: bool) -> str:
        """Why a file or folder is not looked at, empty if it is."""
        if name.startswith("."):
            return "hidden"
        if folder and name in _PASSED_OVER:
            return "cache folder"
        if self._taken_out and path in self._taken_out:
            return "removed from the library"
        if rules and rules.leave_out(path, folder=folder):
            return "ignored"
        return ""

    def file(self, path: str, kind: str, status: os.stat_result) -> None:
        if not kind:
            self.result.skipped["unknown kind"] += 1
        elif self._known.get(path) == (status.st_size, status.st_mtime_ns):
            self.result.same += 1
            del self._known[path]
        elif _file(path, status, kind, self.result):
            self._known.pop(path, None)

    def problem(self, path: Path, error: OSError) -> None:
        reason, hint = explain(error, link=path.is_symlink())
        self.result.problems.append(Problem(path, reason, hint))


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _not_followed(link: Path, root: str) -> bool:
    """Whether a link leads to a folder, or to a file that will be met under its own name anyway."""
    if link.is_dir():
        return True
    if not kind_of(link.name):
        return False
    link.stat()  # raises for a link to nothing or to itself
    return link.resolve().is_relative_to(root)


def _file(path: str, status: os.stat_result, kind: str, result: Scan) -> bool:
    """Note a file; true if it is one to index."""
    if not stat.S_ISREG(status.st_mode):
        result.skipped["special file"] += 1
    elif status.st_size == 0:
        result.skipped["empty"] += 1
    elif status.st_size > LARGEST:
        result.skipped["too large"] += 1
        size = f"{status.st_size / 1024 / 1024:,.0f} MB"
        hint = "Split it into smaller files if it should be searched."
        reason = f"It is too large: {size}, and the limit is {LARGEST // 1024 // 1024} MB."
        result.problems.append(Problem(Path(path), reason, hint, kept=False))
    else:
        result.files.append(Found(path, kind, status.st_size, status.st_mtime_ns))
        return True
    return False


def explain(error: OSError, *, link: bool = False) -> tuple[str, str]:
    """What went wrong with a file, and what to do about it, in words for a person."""
    match error:
        case PermissionError():
            return "You are not allowed to read it.", "Change its permissions, or leave it out."
        case FileNotFoundError() if link:
            return "It is a link to something that is not there.", "Repair the link or remove it."
        case FileNotFoundError():
            return "It is not there.", "Check the path; if it is on another disk, connect that and index again."
    if error.errno == errno.ELOOP or "loop" in str(error).lower():
        return "It is a link that leads back to itself.", "Repair the link or remove it."
    reason = error.strerror or type(error).__name__
    return f"It could not be read: {reason}.", "Try again; if it stays so, check the disk."
