from __future__ import annotations

from pathlib import Path

import pytest

from engine.sources.library import Library
from engine.sources.library.search import PER_SECTION, fuse, trim
from engine.sources.library.table import Row


def row(document: str, number: int, heading: str, text: str) -> Row:
    return Row(document, number, heading, 1, 1, 0, len(text), text, text)


def test_fusion_prefers_what_both_lists_like() -> None:
    fused = fuse({"a": 1, "b": 2, "c": 3}, {"b": 1, "d": 2})
    assert next(iter(fused)) == "b" and set(fused) == {"a", "b", "c", "d"}
    assert fused["b"] == pytest.approx(1 / 12 + 1 / 11)
    assert list(fuse({"y": 1}, {"x": 1})) == ["x", "y"], "equal scores come in a fixed order"


def test_repeats_and_crowds_are_left_out() -> None:
    rows = [
        row("a", 0, "Oil", "the lamp burns whale oil"),
        row("b", 0, "Oil", "The lamp burns whale oil!"),
        row("a", 1, "Oil", "oil is stored below"),
        row("a", 2, "Oil", "oil comes by boat"),
        row("a", 3, "Boat", "the boat comes on Thursday"),
        row("c", 0, "", "last of all"),
    ]
    assert PER_SECTION == 2
    assert [each.id for each in trim(rows, 10)] == ["a:0", "a:1", "a:3", "c:0"]
    assert [each.id for each in trim(rows, 2)] == ["a:0", "a:1"]


@pytest.mark.parametrize(
    "query", ["", "  ", "the", "foo AND (bar", '"', "a' OR 1=1 --", "\x00\x1b", "[/x]", "日本語", "x" * 5000]
)
def test_no_query_is_an_error(library: Library, notes: Path, query: str) -> None:
    library.index([notes])
    assert len(library.search(query, 5)) <= 5
    assert library.search(query, 0) == ()


def test_words_are_found_by_their_stems_parts_and_without_accents(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Calling set_num_threads(3) in the Café.\n\n日本語の文書を検索する\n")
    library.index([path])
    for query in ("calls", "threads", "set_num_threads", "cafe", "検索"):
        assert library.search(query)[0].text_rank == 1, query


def test_a_quote_in_a_file_name_is_just_a_character(library: Library, tmp_path: Path) -> None:
    path = tmp_path / 'it\'s "quoted"; --.txt'
    path.write_text("The bell hangs below the gallery.")
    library.index([path])
    assert library.search("bell")[0].uri == str(path)
