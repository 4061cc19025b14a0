from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.model.kv import Plan, plan

few = st.lists(st.integers(0, 3), max_size=12)  # few different tokens make common prefixes likely
some = few.filter(bool)


@given(few, some)
def test_the_edit_makes_the_held_tokens_the_wanted_ones(held: list[int], wanted: list[int]) -> None:
    edit = plan(held, wanted)
    kept = held[: edit.keep]
    assert edit.keep + edit.remove == len(held)
    assert kept + wanted[len(wanted) - edit.decode :] == wanted


@given(few, some)
def test_as_much_is_kept_as_can_be_and_the_last_token_is_always_decoded(held: list[int], wanted: list[int]) -> None:
    edit = plan(held, wanted)
    assert edit.decode >= 1
    further = edit.keep + 1
    assert further == len(wanted) or held[:further] != wanted[:further]


@given(some, few)
def test_appending_drops_nothing(held: list[int], more: list[int]) -> None:
    edit = plan(held, [*held, *more, 9])
    assert edit == Plan(len(held), 0, len(more) + 1)


@given(some)
def test_the_same_again_costs_one_token(tokens: list[int]) -> None:
    assert plan(tokens, tokens) == Plan(len(tokens) - 1, 1, 1)
