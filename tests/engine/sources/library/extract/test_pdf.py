from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.library.chunk import chunk
from engine.sources.library.extract import Unreadable, page_at
from tests.engine.sources.library.extract.files import extract, outline, page_of, pdf


def test_each_page_is_known() -> None:
    document = extract("pdf", pdf([["The lamp burns oil.", "Daily."], [], ["The keeper sleeps."]], title="Light"))
    assert document.title == "Light"
    assert document.text == "The lamp burns oil.\nDaily.\n\nThe keeper sleeps.\n\n"
    assert [page_of(document, words) for words in ("lamp", "Daily", "keeper")] == [1, 1, 3]
    assert len(document.pages) == 3 and document.notes == ()


def test_the_outline_is_found_in_the_text() -> None:
    made = pdf(
        [["12", "Light", "1 Oil", "whale", "2 Wick", "cotton"], ["and more", "3 Keeper", "asleep"]],
        outline=[("Oil", 0), ("Wick", 0), ("Keeper", 1), ("Not in the text", 1), ("Off", 99)],
    )
    assert outline(extract("pdf", made)) == [
        ("", "12"),
        ("Oil", "1 Oil"),
        ("Wick", "2 Wick"),
        ("Keeper", "3 Keeper"),
        ("Not in the text", "asleep"),
    ]


def test_words_split_at_the_end_of_a_line_are_joined() -> None:
    made = pdf([["An expres-", "sion, POSIX and non-", "English, 1990-", "1995."]])
    assert extract("pdf", made).text == "An expression, POSIX and non-English, 1990-\n1995.\n\n"


def test_a_scan_is_told_as_such() -> None:
    with pytest.raises(Unreadable, match="no text in it: its 2 pages hold only pictures") as caught:
        extract("pdf", pdf([[], []], pictures=(0, 1)))
    assert "OCR" in caught.value.hint


def test_scanned_pages_among_others_are_noted() -> None:
    document = extract("pdf", pdf([["one"], [], [], ["four"], []], pictures=(1, 2)))
    assert document.notes == ("There is no text from 2 pages (only pictures, as a scanner makes them): 2-3.",)
    assert page_of(document, "four") == 4


def test_blank_paper_is_an_empty_document() -> None:
    assert extract("pdf", pdf([[], []])).text == ""


def test_a_password_is_told() -> None:
    with pytest.raises(Unreadable, match="protected with a password") as caught:
        extract("pdf", pdf([["secret"]], encrypted=True))
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7" + bytes(5000)], ids=["short", "zeros"])
def test_damaged_ones_are_told(data: bytes) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        extract("pdf", data)


def test_a_file_of_another_kind_is_told() -> None:
    with pytest.raises(Unreadable, match="no PDF: it seems to be a web page"):
        extract("pdf", b"<!DOCTYPE html><html><body>Please log in</body></html>")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_pdf_cut_or_changed_anywhere_gives_text_or_a_clear_error(data: st.DataObject) -> None:
    made = bytearray(pdf([["one"], ["two"]], outline=[("one", 0)]))
    for _ in range(data.draw(st.integers(0, 8))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(made)))
    try:
        extract("pdf", bytes(made[:cut] if data.draw(st.booleans()) else made))
    except Unreadable as error:
        assert str(error) and error.hint


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), max_size=30), min_size=1, max_size=6))
def test_every_chunk_knows_its_page(pages: list[list[str]]) -> None:
    marked = [[f"p{number}x{word}" for word in words] for number, words in enumerate(pages, start=1)]
    document = extract("pdf", pdf(marked))
    for each in chunk(document.text, document.sections, range(0, len(document.text), 2)):
        words = document.text[each.start : each.end]
        assert words.startswith(f"p{page_at(document.pages, each.start)}x")


def test_ten_thousand_pages_take_time_in_proportion() -> None:
    made = pdf([[f"page number {number}"] for number in range(10_000)])
    began = time.process_time()
    document = extract("pdf", made)
    took = time.process_time() - began
    assert page_of(document, "number 7777\n") == 7778
    assert took < 60
