"""Fewer and shorter pauses for the sake of memory: Python stops everything to look for garbage among all that there is."""

from __future__ import annotations

import gc

_OFTEN = (10_000, 10, 100)
"""New objects between two looks at the youngest, and how many of those before one at the older, and at all. Python's own
(700, 10, 10) looks at everything several times while a session is opened, for a tenth of a second each time.
"""


def keep() -> None:
    """What is there now stays until the end, and is not looked at again: modules, styles, the widgets of the main screen.

    Objects are freed as ever when nothing refers to them; this is about those alone that refer to one another.
    """
    gc.freeze()
    gc.set_threshold(*_OFTEN)
