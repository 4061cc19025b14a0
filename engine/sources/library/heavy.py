"""Loads the heavy libraries, one thread at a time.

Their packages import in circles. Two threads that import one of them at the same moment (say, one that warms up and
one that indexes) can make Python hand out a half-made module, and the import fails.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from contextlib import AbstractContextManager, suppress

_lock = threading.RLock()

_ARENA_MAX = -8
"""The number by which the C library is told how many heaps it may keep; from its malloc.h."""

_HEAPS = 2


def one_at_a_time() -> AbstractContextManager[object]:
    """Held while a heavy library is imported."""
    return _lock


def few_heaps(most: int) -> None:
    """Let native threads share heaps. Each would keep one of its own, with all that it ever needed at once."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_ARENA_MAX, most)


def give_back() -> None:
    """Return to the system what native code has freed."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def load_lancedb() -> None:
    """Import all of LanceDB that is used here; afterwards importing it is a look-up."""
    few_heaps(_HEAPS)
    os.environ.setdefault("LANCEDB_LOG", "error")  # read at import: its native side warns on stderr otherwise
    with _lock:
        for name in ("pyarrow", "lancedb", "lancedb.index", "lancedb.query"):
            importlib.import_module(name)


def load_sentence_transformers() -> None:
    """Import sentence-transformers, offline and quiet; afterwards importing it is a look-up. Raises ImportError."""
    # Read when the libraries are imported: nothing may be asked of a hub, and no bars drawn.
    os.environ.update(
        HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_PROGRESS_BARS="1"
    )
    with one_at_a_time():
        torch = importlib.import_module("torch")
        importlib.import_module("sentence_transformers")
        logging = importlib.import_module("transformers.utils.logging")
    logging.disable_progress_bar()  # it draws on the error stream
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
