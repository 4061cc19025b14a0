from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.browser.find import MOST, column, find


def test_a_phrase_is_found_across_a_line_break_with_its_lines() -> None:
    assert find("The keeper of\n   the  Lighthouse\nsleeps.", "of the lighthouse") == ((1, 2),)
    assert find("a\nb\nc\n", "a b c") == ((1, 3),)


def test_case_and_white_space_do_not_matter() -> None:
    assert find("x\nWhale\tOIL\n", "  whale   oil ") == ((2, 2),)


def test_a_pattern_is_words_and_no_expression() -> None:
    assert find("a.c\nabc\n", "a.c") == ((1, 1),)
    assert find("what (is) this [/x] *?", "(is) this [/x] *?") == ((1, 1),)


def test_nothing_to_look_for_is_nowhere() -> None:
    assert find("text", " \n") == ()
    assert find("text", "absent") == ()


def test_several_on_one_line_are_one_place() -> None:
    assert find("ab ab ab\nab\n", "ab") == ((1, 1), (2, 2))


def test_there_is_a_most() -> None:
    assert len(find("word\n" * 200, "word")) == MOST


def test_the_column_of_a_match() -> None:
    assert column("one two  THREE", "two three") == 4
    assert column("one", "two") == 0


words = st.lists(st.sampled_from(["lamp", "Oil", "the", "a.b", "(x"]), min_size=1, max_size=3)
gaps = st.sampled_from([" ", "\n", "  ", "\n\n ", "\t"])


@given(st.text("abc \n", max_size=40), words, st.data())
def test_what_is_found_stands_in_the_lines_named(before: str, wanted: list[str], data: st.DataObject) -> None:
    spread = wanted[0] + "".join(data.draw(gaps) + word for word in wanted[1:])
    text = f"{before}\n{spread}\nafter"
    places = find(text, " ".join(wanted))
    assert places
    folded = " ".join(wanted).lower()
    for first, last in places:
        lines = text.split("\n")[first - 1 : last]
        assert folded in re.sub(r"\s+", " ", " ".join(lines)).lower()


def naive(text: str, pattern: str) -> list[tuple[int, int]]:
    """Every line range, each once, found by trying the words at every place of the text in turn."""
    wanted = pattern.lower().split()
    at, found = 0, []
    while wanted and at < len(text):
        end = place = at
        for word in wanted:
            while place < len(text) and text[place].isspace() and word is not wanted[0]:
                place += 1
            if not text[place:].lower().startswith(word) or (word is not wanted[0] and place == end):
                break
            place = end = place + len(word)
        else:
            lines = (text.count("\n", 0, at) + 1, text.count("\n", 0, end) + 1)
            found += [lines] if lines not in found[-1:] else []
            at = end - 1
        at += 1
    return found[:MOST]


@given(st.text("aAb \n", max_size=300), st.lists(st.text("aAb", min_size=1, max_size=3), max_size=3).map(tuple))
def test_find_gives_what_a_naive_search_gives(text: str, wanted: tuple[str, ...]) -> None:
    wanted = tuple(word + "." * place for place, word in enumerate(wanted))
    text = text.replace("b\n", "b.\n").replace("a \n", "a..\n")
    assert list(find(text, " ".join(wanted))) == naive(text, " ".join(wanted))


def test_matches_may_share_a_line() -> None:
    assert find("white\nwhale white\nwhale", "white whale") == ((1, 2), (2, 3))
