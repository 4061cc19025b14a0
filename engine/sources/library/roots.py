"""The folders and files a library was told to index, and the names that paths below them have."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from engine.clean import clean, clean_line
from engine.errors import LibraryCorrupt
from engine.sources.library.documents import REBUILD


@dataclass(frozen=True)
class Places:
    """Where to look. ``left_out``: files and folders below the roots that the user took out of the library."""

    roots: tuple[Path, ...] = ()
    left_out: tuple[Path, ...] = ()


class Roots:
    """The list of places in a file of its own, so that it outlives everything that can be made from it again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Places:
        """In the order they were added. Raises LibraryCorrupt."""
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            return Places(tuple(map(Path, kept["roots"])), tuple(map(Path, kept.get("left_out", ()))))
        except FileNotFoundError:
            return Places()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LibraryCorrupt(f"The library's list of folders is damaged: {error}", REBUILD) from error

    def save(self, places: Places) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        kept = {"version": 1, "roots": [*map(str, places.roots)], "left_out": [*map(str, places.left_out)]}
        # Escapes keep file names that are no text: JSON can hold half a surrogate pair, UTF-8 cannot.
        fresh.write_text(json.dumps(kept, indent=2), encoding="ascii")
        fresh.replace(self._path)


def add(roots: Iterable[Path], paths: Iterable[Path]) -> tuple[Path, ...]:
    """The roots with ``paths`` among them. None is below another: one that is inside another becomes part of it."""
    every = dict.fromkeys((*roots, *paths))
    return tuple(each for each in every if not any(parent in every for parent in each.parents))


def root_of(path: Path, roots: Collection[Path]) -> Path | None:
    """The root that a path is or is below of. Fast where ``roots`` is a set or a dict."""
    return next((each for each in (path, *path.parents) if each in roots), None)


def absolute(path: Path) -> Path:
    """The path as it is kept. Raises OSError for a link that leads back to itself."""
    try:
        return path.expanduser().resolve()
    except RuntimeError as error:  # what older Pythons raise for such a link
        raise OSError(str(error)) from error


def id_of(path: Path) -> str:
    """The key of a file everywhere in the library."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def uri_of(path: Path) -> str:
    """The path as text that names just this file: as it is if it is safe to show, else as a ``file:`` address."""
    text = str(path)
    if clean(text) == text and "\n" not in text and "\t" not in text:
        return text
    return "file://" + quote_from_bytes(os.fsencode(path))


def shown(path: Path, root: Path) -> str:
    """What people see: the path from the root on, with the root folder's own name in front."""
    folder = root.parent if path == root else root
    return clean_line("/".join(part for part in (folder.name, path.relative_to(folder).as_posix()) if part))
