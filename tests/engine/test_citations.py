from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import citations, evidence
from engine.browser.pages import Page, PagePool, Seen
from engine.words import stem, stems

TEXT = (
    "# The keeper\n\nThe first keeper was Ada Quill.\nShe kept the lamp for nineteen years.\n\n"
    "The lamp was never lit before 1874.\n"
)


def pool() -> PagePool:
    made = PagePool()
    made.add(Page("results", "keeper", "", "", "(0) keeper.txt"))
    page = made.add(Page("document", "The keeper", "/keeper", "shelf/keeper.txt", TEXT))
    made.show(Seen(page.cursor, 1, 6))
    return made


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("The first keeper was Ada Quill [1:L3].", "verified"),
        ("The first keeper was Ada Quill [1:L3-L4]", "verified"),
        ("The first keeper was Ada Quill 【1†L3-L4】", "verified"),
        ('She "kept the lamp" for nineteen years. [1:L4]', "verified"),
        ('She "lit the lamp" for nineteen years. [1:L4]', "weak"),
        ("She kept the lamp for nineteen years, or 19. [1:L4]", "weak"),
        ("The keeper was not Ada Quill [1:L3].", "weak"),
        ("Ada Quill invented the telescope in Lyon [1:L3].", "weak"),
        ("The moon is made of green cheese [1:L3].", "missing"),
        ("The first keeper was Ada Quill [7:L3].", "missing"),
        ("The first keeper was Ada Quill [1:L99].", "missing"),
        ("The first keeper was Ada Quill [0:L1].", "missing"),
    ],
)
def test_states(answer: str, state: str) -> None:
    (citation,) = citations.check(answer, pool())
    assert citation.state == state, citation


def test_a_citation_knows_its_lines() -> None:
    (citation,) = citations.check("Ada Quill was the first keeper. [1:L3-L4]", pool())
    assert citation.quote == "The first keeper was Ada Quill.\nShe kept the lamp for nineteen years."
    assert (citation.uri, citation.path, citation.first, citation.last) == ("/keeper", "shelf/keeper.txt", 3, 4)
    assert citation.sentence == "Ada Quill was the first keeper."


def test_each_citation_is_held_against_its_own_sentence() -> None:
    first, second, third = citations.parse("Ada Quill kept it [1:L3][1:L4]. It rains. Nobody knows [2:L1].")
    assert first.sentence == second.sentence == "Ada Quill kept it"
    assert third.sentence == "Nobody knows"


@given(st.text(max_size=200))
def test_any_text_can_be_parsed(text: str) -> None:
    for marker in citations.parse(text):
        assert marker.first <= marker.last
    assert citations.normalise(citations.normalise(text)) == citations.normalise(text)


@given(st.lists(st.sampled_from(["[1:L3]", "【2†L4-L9】", "word", ". ", "\n", "[3:L5-7]", "[x]"]), max_size=20))
def test_normalising_changes_only_the_form(parts: list[str]) -> None:
    text = "".join(parts)
    before, after = citations.parse(text), citations.parse(citations.normalise(text))
    assert [(m.cursor, m.first, m.last) for m in before] == [(m.cursor, m.first, m.last) for m in after]


def test_words_with_one_meaning_have_one_stem() -> None:
    for group in (
        ("mask", "masked", "masking", "masks"),
        ("stop", "stopped", "stops"),
        ("file", "files"),
        ("library", "libraries"),
    ):
        assert len({stem(word) for word in group}) == 1, group
    assert stem("1984") == "1984" and stem("sessions.db") == "sessions.db"
    assert stems("The of and it") == frozenset()


def nothing(query: str, texts: Sequence[str]) -> tuple[float, ...]:
    return ()


def test_evidence_is_whole_lines_that_were_shown_best_first() -> None:
    found = evidence.passages("Who was the first keeper?", pool(), nothing)
    assert found[0].text == "The first keeper was Ada Quill.\nShe kept the lamp for nineteen years."
    assert (found[0].first, found[0].last, found[0].path) == (3, 4, "shelf/keeper.txt")
    lines = TEXT.split("\n")
    assert all("\n".join(lines[p.first - 1 : p.last]) == p.text and 0 < p.score <= 1 for p in found)


def test_lines_that_were_not_shown_are_no_evidence() -> None:
    hidden = PagePool()
    hidden.show(Seen(hidden.add(Page("document", "", "/k", "k", TEXT)).cursor, 6, 6))
    assert [p.first for p in evidence.passages("first keeper lamp", hidden, nothing)] == [6]
    assert evidence.passages("first keeper", PagePool(), nothing) == ()


def test_meaning_counts_twice_as_much_as_words() -> None:
    def near(query: str, texts: Sequence[str]) -> list[float]:
        return [1.0 if "1874" in text else 0.0 for text in texts]

    assert "1874" in evidence.passages("first keeper", pool(), near)[0].text
