"""What counts as a quotation, for the screens and for what-ifs alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.quotes import QUOTED, passages

WORDS = st.lists(st.sampled_from(["the", "lamp", "of", "tower", "is", "lit"]), max_size=20)


@given(WORDS)
def test_every_run_of_so_many_words_is_a_passage(words: list[str]) -> None:
    found = list(passages(", ".join(words)))
    assert found == [tuple(words[start : start + QUOTED]) for start in range(len(words) - QUOTED + 1)]


def test_capitals_signs_line_numbers_and_citations_are_not_words_that_are_said() -> None:
    page = "L7: The lamp is lit\nL8: at dusk, by hand."
    assert set(passages("the Lamp is lit at [3:L7-L8] dusk by hand")) == set(passages(page)) != set()


def test_one_word_less_is_no_quotation() -> None:
    page = "The keeper rows out with oil each night"
    assert set(passages("a keeper rows out with oil each day")) & set(passages(page))
    assert not set(passages("a keeper rows out with oil no more")) & set(passages(page))
