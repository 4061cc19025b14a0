"""Where the window begins. Arithmetic alone, shared by the masking policy and by the screens that show what it will do."""

from __future__ import annotations

from collections.abc import Sequence


def cutoff(effective: Sequence[int], window: int) -> int:
    """Where the window begins: at the ``window``-th of the ``effective`` places from the end. What is before is stale.

    0, so that nothing is before, where ``window`` is not positive or there are fewer such places.
    """
    return effective[-window] if 0 < window <= len(effective) else 0


def released(effective: Sequence[int], sizes: Sequence[int], window: int, *, turns: int = 0, tokens: int = 0) -> int:
    """The place before which stale observations go: :func:`cutoff`, or an earlier one while a batch fills up.

    ``sizes`` are the tokens that go with each of the ``effective`` places. A batch is full at so many ``turns``, or so
    many ``tokens``; 0 is no such limit. Follows the run from its beginning, so that what went stays gone.
    """
    if turns <= 1 and tokens <= 0:
        return cutoff(effective, window)
    done = waiting = 0  # how many of the places went, and what waits behind them
    for stale in range(1, len(effective) - window + 1 if window > 0 else 0):
        waiting += sizes[stale - 1]
        if 0 < turns <= stale - done or 0 < tokens <= waiting:
            done, waiting = stale, 0
    return effective[done] if done else 0
