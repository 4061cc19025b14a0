"""Pages, slides and sheets of what was indexed are named where it is found."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.sources.library import Library
from engine.sources.library.extract import Extracted, Section, paged
from tests.engine.sources.library.hashing import HashEmbedder


def test_a_hit_in_a_spreadsheet_names_its_sheet_and_a_scan_its_reason(tmp_path: Path) -> None:
    import openpyxl

    folder = tmp_path / "papers"
    folder.mkdir()
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    book.active.append(["fruit", "price"])
    book.active.append(["quince", 3])
    book.create_sheet("Stock").append(["medlar", 12])
    book.save(folder / "shop.xlsx")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    library = Library(tmp_path / "libraries", embedder=HashEmbedder())
    ended = library.index([folder])
    [hit, *_] = library.search("medlar")
    assert hit.heading.startswith("sheet 2")
    assert any("medlar" in line for line in library.open(hit.uri).text.splitlines()[hit.first - 1 : hit.last])
    [failure] = ended.failures
    assert failure.path.endswith("broken.pdf") and failure.hint
    assert "Unreadable" not in failure.reason
    library.close()


@given(st.text("ab \n", min_size=1, max_size=60), st.data())
def test_pages_are_headings_over_the_headings_there_are(text: str, data: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(text) - 1), max_size=5).map(lambda found: tuple(sorted(found)))
    starts = (0, *sorted(set(data.draw(places)) - {0}))
    sections = tuple(Section(start, (f"h{start}",)) for start in starts)
    pages = data.draw(st.just(()) | places.map(lambda found: (0, *found)))  # what comes before a first page is on it
    told = paged(Extracted("", text, sections, pages=pages), "page")
    assert told.sections[0].start == 0
    for offset in range(len(text)):
        number = sum(page <= offset for page in pages)
        heading = next(section.trail for section in reversed(sections) if section.start <= offset)
        now = next(section.trail for section in reversed(told.sections) if section.start <= offset)
        assert now == ((f"page {number}", *heading) if number else heading)
    assert paged(told, "") == told
