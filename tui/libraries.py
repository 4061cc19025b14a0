"""What the libraries hold, told as lines of text. Reads the indexes on disk itself: no engine is started for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from engine.clean import clean_line
from engine.errors import LibraryError
from tui.plain import ERROR, OK, SOME_FAILED

if TYPE_CHECKING:
    from engine.sources.library import Library
    from engine.sources.library.embed import Embedder


def status(folder: Path, name: str = "", out: IO[str] | None = None, *, embedder: Embedder | None = None) -> int:
    """What the library ``name`` holds (or several, with commas between), or every one below ``folder``. An exit code."""
    out = out or sys.stdout
    names = name.split(",") if name else sorted(each.name for each in folder.glob("*") if each.is_dir())
    code = OK
    if not names:
        out.write("There is no library yet. Make one: deepsearch-tui index PATH\n")
    for each in names:
        try:
            out.writelines(f"{line}\n" for line in _described(folder, each, embedder))
        except LibraryError as error:
            out.write(f"{clean_line(each)}: {error} {error.hint}\n")
            code = ERROR
    return code


def _described(folder: Path, name: str, embedder: Embedder | None) -> Iterator[str]:
    library = _open(folder, name, embedder)
    try:
        now, places = library.status(), library.places()
        share = f" ({now.embedded / now.chunks:.0%})" if now.chunks else ""
        yield (
            f"{name}: {_count(now.documents, 'file')}, {_count(now.chunks, 'chunk')}, {now.embedded:,} with vectors{share},"
            f" {_count(now.failures, 'failure')}, {library.size() / 1e6:,.1f} MB"
        )
        if (place := library.at()).remote:
            yield f"  at        {clean_line(place.uri, 1000)}"
        for root in places.roots:
            yield f"  root      {_shown(root)}"
        for path in places.left_out:
            yield f"  removed   {_shown(path)}"
        if how := library.precision():
            yield f"  vectors   {how}"
        if now.note:
            yield f"  vectors   {now.note}"
    finally:
        library.close()


def failures(folder: Path, name: str, out: IO[str] | None = None) -> int:
    """Every file of the library that could not be read, why, and what would help. An exit code."""
    out = out or sys.stdout
    library = _open(folder, name)
    try:
        found = library.failures()
    finally:
        library.close()
    for each in found:
        out.write(f"{each.path}\n    {each.reason}\n")
        if each.hint:
            out.write(f"    → {each.hint}\n")
    out.write(f"{name}: {len(found):,} could not be read\n")
    return SOME_FAILED if found else OK


def remove(folder: Path, name: str, path: Path, out: IO[str] | None = None) -> int:
    """Take a path out of the library. Raises LibraryError where nothing of it is known, or another process writes."""
    library = _open(folder, name)
    try:
        removed = library.forget(path)
    finally:
        library.close()
    (out or sys.stdout).write(
        f"{name}: {_count(removed, 'file')} removed, below {_shown(path)}; the files are still there\n"
    )
    return OK


def _open(folder: Path, name: str, embedder: Embedder | None = None) -> Library:
    from engine.sources.library import Library

    return Library(folder, name, embedder=embedder)


def _shown(path: Path) -> str:
    return clean_line(os.fspath(path), 1000)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
