"""One file to rows: read it, see whether it changed, make text of it, and cut that. Runs in any process."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.clean import clean_line
from engine.sources.library import chunk as chunking
from engine.sources.library import extract
from engine.sources.library.discover import LARGEST, Found, Problem, explain
from engine.sources.library.documents import Packed, pack
from engine.sources.library.extract import Extracted
from engine.sources.library.roots import id_of
from engine.sources.library.table import Row

TokenStarts = Callable[[str], Sequence[int]]

_RACY_NS = 2_000_000_000
"""A file written this shortly before it was read may change again without its time showing it."""

NOT_TEXT = "It is not a text"


@dataclass(frozen=True)
class Reading:
    """What became of reading a file.

    ``size``, ``mtime_ns`` and ``hash`` are the file's as it was read; ``mtime_ns`` is -1 where it cannot be trusted.
    ``problem`` says why there is no text; without one, and without ``packed``, the text is the one known before, or
    (``empty``) there is none in it. ``notes`` say what is missing from the text.
    """

    size: int = -1
    mtime_ns: int = -1
    hash: str = ""
    title: str = ""
    lines: int = 0
    rows: tuple[Row, ...] = ()
    packed: Packed | None = None
    problem: Problem | None = None
    empty: bool = False
    notes: tuple[str, ...] = ()


def read(found: Found, known: str, token_starts: TokenStarts) -> Reading:
    """Read one file. ``known``: the hash it had when its chunks were made, empty where they must be made in any case."""
    try:
        with found.path.open("rb") as file:
            status = os.fstat(file.fileno())  # before reading: a change meanwhile shows at the next look
            data = file.read(LARGEST + 1)
    except OSError as error:
        return Reading(problem=Problem(found.path, *explain(error)))
    racy = time.time_ns() - status.st_mtime_ns < _RACY_NS
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    reading = Reading(len(data), -1 if racy else status.st_mtime_ns, digest)
    if known == digest:
        return reading
    try:
        extracted = extract.EXTRACTORS[found.kind](data)
        reading = replace(reading, notes=extracted.notes)
        if not extracted.text.strip():
            return replace(reading, empty=True)
        del data
        extracted = replace(extracted, title=extracted.title or clean_line(found.path.name))
        extracted = extract.paged(extracted, extract.PAGES.get(found.kind, ""))
        rows = cut(id_of(found.path), extracted, token_starts)
        packed = pack(extracted)
    except extract.NotTextError as error:
        hint = "If it is a text, save it as UTF-8 and index again."
        return replace(reading, problem=Problem(found.path, f"{NOT_TEXT}: {error}.", hint, kept=False))
    except extract.Unreadable as error:
        return replace(reading, problem=Problem(found.path, str(error), error.hint, kept=False))
    except MemoryError:
        problem = Problem(
            found.path, "It needs more memory than reading one file may take.", "Split it up.", kept=False
        )
        return replace(reading, problem=problem)
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of one strange file must not end the run
        reason = clean_line(f"It could not be understood: {type(error).__name__} {error}")
        hint = "Open it in its own program and save it again."
        return replace(reading, problem=Problem(found.path, reason, hint))
    lines = lines_in(extracted.text)
    return replace(reading, title=extracted.title, lines=lines, rows=rows, packed=packed)


def cut(document: str, extracted: Extracted, token_starts: TokenStarts) -> tuple[Row, ...]:
    """The rows of a document, in order, without vectors."""
    text = extracted.text
    rows = []
    for number, each in enumerate(chunking.chunk(text, extracted.sections, token_starts(text))):
        piece = text[each.start : each.end]
        name = hashlib.blake2b(piece.encode(), digest_size=16).hexdigest()
        heading = " > ".join(each.trail)
        rows.append(Row(document, number, heading, each.first, each.last, each.start, each.end, piece, name))
    return tuple(rows)


def lines_in(text: str) -> int:
    """How many lines a text has."""
    return text.count("\n") + (not text.endswith("\n"))
