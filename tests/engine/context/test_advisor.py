"""The advisor against what the paper measured: 17 pairs of model and retriever on one benchmark, and one on the live web."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.advisor import OFTEN, USUAL, WIDE, WIDEST, Reopened, advise, estimate, regime, reopened
from engine.context.masking import decide
from engine.context.transcript import Turn
from engine.protocol import Observation, Policy

BM25, DENSE, REASONING = 0.49, 0.74, 0.86
"""The middle of the recall that the paper reports for each retriever."""


class Pair(NamedTuple):
    """A model with a retriever: its size in billions, the retriever's recall, and accuracy in % without and with masking."""

    model: str
    size: float
    recall: float
    without: float
    masked: float


PAIRS = [
    Pair("Qwen3.5-4B", 4, BM25, 23.6, 29.9),
    Pair("Qwen3.5-9B", 9, BM25, 28.9, 35.5),
    Pair("GPT-OSS-20B", 20, BM25, 32.7, 38.9),
    Pair("Qwen3.6-35B", 35, BM25, 45.5, 48.2),
    Pair("Qwen3.5-4B", 4, DENSE, 41.9, 47.7),
    Pair("Qwen3.5-9B", 9, DENSE, 46.1, 55.7),
    Pair("GPT-OSS-20B", 20, DENSE, 48.0, 53.7),
    Pair("Qwen3.6-35B", 35, DENSE, 55.9, 66.3),
    Pair("Qwen3.5-4B", 4, REASONING, 48.1, 58.9),
    Pair("Qwen3.5-9B", 9, REASONING, 54.9, 63.0),
    Pair("Qwen3.5-35B-A3B", 35, REASONING, 62.9, 74.6),
    Pair("GPT-OSS-20B", 20, REASONING, 63.3, 73.3),
    Pair("OpenResearcher-30B", 30, REASONING, 68.6, 71.2),
    Pair("Qwen3.6-35B", 35, REASONING, 72.5, 76.2),
    Pair("GPT-OSS-120B", 117, REASONING, 79.4, 79.5),
    Pair("DeepSeek-V4-Flash", 280, REASONING, 80.5, 84.3),
    Pair("Tongyi-DR-30B", 30, REASONING, 80.7, 79.6),
]
WEB = Pair("GPT-OSS-120B on the live web", 117, 0.9, 72.8, 68.0)

TOO_HIGH = {("Qwen3.5-35B-A3B", REASONING), ("OpenResearcher-30B", REASONING)}
"""Pairs whose regime the size alone gets wrong, by one: models of 30B that use 3B of them at a time."""


@pytest.mark.parametrize("pair", [*PAIRS, WEB], ids=lambda pair: f"{pair.model}-{pair.recall}")
def test_with_the_accuracy_known_it_says_what_the_paper_found(pair: Pair) -> None:
    gained = pair.masked - pair.without
    advice = advise(round(pair.size * 1e9), pair.recall, accuracy=pair.without / 100)
    if pair.without < 40:
        assert advice.regime == "search" and "better search" in advice.text
    elif pair.without <= 70:
        assert advice.regime == "middle" and "help most" in advice.text
    else:
        assert advice.regime == "saturated" and "may hurt" in advice.text
    if advice.expects == "help":
        assert gained > 2, "it never promises what the paper did not find"
        assert advice.window == USUAL
    else:
        assert gained < 4, "and where it promises nothing there was little to have, or something to lose"
        assert advice.window == WIDE


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.model}-{pair.recall}")
def test_from_size_and_recall_alone_the_regime_is_the_papers(pair: Pair) -> None:
    guessed = estimate(round(pair.size * 1e9), pair.recall)
    assert guessed is not None
    found = regime(pair.without / 100)
    if (pair.model, pair.recall) in TOO_HIGH:
        assert (found, regime(guessed)) == ("middle", "saturated")
    else:
        assert regime(guessed) == found
        assert abs(guessed - pair.without / 100) < 0.12


def test_the_sentence_names_its_reasons() -> None:
    assert advise(4_000_000_000, 0.8).text == (
        "Masking is expected to help most: a model of 4B parameters and a search that finds 80%; window: 4 turns."
    )
    assert advise(135_000_000).text == (
        "Masking is expected to help a little: a model of 135M parameters and a library whose search was not measured;"
        " better search helps more; window: 4 turns."
    )
    assert advise(135_000_000, 0.2).expects == "nothing"
    unknown = advise(0, 0.8)
    assert (unknown.expects, unknown.window, unknown.regime) == ("unknown", USUAL, None)


def test_a_saturated_model_that_opens_masked_pages_again_is_hurt() -> None:
    assert advise(120_000_000_000, 0.9).window == WIDE
    hurt = advise(120_000_000_000, 0.9, reopened=Reopened(2, 5), window=WIDE)
    assert (hurt.expects, hurt.window) == ("hurt", 0)
    assert "expected to hurt" in hurt.text and hurt.text.endswith("window: off.")


def test_opening_again_widens_the_window_and_says_so() -> None:
    wider = advise(4_000_000_000, 0.8, reopened=Reopened(2, 4), window=4)
    assert wider.window == 8 and wider.text.startswith("2 of 4 masked pages were opened again")
    assert advise(4_000_000_000, 0.8, reopened=Reopened(1, 1), window=4).window == 4, "once is chance"
    assert advise(4_000_000_000, 0.8, reopened=Reopened(2, 20), window=4).window == 4
    assert advise(4_000_000_000, 0.8, reopened=Reopened(9, 9), window=0).window == 0, "nothing is masked"


@given(
    st.integers(0, 10**12),
    st.none() | st.floats(0, 1),
    st.integers(0, 40),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_a_window_in_force_is_never_narrowed(
    parameters: int, recall: float | None, window: int, again: int, more: int
) -> None:
    advice = advise(parameters, recall, reopened=Reopened(again, again + more), window=window)
    assert advice.window == 0 or advice.window >= window
    assert advice.window <= max(window, WIDEST)
    assert advice.text.endswith(".") and "\n" not in advice.text
    assert advice.expects != "hurt" or again >= 2


def page(number: int, turn: int, uri: str, first: int = 1, last: int = 20, **more: object) -> Turn:
    made = Observation(number, f"{turn}.1", "open", f"[{number}]", "text", uri=uri, first=first, last=last)
    return Turn(turn, "", observations=(replace(made, **more),))


def test_what_counts_as_opened_again() -> None:
    turns = [
        page(1, 1, "/a"),
        page(2, 2, "/b"),
        page(3, 3, "/c"),
        page(4, 4, "/a", 15, 30),
        page(5, 5, "/b", 30, 40),
        page(6, 6, "/c", error=True),
    ]
    policy = Policy(window=2)
    counted = reopened(turns, decide(turns, policy), policy.window)
    assert (counted.again, counted.masked) == (1, 3), "/a; of /b other lines were read, and /c was an error"
    assert counted.rate > OFTEN and not counted.often
    soon = [page(1, 1, "/a"), page(2, 2, "/a"), page(3, 3, "/b"), page(4, 4, "/c")]
    assert reopened(soon, decide(soon, policy), policy.window).again == 0, "it was still in sight then"
