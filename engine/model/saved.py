"""A model's cache on disk: what a stopped run had read, so that going on with it reads nothing again.

The file is only good for the very model, library version and memory options that wrote it, and llama.cpp trusts what it
is given: so all of that stands in the file's head with a checksum, and a file that does not match is refused.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.model.edits import Held, Span
from engine.model.kv import Cache

_MAGIC = b"deepsearch cache 1\n"


def save(cache: Cache, file: Path, fit: Mapping[str, Any], *, most: int) -> int:
    """Write a cache, ``most`` bytes at the most; returns the file's bytes, 0 if it was not written.

    ``fit`` is all that must be the same where it is restored. Raises OSError where the disk will not have it; an
    earlier file then stays.
    """
    if not len(cache):
        return 0
    state = cache.state()
    if len(state) > most:
        return 0
    head = {
        "fit": dict(fit),
        "held": [[list(held.span.tokens), held.span.body, held.span.reply, held.at, held.stale] for held in cache.held],
        "exact": cache.exact,
        "bytes": len(state),
        "crc": zlib.crc32(state),
    }
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_suffix(".new")
    try:
        with open(new, "wb", opener=_private) as out:
            out.write(_MAGIC + json.dumps(head).encode() + b"\n")
            out.write(state)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return file.stat().st_size


def restore(cache: Cache, file: Path, fit: Mapping[str, Any], *, room: int) -> bool:
    """Put a saved cache back, of ``room`` tokens at the most; says whether the file was there and the right one."""
    try:
        with file.open("rb") as source:
            if source.readline(len(_MAGIC)) != _MAGIC:
                return False
            head = json.loads(source.readline())
            state = source.read()
        if head["fit"] != fit or (len(state), zlib.crc32(state)) != (head["bytes"], head["crc"]):
            return False
        held = [
            Held(Span(tuple(map(int, tokens)), int(body), bool(reply)), int(at), bool(stale))
            for tokens, body, reply, at, stale in head["held"]
        ]
        exact = int(head["exact"])
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return sum(len(each.span.tokens) for each in held) <= room and cache.restore(state, held, exact)


def tidy(folder: Path, *, most: int) -> None:
    """Delete the oldest caches until all together take ``most`` bytes at the most."""
    files = sorted(_stats(folder.glob("*.kv")), key=lambda entry: -entry[1].st_mtime)
    total = 0
    for file, stat in files:
        total += stat.st_size
        if total > most:
            file.unlink(missing_ok=True)


def _stats(files: Iterable[Path]) -> Iterable[tuple[Path, os.stat_result]]:
    for file in files:
        try:
            yield file, file.stat()
        except OSError:  # gone meanwhile
            continue


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
