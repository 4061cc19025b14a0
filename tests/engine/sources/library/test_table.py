from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.sources.library.table import Row, Table


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path / "chunks", 16, "random", index_vectors_from=400)
    yield made
    made.close()


def rows(document: str, count: int) -> list[Row]:
    return [Row(document, n, "", 1, 1, 0, 9, f"{document} tells {n}", f"{document}{n}") for n in range(count)]


def vectors(count: int) -> np.ndarray:
    made = np.random.default_rng(count).normal(size=(count, 16)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_replacing_a_document_leaves_the_others_alone(table: Table) -> None:
    table.replace(["a", "b"], rows("a", 5) + rows("b", 3))
    table.replace(["a"], rows("a", 2))
    assert table.documents() == {"a": 2, "b": 3}
    table.replace(["a"], [])
    table.delete(["c"])
    assert table.documents() == {"b": 3}


def test_rows_come_back_as_they_were_written(table: Table) -> None:
    row = replace(rows("it's", 1)[0], heading="A > B", first=3, last=7, start=10, end=30, text="Set_up 'it'", hash="h")
    table.replace([row.document], [row, *rows("it's", 3)[1:]])
    assert table.search_text("set", 5) == [row]
    vector = vectors(1)[0]
    table.fill([row], vector[np.newaxis])
    (found,) = table.search_vector(vector, 5)
    assert found.vector is not None and np.array_equal(found.vector, vector)
    assert replace(found, vector=None) == row
    assert list(table.vectors({"h", "other"})) == ["h"]
    assert {each.number for each in table.pending(9)} == {1, 2}
    assert (table.counts().chunks, table.counts().embedded) == (3, 1)


@pytest.mark.parametrize("bad", [np.full((1, 16), np.nan), np.zeros((1, 16)), np.eye(16)[:2], np.ones((1, 8)) / 8**0.5])
def test_what_is_no_unit_vector_is_refused(table: Table, bad: np.ndarray) -> None:
    table.replace(["a"], rows("a", 1))
    with pytest.raises(ValueError, match="length 1"):
        table.fill(table.pending(1), bad.astype(np.float32))


def test_with_an_index_over_many_vectors_the_nearest_are_still_found(table: Table) -> None:
    values = vectors(720)
    for number in range(6):  # beyond the number of parts at which the index is made anew
        part = rows(f"d{number}", 120)
        table.replace([f"d{number}"], part)
        table.fill(part, values[number * 120 :][:120])
        table.tidy()
    for place in range(0, 720, 24):
        nearest = table.search_vector(values[place], 3)[0]
        assert nearest.id == f"d{place // 120}:{place % 120}"
