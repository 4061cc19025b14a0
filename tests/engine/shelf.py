"""A source of a few documents held in memory, searched by shared words: what the loop needs and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import NotFound
from engine.protocol import Hit
from engine.sources.base import Document


@dataclass(frozen=True)
class Shelf:
    documents: tuple[Document, ...]
    name: str = "shelf"

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        wanted = set(query.lower().split())
        hits = []
        for document in self.documents:
            for number, line in enumerate(document.text.splitlines(), start=1):
                score = len(wanted & set(line.lower().strip(".").split()))
                if score:
                    hits.append(Hit(document.uri, document.title, "", number, number, line, score, path=document.path))
        return tuple(sorted(hits, key=lambda hit: -hit.score)[:limit])

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        return ()

    def open(self, uri: str) -> Document:
        for document in self.documents:
            if document.uri == uri:
                return document
        raise NotFound(f"no document {uri}")


def shelf() -> Shelf:
    """Five documents about a lighthouse."""
    texts = {
        "lamp": "The lamp of the lighthouse burns whale oil.\nIt is lit at dusk by the keeper.\n",
        "tower": "The tower of the lighthouse is thirty-one metres high.\nIt was built of basalt in 1874.\n",
        "keeper": "The first keeper was Ada Quill.\nShe kept the lamp for nineteen years.\n",
        "fog": "In fog the keeper rings a bell every minute.\nThe bell hangs below the gallery.\n",
        "boat": "The supply boat comes every second Thursday.\nIt brings oil, flour and letters.\n",
    }
    return Shelf(
        tuple(Document(f"/shelf/{name}.txt", f"shelf/{name}.txt", name.title(), text) for name, text in texts.items())
    )
