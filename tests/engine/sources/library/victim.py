"""Processes that index, to be killed, starved or set against each other.

``python -m tests.engine.sources.library.victim die LIBRARIES FOLDER STORY VECTORS`` is killed when the story with that
number is read, in whichever process, or when it has made that many vectors. ``index LIBRARIES FOLDER`` says ``begun``
when it is about to read. ``rounds LIBRARIES FOLDER NUMBER`` indexes again and again, and prints how often another
process was at it. ``starve LIBRARIES FOLDER BYTES`` may write no file longer than that, and prints what it is told.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import LibraryError, LibraryLocked
from engine.protocol import IndexProgress
from engine.sources.library import Library
from tests.engine.sources.library.hashing import HashEmbedder

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors


class Mortal(HashEmbedder):
    def __init__(self, story: str, vectors: int) -> None:
        super().__init__()
        self.story = story
        self.vectors = vectors

    def token_starts(self, text: str) -> Sequence[int]:
        if f"Story {self.story} " in text:
            parent = multiprocessing.parent_process()
            os.kill(parent.pid if parent and parent.pid else os.getpid(), signal.SIGKILL)
        return super().token_starts(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.embedded >= self.vectors:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(texts)


def main() -> None:
    _, what, libraries, folder, *more = sys.argv
    library = Library(Path(libraries), embedder=HashEmbedder())
    match what, more:
        case "die", [story, vectors]:
            Library(Path(libraries), embedder=Mortal(story, int(vectors))).index([Path(folder)])
        case "index", []:
            said: list[str] = []

            def progress(_: IndexProgress) -> None:
                if not said:
                    said.append("begun")
                    print("begun", flush=True)

            library.index([Path(folder)], progress=progress)
        case "rounds", [number]:
            locked = 0
            for _ in range(int(number)):
                try:
                    library.index([Path(folder)])
                except LibraryLocked:
                    locked += 1
                    time.sleep(0.05)
            print(locked)
        case "starve", [size]:
            library.warm()
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
            try:
                library.index([Path(folder)])
            except LibraryError as error:
                print(type(error).__name__, error, error.hint)


if __name__ == "__main__":
    main()
