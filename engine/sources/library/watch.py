"""Which files change while nobody asks: a thread that listens to the system and collects paths."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.errors import LibraryError
from engine.sources.library import ignore
from engine.sources.library.discover import kind_of

_DEBOUNCE_MS = 400
"""Changes that come this soon after one another are told together: saving a file is often several of them."""

_LOOK_MS = 200
"""How soon the listening ends when it is to end."""


class Changes:
    """The paths that changed since they were last taken. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paths: set[Path] = set()
        self._error: OSError | None = None

    def waiting(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._paths) or self._error is not None

    def take(self, seconds: float) -> set[Path]:
        """What changed, waiting this long for something to. Raises LibraryError where changes cannot be listened to."""
        with self._changed:
            self._changed.wait_for(self.waiting, timeout=seconds)
            if self._error is not None:
                hint = "The system limits how many folders may be watched; watch fewer, or raise its limit."
                raise LibraryError(f"Changes cannot be watched: {self._error}.", hint) from self._error
            taken, self._paths = self._paths, set()
            return taken

    def put(self, paths: set[Path]) -> None:
        with self._changed:
            self._paths |= paths
            self._changed.notify()

    def end(self, error: OSError) -> None:
        """No more changes will come."""
        with self._changed:
            self._error = error
            self._changed.notify()


@contextmanager
def watching(roots: Sequence[Path]) -> Iterator[Changes]:
    """Listen below ``roots``, as long as the block lasts. Nothing that happens after it was entered is missed."""
    changes, stop = Changes(), threading.Event()
    folders = [root for root in roots if root.is_dir()]
    # A file is often replaced by another one of its name, which only its folder hears of.
    beside = list({root.parent for root in roots if root.is_file()})
    threads, begun = [], []
    for places, recursive in ((folders, True), (beside, False)):
        if places:
            begun.append(threading.Event())
            arguments = (places, recursive, changes, stop, begun[-1])
            threads.append(threading.Thread(target=_listen, args=arguments, name="watch", daemon=True))
            threads[-1].start()
    try:
        for each in begun:
            each.wait(timeout=30)
        yield changes
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=5)


def _listen(
    places: Sequence[Path], recursive: bool, changes: Changes, stop: threading.Event, begun: threading.Event
) -> None:
    from watchfiles import watch

    try:
        for some in watch(
            *places,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=False,
            recursive=recursive,
            ignore_permission_denied=True,
        ):
            begun.set()
            if paths := {path for _, name in some if (path := _concerned(Path(name))) is not None}:
                changes.put(paths)
    except OSError as error:
        changes.end(error)
    finally:
        begun.set()


def _concerned(path: Path) -> Path | None:
    """What to look at again because of a change at ``path``; None for what cannot matter, such as temporary files."""
    if path.name in ignore.NAMES or _UNREADABLE in path.name:
        return path.parent  # other files may be left out now; or its name is no text, and was not told as it is
    if path.name.startswith((".", "~$")) or path.name.endswith("~"):
        return None
    return path if kind_of(path.name) or not path.is_file() else None


_UNREADABLE = "\ufffd"
