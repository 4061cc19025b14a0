"""What has come of a file: it lies beside its place as ``.part``, with a note of whose it is, until all of it is there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from engine.errors import DownloadFailed, LibraryLocked
from engine.sources.library.lock import writing

T = TypeVar("T")

_SPARE = 64 << 20
"""Bytes of the disk that a download leaves free."""

_PIECE = 1 << 20
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True)
class Held:
    """Whose a part is: its address, and what its server told of the file. ``total`` 0: it did not tell how long."""

    url: str = ""
    etag: str = ""
    modified: str = ""
    total: int = 0

    @property
    def mark(self) -> str:
        """What makes a server send the rest only if the file is still the same; empty where nothing does."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def disk(folder: Path) -> int:
    """Bytes that are free there."""
    return shutil.disk_usage(folder).free


def open_file(path: Path, mode: str) -> BinaryIO:
    """The file, in one of the binary modes."""
    return cast(BinaryIO, path.open(mode))


@dataclass(frozen=True)
class Part:
    """The part of ``file``. What goes wrong with the disk is raised as DownloadFailed, in words."""

    file: Path
    free: Callable[[Path], int] = disk
    open: Callable[[Path, str], BinaryIO] = open_file

    @property
    def path(self) -> Path:
        return self.file.with_name(self.file.name + ".part")

    @property
    def _note(self) -> Path:
        return self.file.with_name(self.file.name + ".part.json")

    def have(self) -> int:
        """Bytes that have come."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def held(self) -> Held:
        """Whose it is; nobody's where that is not known."""
        try:
            told = json.loads(self._note.read_text(encoding="utf-8"))
            return Held(str(told["url"]), str(told["etag"]), str(told["modified"]), int(told["total"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Held()

    def begin(self, held: Held) -> None:
        """From now on it is a part of this."""
        self.discard()
        self._in_words(lambda: self._note.write_text(json.dumps(asdict(held)), encoding="utf-8"))

    def discard(self) -> int:
        """Delete what has come. Returns its bytes."""
        had = self.have()
        for path in (self.path, self._note):
            self._in_words(partial(path.unlink, missing_ok=True))
        return had

    def room(self, total: int) -> None:
        """Raises DownloadFailed where a file of so many bytes would not fit on the disk."""
        folder = self.file.parent
        self._in_words(lambda: folder.mkdir(parents=True, exist_ok=True, mode=0o700))
        missing, free = total - self.have(), self.free(folder)
        if total and missing + _SPARE > free:
            raise DownloadFailed(
                f"There is no room for {self.file.name}: {size(missing)} are missing and {size(free)} are free.",
                f"Free some space in {folder}. What has come is kept.",
            )

    def write(self, pieces: Iterator[bytes], start: int, told: Callable[[int], None]) -> None:
        """Append what comes, or begin with it if ``start`` is 0; ``told`` is called with the bytes that there are."""
        file = self._in_words(lambda: self.open(self.path, "ab" if start else "wb"))
        done = start
        try:
            for piece in pieces:
                self._in_words(partial(file.write, piece))
                done += len(piece)
                told(done)
            self._in_words(file.flush)
            self._in_words(lambda: os.fsync(file.fileno()))
        finally:
            with suppress(OSError):  # a full disk has been told already
                file.close()

    def digest(self, told: Callable[[int], None]) -> str:
        """The SHA-256 of what has come."""
        digest, done = hashlib.sha256(), 0
        with self._in_words(lambda: self.path.open("rb")) as file:
            while piece := self._in_words(lambda: file.read(_PIECE)):
                digest.update(piece)
                done += len(piece)
                told(done)
        return digest.hexdigest()

    def into_place(self) -> None:
        """It is whole: let it be the file."""
        self._in_words(lambda: self.path.replace(self.file))
        self._in_words(lambda: self._note.unlink(missing_ok=True))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else fetches anything into its folder. Raises DownloadFailed where somebody does."""
        try:
            with writing(self.file.parent / ".downloads.lock"):
                yield
        except LibraryLocked as error:
            raise DownloadFailed("Another process is fetching a model.", "Wait until it is done.") from error
        except OSError as error:  # of the lock: all else is in words already
            raise self._failed(error) from error

    def _in_words(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> DownloadFailed:
        if error.errno in _FULL:
            return DownloadFailed(
                f"The disk is full: {self.path.name} could not be written.",
                f"Free some space in {self.file.parent} and pull again. What has come is kept.",
            )
        return DownloadFailed(f"{self.path} could not be written: {error.strerror or error}.")


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{max(0, count) / (1 << 20):,.1f} MB"
