from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.library.chunk import HARD, TARGET, Chunk, chunk
from engine.sources.library.embed import MiniLM
from engine.sources.library.extract import EXTRACTORS, Section


def words(text: str) -> Sequence[int]:
    return [match.start() for match in re.finditer(r"\w+|[^\w\s]", text)]


def cut(text: str, sections: Sequence[Section] = (Section(0),)) -> tuple[Chunk, ...]:
    return chunk(text, sections, words(text))


def check(text: str, sections: Sequence[Section], chunks: Sequence[Chunk], starts: Sequence[int]) -> None:
    covered = [False] * len(text)
    for each in chunks:
        piece = text[each.start : each.end]
        assert piece and piece == piece.strip()
        assert text.count("\n", 0, each.start) + 1 == each.first
        assert each.first + piece.count("\n") == each.last
        assert sum(each.start <= start < each.end for start in starts) == each.tokens <= HARD
        assert not any(each.start < section.start < each.end for section in sections)
        assert each.trail == [section for section in sections if section.start <= each.start][-1].trail
        covered[each.start : each.end] = [True] * len(piece)
    assert all(covered[at] or char.isspace() for at, char in enumerate(text))
    assert all(one.end <= other.start for one, other in itertools.pairwise(chunks))


pieces = st.sampled_from(
    ["word", "a", "Ünïcode", "日本語", " ", "  ", "\n", "\n\n", "\n \n", ". ", "\t", "x" * 300, "- ", "!? "]
)
documents = st.lists(st.tuples(pieces, st.integers(1, 120)), max_size=25).map(
    lambda parts: "".join(piece * times for piece, times in parts)
)


@given(documents, st.data())
@settings(max_examples=150, deadline=None)
def test_chunks_are_exact_slices_that_cover_the_text_and_never_cross_a_section(text: str, data: st.DataObject) -> None:
    inner = data.draw(st.sets(st.integers(1, max(1, len(text))), max_size=5))
    sections = [Section(0), *(Section(start, (str(start),)) for start in sorted(inner) if start < len(text))]
    starts = words(text)
    check(text, sections, chunk(text, sections, starts), starts)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab .\n", max_size=60), max_size=40).map("\n\n".join))
def test_what_fits_in_one_chunk_is_one_chunk(text: str) -> None:
    if len(words(text)) <= TARGET and len(text) <= TARGET * 5:
        assert len(cut(text)) == bool(text.strip())


def test_nothing_makes_no_chunks() -> None:
    assert cut("") == cut(" \n\t\n") == ()


def test_paragraphs_are_packed_and_kept_whole() -> None:
    paragraph = " ".join(["word"] * 60)
    text = "\n\n".join([paragraph] * 7)
    assert [text[each.start : each.end].count(paragraph) for each in cut(text)] == [3, 3, 1]


def test_a_long_paragraph_is_cut_at_lines_then_sentences() -> None:
    lines = "\n".join(["one two three four five six seven eight nine ten"] * 60)
    assert all(lines[each.start : each.end].endswith("ten") for each in cut(lines))
    sentences = " ".join(["It is one two three four five."] * 60)
    assert all(sentences[each.start : each.end].endswith("five.") for each in cut(sentences))


def test_one_endless_word_is_cut_too() -> None:
    chunks = cut("A" * 100_000)
    assert max(each.end - each.start for each in chunks) <= 10 * HARD


def test_a_large_text_takes_time_in_proportion() -> None:
    for text in (" \n" * 500_000, "word. " * 200_000, "(" * 300_000, "a\n\n" * 200_000):
        starts = words(text)
        assert sum(each.tokens for each in chunk(text, (Section(0),), starts)) == len(starts)


LIBRARY = Path(re.__file__).parent.parent


@pytest.mark.parametrize("name", ["argparse.py", "typing.py", "datetime.py", "inspect.py"])
def test_real_source_files_with_the_real_tokenizer(name: str) -> None:
    document = EXTRACTORS["code"]((LIBRARY / name).read_bytes())
    starts = MiniLM().token_starts(document.text)
    chunks = chunk(document.text, document.sections, starts)
    assert len(chunks) > 20
    lines = document.text.split("\n")
    for each in chunks:
        assert document.text[each.start : each.end] in "\n".join(lines[each.first - 1 : each.last])
    check(document.text, document.sections, chunks, starts)
