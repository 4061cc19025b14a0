"""Loads the heavy libraries, one thread at a time.

Their packages import in circles. Two threads that import one of them at the same moment (say, one that warms up and
one that indexes) can make Python hand out a half-made module, and the import fails.
"""

from __future__ import annotations

import importlib
import os
import threading
from contextlib import AbstractContextManager

_lock = threading.RLock()


def one_at_a_time() -> AbstractContextManager[object]:
    """Held while a heavy library is imported."""
    return _lock


def load_lancedb() -> None:
    """Import all of LanceDB that is used here; afterwards importing it is a look-up."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # read at import: its native side warns on stderr otherwise
    with _lock:
        for name in ("pyarrow", "lancedb", "lancedb.index", "lancedb.query"):
            importlib.import_module(name)
