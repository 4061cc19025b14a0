"""Plans, carried out on lists: what is held afterwards must be what was wanted, wherever it came from."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.model.edits import MODES, Held, Insert, Keep, Mode, Plan, Redo, Remove, Span, plan

END = Span((0,))
"""What every prompt ends with: where the reply begins."""


def laid(spans: Sequence[Span], start: int = 0) -> list[Held]:
    """Spans one after the other, as a cache holds them after reading them."""
    held = []
    for span in spans:
        held.append(Held(span, start))
        start += len(span.tokens)
    return held


def carried_out(held: Sequence[Held], todo: Plan) -> list[int]:
    """The tokens that are held after a plan, by its words alone."""
    result: list[int] = []
    place = 0
    for edit in todo.edits:
        match edit:
            case Keep() | Redo():
                result += held[place].span.tokens
                place += 1
            case Remove():
                place += 1
            case Insert(span):
                result += span.tokens
    rest = [token for old in held[place:] for token in old.span.tokens]
    assert todo.match + todo.drop == len(rest)
    return [*result, *rest[: todo.match], *todo.append]


def flat(spans: Sequence[Span]) -> list[int]:
    return [token for span in spans for token in span.tokens]


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)  # few different ones: spans are often alike


@st.composite
def runs(draw: st.DrawFn, most: int = 6) -> list[Span]:
    """A run as a row of spans: turns of a reply and an observation with header and body, each body its own number."""
    spans = [Span(draw(tokens))]
    for number in range(1, draw(st.integers(0, most)) + 1):
        spans += [Span(draw(tokens), reply=True), Span(draw(tokens)), Span(draw(tokens), body=number)]
    return spans


def shown(run: Sequence[Span], hidden: frozenset[int]) -> list[Span]:
    return [*(span for span in run if span.body not in hidden), END]


hiding = st.frozensets(st.integers(1, 6))
modes = st.sampled_from(MODES)


@given(runs(), runs(), modes, st.booleans(), st.integers(0, 9))
def test_any_view_can_be_reached_from_any_other(
    old: list[Span], new: list[Span], mode: Mode, shift: bool, exact: int
) -> None:
    held, wanted = laid(old), [*new, END]
    todo = plan(held, wanted, mode, exact=exact, shift=shift)
    assert carried_out(held, todo) == flat(wanted)
    assert todo.kept + todo.decoded == len(flat(wanted))
    assert todo.removed + todo.drop + todo.kept + todo.redone == len(flat(old))
    assert todo.append, "the last token is read, its logits are needed"


@given(runs(), hiding, hiding, modes, runs(2))
def test_a_run_goes_on_under_other_decisions(
    run: list[Span], before: frozenset[int], after: frozenset[int], mode: Mode, more: list[Span]
) -> None:
    longer = [*run, *(span._replace(body=span.body and span.body + 10) for span in more[1:])]
    held, wanted = laid(shown(run, before)[:-1]), shown(longer, after)
    todo = plan(held, wanted, mode)
    assert carried_out(held, todo) == flat(wanted)
    if mode == "strict":
        assert not any(isinstance(edit, Remove | Insert | Redo) for edit in todo.edits)
    if mode == "carry":
        back = [len(span.tokens) for span in run if span.body in before - after]
        assert todo.redone == 0
        assert todo.decoded == sum(back) + len(flat(longer[len(run) :])) + 1, "nothing is read but what is new"


@given(runs(), hiding, modes)
def test_repairs_are_of_the_first_reply_after_what_went(run: list[Span], hidden: frozenset[int], mode: Mode) -> None:
    held, wanted = laid(run), shown(run, hidden)
    todo = plan(held, [*wanted, END], mode)  # so that the plan need not stop at the last reply
    due = False
    replies = []
    for span in run:
        if span.reply:
            replies.append(due)
            due = False
        due = due or bool(span.body in hidden)
    redone = [isinstance(edit, Redo) for edit, old in zip(todo.edits, held, strict=False) if old.span.reply]
    assert redone == (replies if mode == "carry+repair" else [False] * len(redone))


@given(runs(), hiding, st.integers(0, 40))
def test_strict_keeps_nothing_that_is_not_exact(run: list[Span], hidden: frozenset[int], exact: int) -> None:
    wanted = shown(run, hidden)
    todo = plan(laid(wanted), wanted, "strict", exact=exact)
    assert todo.kept == min(exact, len(flat(wanted)) - 1)


def test_what_the_model_wrote_is_kept_though_it_is_no_span_yet() -> None:
    before, reply, header = Span((1, 2)), (3, 4, 5), Span((6,))
    held = [*laid([before, END]), Held(Span(reply, reply=True), 3)]
    split = [
        before,
        END,
        Span((3, 4), reply=True),
        Span((5, 9)),
        header,
        END,
    ]  # another opening, other tokens at the end
    todo = plan(held, split, "carry+repair")
    assert (todo.kept, todo.drop, todo.append) == (6, 0, (9, 6, 0))


def test_a_stale_reply_is_repaired_by_a_later_plan() -> None:
    run = [Span((1,)), Span((2, 2), reply=True), Span((3,)), END]
    held = laid(run)
    held[1] = held[1]._replace(stale=True)
    assert plan(held, run, "carry").redone == 0
    todo = plan(held, run, "carry+repair")
    assert (todo.redone, todo.first) == (2, 1)


def test_the_same_text_twice_is_told_apart_by_its_number() -> None:
    run = [Span((1,)), Span((7, 7), body=1), Span((2,)), Span((7, 7), body=2), Span((3,))]
    todo = plan(laid(run), shown(run, frozenset({1})), "carry")
    assert [type(edit) for edit in todo.edits] == [Keep, Remove, Keep, Keep, Keep]


def test_what_cannot_move_leaves_a_gap_and_takes_nothing_back() -> None:
    run = [Span((1,)), Span((7, 7), body=1), Span((2,)), Span((3,))]
    hidden = shown(run, frozenset({1}))
    assert plan(laid(run), hidden, "carry", shift=False).edits[1] == Remove(close=False)
    back = plan(laid(hidden), [*run, END], "carry", shift=False)
    assert back.inserted == 0 and back.kept == 1


def test_a_body_that_reads_otherwise_is_read_again_with_all_behind_it() -> None:
    run = [Span((1,)), Span((7, 7), body=1), Span((2,)), Span((3,))]
    other = [run[0], Span((7, 8), body=1), *run[2:], END]
    todo = plan(laid(run), other, "carry+repair")
    assert (todo.kept, todo.append) == (2, (8, 2, 3, 0))
