"""What the measuring of rerankers makes of figures. The measuring itself takes minutes and a model."""

from __future__ import annotations

from tests.bench.library.golden import Query
from tests.bench.library.rerank import Pair, interval, sample, told


def test_the_interval_holds_the_mean_and_tells_noise_from_a_difference() -> None:
    assert interval([0.25] * 40) == (0.25, 0.25)
    low, high = interval([1.0, -1.0] * 20)
    assert low < 0 < high
    low, high = interval([0.2, 0.3, 0.1, 0.2] * 10)
    assert 0.1 < low < 0.2 < high < 0.3


def test_recall_and_mrr_are_those_of_the_same_queries() -> None:
    lines = told("judge", [Pair(1, 2, 4.0, 3.0), Pair(0, 1, 4.0, 3.0), Pair(2, 0, 8.0, 5.0)]).split("\n")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:4]]
    assert cells[0][:3] == ["recall@10", "0.667", "0.667"] and cells[1][:3] == ["MRR", "0.500", "0.500"]
    assert lines[-1] == "A search takes 3.0 s of processor time and 4.0 s by the clock (medians)."


def test_a_sample_has_as_many_of_each_kind_and_no_names() -> None:
    kinds = ("heading", "asked", "identifier")
    queries = [Query(f"{kind} {number}", kind, ("s1",), "test") for kind in kinds for number in range(9)]
    chosen = sample(queries, 8)
    assert [query.kind for query in chosen] == ["asked"] * 4 + ["heading"] * 4
    assert chosen == sample(list(reversed(queries)), 8)
