from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.sources.library.chunk import chunk
from engine.sources.library.extract import Section
from engine.sources.library.table import Row
from engine.sources.library.viewports import arrange


def row(document: str, number: int, heading: str, text: str) -> Row:
    """A row far from its neighbours, so that it joins none."""
    return Row(
        document,
        3 * number,
        heading,
        9 * number + 1,
        9 * number + 1,
        999 * number,
        999 * number + len(text),
        text,
        text,
    )


def rows_of(text: str, sections: tuple[Section, ...] = (Section(0),)) -> list[Row]:
    starts = [place for place in range(len(text)) if not text[place].isspace()]
    return [
        Row(
            "d",
            number,
            " > ".join(each.trail),
            each.first,
            each.last,
            each.start,
            each.end,
            text[each.start : each.end],
            "",
        )
        for number, each in enumerate(chunk(text, sections, starts))
    ]


def test_repeats_and_crowds_are_left_out() -> None:
    rows = [
        row("a", 0, "Oil", "the lamp burns whale oil"),
        row("b", 0, "Oil", "The lamp burns whale oil!"),
        row("a", 1, "Oil", "oil is stored below"),
        row("a", 2, "Oil", "oil comes by boat"),
        row("a", 3, "Boat", "the boat comes on Thursday"),
        row("c", 0, "", "last of all"),
    ]
    shown = [view.best.id for view in arrange(rows, 10, per_section=2)]
    assert shown == ["a:0", "a:3", "a:9", "c:0"]
    assert [view.best.id for view in arrange(rows, 2, per_section=2)] == ["a:0", "a:3"]


WORDS = "one lamp two oil three boat four tower five bell six rock seven rope eight gull nine crab ten sail"
TEXT = "\n\n".join(f"{WORDS}\n  {number} {'more ' * number}and {number * number}." for number in range(1, 9))


def test_neighbours_become_one_hit_at_the_place_of_the_better() -> None:
    rows = rows_of(TEXT)
    assert len(rows) > 4
    far = row("e", 1, "", "something quite different")
    first, second, third = rows[1], rows[2], rows[3]
    views = arrange([second, far, first, third], 10, most=10_000)
    assert [view.best for view in views] == [second, far]
    whole = views[0].whole
    assert (whole.first, whole.last, whole.number, views[0].chunks) == (first.first, third.last, first.number, 3)
    assert whole.text.split() == TEXT[first.start : third.end].split()
    assert len(whole.text) == third.end - first.start, "offsets go on to count"
    assert whole.text.count("\n") == third.last - first.first, "and so do lines"


def test_what_would_be_too_long_or_stands_elsewhere_is_not_joined() -> None:
    first, second, third, *_ = rows_of(TEXT)
    assert [view.chunks for view in arrange([first, second], 10, most=len(first.text))] == [1, 1]
    assert [view.chunks for view in arrange([first, third], 10)] == [1, 1]
    assert [view.chunks for view in arrange([first, replace(second, heading="Other")], 10)] == [1, 1]
    assert [view.chunks for view in arrange([first, replace(second, document="other")], 10)] == [1, 1]


def test_joined_chunks_leave_room_for_others() -> None:
    first, second, *_ = rows_of(TEXT)
    last = row("e", 1, "", "something quite different")
    assert [view.best for view in arrange([first, second, last], 2, most=10_000)] == [first, last]


@given(st.permutations(range(6)), st.integers(0, 7), st.integers(0, 4000), st.integers(1, 3))
def test_every_place_is_filled_from_the_rows_and_holds_together(
    order: list[int], limit: int, most: int, per: int
) -> None:
    rows = rows_of(TEXT)
    given_rows = [rows[place] for place in order if place < len(rows)]
    views = arrange(given_rows, limit, per_section=per, most=most)
    assert len(views) <= limit
    assert views == arrange(given_rows, limit, per_section=per, most=most)
    assert [view.best for view in views] == [each for each in given_rows if each in [view.best for view in views]]
    covered: list[int] = []
    for view in views:
        numbers = range(view.whole.number, view.whole.number + view.chunks)
        assert view.best.number in numbers
        assert view.chunks == 1 or view.whole.end - view.whole.start <= most
        assert (view.whole.start, view.whole.end) == (rows[numbers[0]].start, rows[numbers[-1]].end)
        covered += numbers
    assert len(covered) == len(set(covered)), "nothing is shown twice"
