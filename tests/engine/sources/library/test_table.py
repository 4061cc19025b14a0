from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lancedb
import numpy as np
import pytest
from lancedb.index import FTS

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


def told(*texts: str) -> list[Row]:
    return [Row("d", place, "", 1, 1, 0, len(text), text, f"h{place}") for place, text in enumerate(texts)]


@pytest.mark.parametrize("word", ["dog", "cat", "minutes", "care", "path", "gear"])
def test_a_word_that_is_a_filler_only_in_another_language_is_found(table: Table, word: str) -> None:
    table.replace(["d"], told("The dog and the cat wait for minutes.", "Take care of os.path_gear.", "Nothing."))
    assert [word in row.text for row in table.search_text(word, 5)] == [True]
    assert table.search_text("the", 5) == []


def test_the_index_tells_which_rows_have_a_phrase_or_that_it_cannot(table: Table) -> None:
    table.replace(["d"], told("a dog on the mat", "a mat for the dog", "The DOG on\nthe mats", "to be or not to be"))
    found = table.holding(["dog on the mat"], 10)
    assert found is not None and {row.number for row in found} == {0, 2}
    assert table.holding(["to be or not to be"], 10) is None
    assert table.holding(["dog"], 3) is None, "there may be more"
    both = table.holding(["dog on the mat", "the mats"], 10, "number > 0")
    assert both is not None and [row.number for row in both] == [2]


def test_tidying_brings_an_index_of_an_earlier_make_up_to_now(table: Table, tmp_path: Path) -> None:
    table.replace(["d"], told("a dog on the mat"))
    made = lancedb.connect(tmp_path / "chunks").open_table("chunks")
    for index in made.list_indices():
        if index.columns == ["words"]:
            made.drop_index(index.name)
    made.create_index("words", config=FTS(base_tokenizer="icu", with_position=False))
    table.close()
    assert table.search_text("dog", 5) == [] and table.holding(["dog on"], 5) is None
    table.tidy()
    assert len(table.search_text("dog", 5)) == 1 and table.holding(["dog on the mat"], 5)
