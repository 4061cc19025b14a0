"""Bringing new rows of the chunk table into its indexes, and doing so in a process of its own where there are many.

LanceDB joins files and extends indexes in native memory, of which its process keeps the most it ever took. A process
that ends gives all of it back, so that the one who indexes and answers stays as small as it was.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

from engine.sources.library.words import full_text

FULL_TEXT = "words_2"
"""The name of the full-text index. Another way to cut words gets another one, so that tidying notices an old index."""

_MOST_PARTS = 4
"""Each tidying adds a part to the vector index, made for the vectors of an earlier day; past this many it is made anew."""

_OLD = timedelta(minutes=10)
"""Versions of the table this old are let go of. Readers look for a new one every two seconds."""

_FRUGAL = {"LANCE_FTS_NUM_SHARDS": "1", "LANCE_FTS_PARTITION_SIZE": "64"}
"""One builder of the full-text index, which writes a part when it holds so many MB."""


def tidy(table: Any, index_vectors_from: int, *, service: bool) -> None:
    """Extend the indexes of an open table, join its files, let go of old versions.

    ``service``: LanceDB's own, which does the rest itself.
    """
    from lancedb.index import IvfSq

    _renew_full_text(table)
    embedded = table.count_rows("embedded")
    if embedded >= index_vectors_from and not 0 < _parts(table, "vector") <= _MOST_PARTS:
        table.create_index("vector", config=IvfSq(distance_type="cosine"), replace=True)
    if service:
        return
    try:
        # Never with delete_unverified: that removes what another process may just be writing.
        table.optimize(cleanup_older_than=_OLD)
    except RuntimeError as error:
        if "conflict" not in str(error).lower():
            raise  # losing to another commit is no harm: the next tidying does it


def _renew_full_text(table: Any) -> None:
    """Replace an index that cuts words in an earlier way, the new one first: searching goes on."""
    names = [index.name for index in table.list_indices() if index.columns == ["words"]]
    if FULL_TEXT not in names:
        table.create_index("words", config=full_text(), name=FULL_TEXT)
    for name in names:
        if name != FULL_TEXT:
            table.drop_index(name)


def _parts(table: Any, column: str) -> int:
    """Of how many parts the index of a column is made, 0 where there is none."""
    for index in table.list_indices():
        if index.columns == [column]:
            return int(table.index_stats(index.name).num_indices)
    return 0


# ── in a process of its own ──────────────────────────────────────────────────────────────────────


def apart(do: Callable[[], None]) -> bool:
    """Do something that can be pickled in a process that ends with it. Raises what it raises.

    False where no such process could be started, or it was ended from outside: the caller does it, then.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of native threads, held
    answers, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(do, theirs), name="tidier", daemon=True)
    try:
        process.start()
        theirs.close()
        raised = answers.recv()
    except (EOFError, OSError, AssertionError):  # the last one tells that this process may have no children
        return False
    finally:
        theirs.close()
        answers.close()
        if process.pid is not None:
            process.kill()  # it has answered, or nobody waits for it any more; what it left half done is not seen
            process.join()
    if raised is not None:
        raise raised
    return True


def _work(do: Callable[[], None], answers: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is for who started it, and that one ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(_FRUGAL)
    try:
        do()
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        answers.send(error)
    else:
        answers.send(None)


def _end_with_parent() -> None:
    """Nobody but the holder of the writer's lock may write."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
