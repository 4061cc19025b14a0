from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine import evidence
from engine.browser.pages import Page, PagePool, Seen

PARAGRAPH = "The keeper lights the lamp\nat dusk, and again\nafter every storm.\n"


def none(query: str, texts: Sequence[str]) -> tuple[float, ...]:
    return ()


def pool(text: str, *shown: tuple[int, int]) -> PagePool:
    """A document read in several views, each on a page of its own, as the browser keeps them."""
    made = PagePool()
    for first, last in shown:
        page = made.add(Page("document", "Lamp", "u", "p", text))
        made.show(Seen(page.cursor, first, last))
    return made


def test_a_paragraph_read_in_two_views_is_evidence() -> None:
    assert evidence.passages("keeper storm", pool(PARAGRAPH, (1, 2)), none) == ()
    (found,) = evidence.passages("keeper storm", pool(PARAGRAPH, (1, 2), (3, 3)), none)
    assert (found.first, found.last, found.text) == (1, 3, PARAGRAPH.rstrip("\n"))


def test_two_states_of_one_document_are_not_read_as_one() -> None:
    made = pool(PARAGRAPH, (1, 2))
    other = made.add(Page("document", "Lamp", "u", "p", "Nothing.\n" + PARAGRAPH))
    made.show(Seen(other.cursor, 3, 4))
    assert evidence.passages("keeper storm", made, none) == ()


def test_what_was_read_twice_is_offered_once() -> None:
    assert len(evidence.passages("keeper", pool(PARAGRAPH, (1, 3), (1, 3)), none)) == 1


def test_items_stand_alone_and_know_their_heading() -> None:
    text = "# Storms\n\n- ring the bell\n- close the shutters\n\n# Calm\n\n- ring nobody\n"
    found = evidence.passages("ring in storms", pool(text, (1, 8)), none)
    assert [(p.first, p.text) for p in found][:1] == [(3, "- ring the bell")]
    assert {p.first for p in found} == {3, 4, 8}


def test_a_line_of_signs_says_nothing() -> None:
    text = "# Lamp oil\n\n| lamp | oil |\n| --- | :-: |\n| tower | colza |\n\n* * *\n"
    found = evidence.passages("lamp oil", pool(text, (1, 7)), lambda query, texts: [0.9] * len(texts), limit=50)
    assert {passage.text for passage in found} == {"| lamp | oil |", "| tower | colza |"}


def test_a_question_without_content_has_no_evidence() -> None:
    assert evidence.passages("what is it?", pool(PARAGRAPH, (1, 3)), none) == ()


texts = st.lists(
    st.sampled_from(["", "# lamp", "the keeper", "- lamp oil", "dusk storm lamp", "| a | lamp |", "===="]),
    min_size=1,
    max_size=30,
)


@given(texts, st.data())
def test_evidence_is_lines_that_were_shown_as_they_stand(lines: list[str], data: st.DataObject) -> None:
    shown = data.draw(st.lists(st.integers(1, len(lines)), min_size=1, max_size=3))
    ranges = [(first, data.draw(st.integers(first, len(lines)))) for first in shown]
    seen = {number for first, last in ranges for number in range(first, last + 1)}
    found = evidence.passages("lamp of the keeper", pool("\n".join(lines), *ranges), none, limit=50)
    for passage in found:
        assert seen.issuperset(range(passage.first, passage.last + 1))
        assert "\n".join(lines[passage.first - 1 : passage.last]) == passage.text
        assert 0 < passage.score <= 1
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert len({(p.first, p.last) for p in found}) == len(found)


@given(st.lists(st.floats(-1.01, 1.01) | st.just(float("nan")), max_size=12), st.text("lamp kers", max_size=30))
def test_a_score_is_from_0_to_1_whatever_a_similarity_gives(numbers: list[float], question: str) -> None:
    text = "\n\n".join(f"lamp keeper {n} storm" for n in range(8))
    found = evidence.passages(question + " lamp", pool(text, (1, 15)), lambda query, texts: numbers, limit=50)
    assert all(0 < passage.score <= 1 for passage in found)
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)


def test_a_similarity_is_asked_about_passages_with_their_title_and_heading() -> None:
    asked: list[str] = []

    def near(query: str, texts: Sequence[str]) -> list[float]:
        asked.extend([query, *texts])
        return [0.5] * len(texts)

    (found,) = evidence.passages("the storm", pool("# Oil\n\nwhale\n", (1, 3)), near)
    assert asked == ["the storm", "Lamp\nOil\nwhale"]
    assert (found.text, found.first, found.last) == ("whale", 3, 3), "the heading is no part of it"


def test_a_heading_counts_for_what_stands_below_it() -> None:
    text = "# Storms\n\nRing the bell.\n\n# Calm\n\nRing nothing.\n"
    (found,) = evidence.passages("storms", pool(text, (1, 7)), none)
    assert found.text == "Ring the bell."


def test_a_passage_that_could_not_be_nearer_scores_one() -> None:
    (found,) = evidence.passages("the keeper and the storm", pool("keeper storm", (1, 1)), lambda q, texts: [1.0000002])
    assert found.score == 1


def test_no_more_than_the_limit_and_the_best_of_all() -> None:
    text = "\n\n".join(["lamp"] * 60 + ["lamp storm"] + ["lamp"] * 60)
    found = evidence.passages("lamp storm", pool(text, (1, 241)), none, limit=3)
    assert len(found) == 3 and found[0].text == "lamp storm"


@given(
    st.lists(st.lists(st.sampled_from(["lamp", "oil", "bell", "fog", "dusk", "storm", "tower", "keeper"])), max_size=6)
)
def test_a_passage_with_every_word_asked_for_scores_one_without_meaning(others: list[list[str]]) -> None:
    wanted = "lamp oil bell fog dusk storm tower keeper"
    text = "\n\n".join([wanted, *(" ".join(words) for words in others)])
    made = PagePool()
    page = made.add(Page("document", "", "u", "p", text))
    made.show(Seen(page.cursor, 1, len(page.lines)))
    assert evidence.passages(wanted, made, none)[0].score == 1
