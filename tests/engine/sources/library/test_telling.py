"""What is told of the time that is left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.sources.library.telling import left

SIZES = st.lists(st.integers(0, 50_000_000), min_size=1, max_size=40)


def test_a_tiny_first_file_does_not_make_it_years() -> None:
    many = (22, 300_000)
    assert left(2.0, (1, 20), many) < 120
    assert left(2.0, (0, 0), many) == -1.0, "nothing is known yet"


@given(SIZES, st.floats(0.001, 1e4), st.data())
def test_it_is_in_proportion_and_ends_at_nothing(sizes: list[int], seconds: float, data: st.DataObject) -> None:
    done = data.draw(st.integers(1, len(sizes)))
    rest = left(seconds, (done, sum(sizes[:done])), (len(sizes), sum(sizes)))
    assert rest >= 0
    assert left(seconds, (len(sizes), sum(sizes)), (len(sizes), sum(sizes))) == 0
    assert left(2 * seconds, (done, sum(sizes[:done])), (len(sizes), sum(sizes))) == 2 * rest
