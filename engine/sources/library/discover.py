"""Which files there are to index under a path, and what was left out and why. Reads no file's content."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 50 * 1024 * 1024
"""Bytes. A larger file is hardly a text that somebody wrote."""

_KINDS: Mapping[str, str] = {
    suffix: kind
    for kind, suffixes in {
        "text": "txt text log org adoc asciidoc tex",
        "markdown": "md markdown mdown mkd mdx",
        "rst": "rst rest",
        "html": "html htm xhtml",
        "code": "py pyi pyx js mjs cjs jsx ts tsx java kt kts scala groovy c h cc cpp cxx hh hpp hxx m mm cs fs go rs "
        "swift rb php pl pm lua r jl hs ml mli ex exs erl clj cljs el lisp scm sh bash zsh fish ps1 sql proto graphql "
        "toml yaml yml ini cfg conf cmake mk gradle tf nix zig d dart v vhd vhdl vue svelte css scss less",
    }.items()
    for suffix in suffixes.split()
}
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


@dataclass(frozen=True)
class Found:
    """A file to index."""

    path: Path
    kind: str
    size: int
    mtime_ns: int


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
    """What was found under the paths. ``skipped`` counts what was left out on purpose, by reason."""

    files: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def kind_of(name: str) -> str:
    """The kind of a file by its name, empty if it is none that is read."""
    stem, _, suffix = name.rpartition(".")
    if stem:
        return _KINDS.get(suffix.lower(), "")
    return "text" if name.lower() in _NAMES else ""


def scan(path: Path, *, found: Callable[[int, Path], None], cancelled: Callable[[], bool]) -> Scan:
    """Look at a file, or at everything below a folder. ``found`` is told the count so far, folder by folder.

    Folders reached by a symbolic link are not entered: they may lead back up, and what they hold has its own place.
    """
    result = Scan()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        result.problems.append(_problem(path, error))
        return result
    if not stat.S_ISDIR(mode):
        _file(path, path.stat(), kind_of(path.name) or "text", result)  # named by hand: taken as text
        return result
    folders = [path]
    while folders and not cancelled():
        folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            result.problems.append(_problem(folder, error))
            continue
        if folder != path and any(entry.name in _MARKERS for entry in entries):
            result.skipped["cache folder"] += 1
            continue
        below = [Path(entry.path) for entry in entries if _entry(entry, path, result)]
        folders.extend(reversed(below))
        found(len(result.files), folder)
    return result


def _entry(entry: os.DirEntry[str], root: Path, result: Scan) -> bool:
    """Note a directory entry; true for a folder to enter."""
    path = Path(entry.path)
    try:
        if entry.name.startswith("."):
            result.skipped["hidden"] += 1
        elif entry.is_symlink() and _not_followed(path, root):
            result.skipped["link"] += 1
        elif entry.is_dir():
            if entry.name not in _PASSED_OVER:
                return True
            result.skipped["cache folder"] += 1
        elif kind := kind_of(entry.name):
            _file(path, entry.stat(), kind, result)
        else:
            result.skipped["unknown kind"] += 1
    except OSError as error:
        result.problems.append(_problem(path, error))
    return False


def _not_followed(link: Path, root: Path) -> bool:
    """Whether a link leads to a folder, or to a file that will be met under its own name anyway."""
    if link.is_dir():
        return True
    if not kind_of(link.name):
        return False
    link.stat()  # raises for a link to nothing or to itself
    return link.resolve().is_relative_to(root)


def _file(path: Path, status: os.stat_result, kind: str, result: Scan) -> None:
    if not stat.S_ISREG(status.st_mode):
        result.skipped["special file"] += 1
    elif status.st_size == 0:
        result.skipped["empty"] += 1
    elif status.st_size > LARGEST:
        result.skipped["too large"] += 1
        size = f"{status.st_size / 1024 / 1024:,.0f} MB"
        hint = "Split it into smaller files if it should be searched."
        reason = f"It is too large: {size}, and the limit is {LARGEST // 1024 // 1024} MB."
        result.problems.append(Problem(path, reason, hint, kept=False))
    else:
        result.files.append(Found(path, kind, status.st_size, status.st_mtime_ns))


def _problem(path: Path, error: OSError) -> Problem:
    reason, hint = explain(error, link=path.is_symlink())
    return Problem(path, reason, hint)


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
