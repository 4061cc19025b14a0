"""How often Python looks for objects that only refer to each other."""

from __future__ import annotations

import gc


def seldom() -> None:
    """Look for them seldom, in the whole process. A session of two hundred turns is a hundred thousand records, none of
    which refers back: with Python's own figures more time goes into looking at them than into reading them.
    """
    gc.set_threshold(50_000, 20, 50)
