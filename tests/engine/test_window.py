from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.window import cutoff, released


def slowly(effective: Sequence[int], sizes: Sequence[int], window: int, turns: int, tokens: int) -> int:
    """What a batch is, said again turn by turn."""
    done = 0
    for count in range(1, len(effective) + 1):
        start = cutoff(effective[:count], window)
        waiting = [size for place, size in zip(effective, sizes, strict=True) if done <= place < start]
        if waiting and (0 < turns <= len(waiting) or 0 < tokens <= sum(waiting)):
            done = start
    return done


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), max_size=12),
    st.integers(-1, 6),
    st.integers(0, 5),
    st.integers(0, 20),
)
def test_a_batch_goes_when_it_is_full_and_what_went_stays_gone(
    steps: list[tuple[int, int]], window: int, turns: int, tokens: int
) -> None:
    places, at = [], -1
    for gap, _ in steps:
        at += gap
        places.append(at)
    sizes = [size for _, size in steps]
    if turns > 1 or tokens > 0:
        assert released(places, sizes, window, turns=turns, tokens=tokens) == slowly(
            places, sizes, window, turns, tokens
        )
    else:
        assert released(places, sizes, window, turns=turns, tokens=tokens) == cutoff(places, window)
