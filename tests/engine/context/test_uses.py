from __future__ import annotations

from engine.context.uses import Proof, Use, lines, lost, uses
from engine.protocol import Citation, Observation
from tests.engine.context.strategies import turn


def page(number: int, first: int = 1, last: int = 4, uri: str = "/k.md", body: str = "") -> Observation:
    body = body or "\n".join(f"L{line}: line {line} of {uri}" for line in range(first, last + 1))
    return Observation(
        number, f"c{number}", "open", f"[{number}]", body, uri=uri, title=uri, first=first, last=last, total_lines=40
    )


def cited(first: int, last: int, state: str = "verified", uri: str = "/k.md") -> Citation:
    return Citation(f"[1:L{first}]", "So.", 1, first, last, uri, state=state)


def test_a_citation_uses_every_view_of_its_lines() -> None:
    turns = [turn(1, page(1)), turn(2, page(2, 4, 9)), turn(3, page(3, 20, 24)), turn(4, page(4, uri="/other.md"))]
    proofs = [
        Proof(5, "cited", cited(4, 5)),
        Proof(5, "evidence", cited(21, 21)),
        Proof(5, "cited", cited(1, 1, "missing")),
    ]
    assert uses("why?", turns, proofs) == (
        Use(5, "cited", (1, 2), "[1:L4]"),
        Use(5, "evidence", (3,), "[1:L21]"),
    )


def test_a_match_shows_the_lines_around_it() -> None:
    found = Observation(1, "c", "find", "[1]", "(0) match at L7\nL6: a\nL7: b\n\n(1) match at L12\nL12: c", uri="/k.md")
    assert set(lines(found)) == {6, 7, 12}
    assert list(lines(Observation(2, "c", "search", "[2]", "L1: looks like a line"))) == []


def test_opening_the_same_lines_again_is_a_use_and_reading_on_is_none() -> None:
    turns = [
        turn(1, page(1, 1, 10)),
        turn(2, page(2, 9, 20)),
        turn(3, page(3, 1, 10)),
        turn(4, page(4, 1, 10, "/b.md")),
    ]
    assert uses("why?", turns) == (Use(3, "reopened", (1,), "open /k.md"),)


def test_searching_for_the_same_again_is_a_use_where_it_finds_the_same() -> None:
    def search(number: int, body: str) -> Observation:
        return Observation(number, f"c{number}", "search", f"[{number}]", body, title="keeper")

    turns = [turn(1, search(1, "(0) Keepers")), turn(2, search(2, "(0) Others")), turn(3, search(3, "(0) Keepers"))]
    assert [use.observations for use in uses("why?", turns) if use.kind == "reopened"] == [(1,)]


def test_words_of_a_page_are_quoted_once_by_whoever_says_them_first() -> None:
    body = "L1: The lamp of the lighthouse burns\nL2: whale oil all through the night."
    said = "It says that the lamp of the lighthouse burns whale oil."
    turns = [turn(1, page(1, body=body)), turn(2, raw=said), turn(3, page(2, 30, 31, body=body)), turn(4, raw=said)]
    (use,) = uses("why?", turns)
    assert (use.turn, use.kind, use.observations) == (2, "quoted", (1,))
    assert use.what.startswith("“the lamp of the lighthouse burns")


def test_the_question_is_not_quoted_from_a_page() -> None:
    body = "L1: who kept the lamp of the lighthouse first of all"
    asked = "who kept the lamp of the lighthouse"
    assert uses(asked, [turn(1, page(1, body=body)), turn(2, raw=f"I look: {asked}")]) == ()


def test_one_in_view_is_enough() -> None:
    use = Use(5, "cited", (1, 2), "")
    assert lost(use, {1, 2, 3}) and not lost(use, {1, 3}) and not lost(use, ())
