"""How often Python looks for objects that only refer to each other, and among how many. All others are freed at once."""

from __future__ import annotations

import gc


def seldom() -> None:
    """Look for them seldom, in the whole process. A session of two hundred turns is a hundred thousand records, none of
    which refers back: with Python's own figures more time goes into looking at them than into reading them.
    """
    gc.set_threshold(50_000, 20, 50)


def settle() -> None:
    """What is there now stays until the end and is not looked at again: modules, styles, the widgets of a main screen."""
    gc.freeze()
