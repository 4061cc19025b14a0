"""What lines support, and which sentence a citation stands for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine import citations
from engine.browser.pages import Page, PagePool

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("sentence", "lines", "state"),
    [
        ("Masking is on by default.", "Masking is not on by default.", "weak"),
        ("Masking is not on by default.", "Masking is on by default.", "weak"),
        ("Masking is not on by default.", "Masking isn't on by default.", "verified"),
        ("The web is never searched.", "The web is searched when you allow it. Errors are never masked.", "weak"),
        ("Errors are masked.", "Errors are never masked. Pages older than the window are masked.", "weak"),
        (
            "Old pages are masked.",
            "Errors are never masked. Pages older than the window are masked, old or not.",
            "weak",
        ),
        ("Pages are masked.", "- Errors are never masked\n- Pages are masked after four turns", "verified"),
        ("Pages are masked.", "Errors are never masked.\n\nPages are masked after four turns", "verified"),
        ("Errors are never masked; they are kept.", "Here errors are never masked; they are kept.", "verified"),
        ("A page has 3 lines.", "A page has 4 lines.", "weak"),
        ('It is called the "old window".', "It is called the window, and it is old.", "weak"),
        ("", "Anything at all.", "missing"),
        ("It is so.", "It is so.", "missing"),  # no word that says anything
    ],
)
def test_support(sentence: str, lines: str, state: str) -> None:
    assert citations.support(sentence, lines)[0] == state


def test_a_score_is_the_share_of_words_found() -> None:
    assert citations.support("alpha beta gamma delta", "alpha gamma")[1] == 0.5
    assert citations.support("alpha beta", "nothing")[1] == 0.0


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_a_sentence_taken_from_the_cited_lines_is_always_verified(path: Path) -> None:
    text = path.read_text()
    paragraphs = [p for p in re.split(r"\n\s*\n|```", text) if not p.lstrip().startswith(("|", "#", "<"))]
    tried = 0
    for paragraph in paragraphs:
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
            if citations.stems(sentence):
                tried += 1
                assert citations.support(sentence, paragraph) == ("verified", 1.0), sentence
    assert tried


@pytest.mark.parametrize(
    ("answer", "sentences"),
    [
        ("According to [1:L4], the window is four turns.", ["According to, the window is four turns."]),
        ("[1:L4] says that the window is four. More.", ["says that the window is four."]),
        ("Basalt. [1:L2] The rest is another story.", ["Basalt."]),
        (
            "The tower is high [1:L1] and the lamp is lit [1:L2].",
            ["The tower is high", "The tower is high and the lamp is lit"],
        ),
        ("Basalt [1:L2].", ["Basalt."]),
        ("- The tower is high [1:L1]\n- The lamp is lit [1:L2]", ["- The tower is high", "- The lamp is lit"]),
    ],
)
def test_the_sentence_of_a_citation(answer: str, sentences: list[str]) -> None:
    assert [marker.sentence for marker in citations.parse(answer)] == sentences


def test_forms_of_a_citation() -> None:
    text = "a [1:L3] b [2: L4-6] c [3:L7–L9] d 【4†L1-L2】 e 【5†L8】"
    assert citations.normalise(text) == "a [1:L3] b [2:L4-L6] c [3:L7-L9] d [4:L1-L2] e [5:L8]"
    for other in ("[x]", "[1]", "[1:3]", "[/x]", "[1:L]", "[-1:L3]", "【1】", "[12345678:L1]"):
        assert citations.parse(f"word {other}") == ()


@pytest.mark.parametrize("marker", ["[0:L0]", "[0:L3]", "[0:L1-L3]", "[1:L1]", "[999999:L1]", "[0:L9999999]"])
def test_lines_there_are_not_are_missing(marker: str) -> None:
    pool = PagePool()
    pool.add(Page("document", "T", "u", "p", "alpha beta\ngamma delta\n"))
    (citation,) = citations.check(f"alpha beta {marker}", pool)
    assert (citation.state, citation.quote, citation.score) == ("missing", "", 0.0)


def test_a_list_of_results_is_no_evidence() -> None:
    pool = PagePool()
    pool.add(Page("results", "alpha", "", "", "alpha beta"))
    pool.add(Page("find", "alpha", "u", "p", "L1: alpha beta"))
    assert [c.state for c in citations.check("alpha beta [0:L1]. alpha beta [1:L1].", pool)] == ["missing", "missing"]
