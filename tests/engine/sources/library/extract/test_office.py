from __future__ import annotations

from datetime import date, datetime, time
from io import BytesIO

import pytest
from docx import Document
from openpyxl import Workbook

from engine.sources.library.extract.xlsx import letters
from tests.engine.sources.library.extract.files import (
    DRAWING,
    OFFICE,
    SHEETS,
    WORD,
    archive,
    docx,
    extract,
    outline,
    page_of,
    paragraph,
    pptx,
    relations,
    shape,
)

# ── Word ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_word_document_as_word_processors_write_it() -> None:
    document = Document()
    document.core_properties.title = "The light of Eddystone"
    document.add_heading("Report", level=0)
    document.add_heading("Oil", level=1)
    document.add_paragraph("The lamp burns whale oil.\tDaily.")
    for words in ("fill", "trim"):
        document.add_paragraph(words, style="List Bullet")
    document.add_heading("Cost", level=2)
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(
        (each for row in table.rows for each in row.cells), ("Year", "Sum", "1811", "40"), strict=True
    ):
        cell.text = words
    document.add_paragraph("After the table.")
    file = BytesIO()
    document.save(file)

    made = extract("docx", file.getvalue())
    assert made.title == "The light of Eddystone"
    assert made.text.split("\n") == [
        *("# Report", "", "# Oil", "", "The lamp burns whale oil. Daily.", "", "- fill", "- trim", ""),
        *("## Cost", "", "Year | Sum", "1811 | 40", "", "After the table.", ""),
    ]
    assert outline(made) == [("Report > Oil", "# Report"), ("Report > Oil > Cost", "## Cost")]


def test_word_headings_by_their_outline_level_and_by_inherited_styles() -> None:
    styles = (
        f'<w:styles xmlns:w="{WORD}"><w:style w:styleId="Kapitel"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="Mine"><w:name w:val="My style"/><w:basedOn w:val="Kapitel"/></w:style>'
        '<w:style w:styleId="A"><w:name w:val="A"/><w:basedOn w:val="B"/></w:style>'
        '<w:style w:styleId="B"><w:name w:val="B"/><w:basedOn w:val="A"/></w:style></w:styles>'
    )
    own = '<w:p><w:pPr><w:outlineLvl w:val="1"/></w:pPr><w:r><w:t>Deep</w:t></w:r></w:p>'
    body = paragraph("Top", "Mine") + paragraph("text") + own + paragraph("more", "A")
    assert outline(extract("docx", docx(body, styles=styles))) == [("Top", "# Top"), ("Top > Deep", "## Deep")]


def test_word_text_reads_with_all_changes_accepted() -> None:
    body = (
        "<w:p><w:r><w:t>It burns </w:t></w:r><w:del><w:r><w:delText>tallow</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom>"
        '<w:ins><w:r><w:t xml:space="preserve">whale</w:t><w:noBreakHyphen/><w:t>oil</w:t></w:r></w:ins>'
        "<w:sdt><w:sdtContent><w:r><w:t>, daily</w:t></w:r></w:sdtContent></w:sdt>"
        "<w:hyperlink><w:r><w:t>.</w:t></w:r></w:hyperlink><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    assert extract("docx", docx(body)).text == "It burns whale-oil, daily.\n"


def test_word_text_boxes_are_read_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    space = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    both = f'<x:AlternateContent xmlns:x="{space}"><x:Choice>{box}</x:Choice><x:Fallback>{box}</x:Fallback></x:AlternateContent>'
    assert extract("docx", docx(f"<w:p><w:r><w:t>outer</w:t>{both}</w:r></w:p>")).text == "boxed\n\nouter\n"


def test_word_notes_stand_at_the_end() -> None:
    notes = (
        f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:id="-1">{paragraph("separator")}</w:footnote>'
        f'<w:footnote w:id="7">{paragraph("See the log.")}{paragraph("Page 3.")}</w:footnote></w:footnotes>'
    )
    body = '<w:p><w:r><w:t>It is lit at dusk</w:t></w:r><w:r><w:footnoteReference w:id="7"/></w:r></w:p>'
    assert extract("docx", docx(body, footnotes=notes)).text == "It is lit at dusk[1]\n\n[1] See the log. Page 3.\n"


def test_a_table_in_a_table_stays_on_its_row() -> None:
    inner = f"<w:tbl><w:tr><w:tc>{paragraph('x')}</w:tc><w:tc>{paragraph('y')}</w:tc></w:tr></w:tbl>"
    row = f"<w:tr><w:tc>{paragraph('a')}{inner}</w:tc><w:tc>{paragraph('b')}</w:tc></w:tr>"
    assert extract("docx", docx(f"<w:tbl>{row}</w:tbl>")).text == "a x y | b\n"


# ── presentations ────────────────────────────────────────────────────────────────────────────────


def test_slides_are_pages_in_the_order_in_which_they_are_shown() -> None:
    table = (
        "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>Year</a:t></a:r></a:p></a:tc><a:tc/></a:tr><a:tr><a:tc>"
        "<a:p><a:r><a:t>18</a:t></a:r><a:r><a:t>11</a:t></a:r></a:p></a:tc><a:tc><a:p><a:r><a:t>40</a:t></a:r></a:p></a:tc>"
        "</a:tr></a:tbl></p:graphicFrame>"
    )
    made = pptx(
        [
            shape("The light", role="ctrTitle") + shape("of Eddystone", role="subTitle") + shape("7", role="sldNum"),
            shape("no title here"),
            "",
            shape("Cost", role="title") + table,
        ],
        notes={1: shape("Say this slowly.", "And this.") + shape("9", role="sldNum")},
    )
    document = extract("pptx", made)
    assert document.text.split("\n") == [
        *("# The light", "", "of Eddystone", "", "no title here", "", "Notes: Say this slowly.", "And this.", ""),
        *("# Cost", "", "Year |", "1811 | 40", ""),
    ]
    assert [page_of(document, words) for words in ("Eddystone", "no title", "slowly", "1811")] == [1, 2, 2, 4]
    assert len(document.pages) == 4 and document.title == "The light"
    assert outline(document) == [("The light", "# The light"), ("Slide 2", "no title here"), ("Cost", "# Cost")]


# ── spreadsheets ─────────────────────────────────────────────────────────────────────────────────


def test_a_spreadsheet_as_programs_write_it() -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "Stores"
    sheet.append(["Item", "Bought", "Cost"])
    sheet.append(["whale oil", date(1999, 3, 1), 40.5])
    sheet.append(["two\nlines", datetime.fromisoformat("2024-02-29T13:30"), 0.1 + 0.2])
    sheet["E7"] = True
    sheet["A9"] = time(6, 45)
    sheet["B9"], sheet["C9"] = 1234567, "=SUM(C2:C3)"
    sheet["C9"].number_format = "#,##0.00 [Red]"
    book.create_sheet("Empty")
    book.create_sheet("Ærø & co").append([1, 2])
    file = BytesIO()
    book.save(file)

    document = extract("xlsx", file.getvalue())
    assert document.text.split("\n") == [
        *("# Stores", "", "1 | Item | Bought | Cost", "2 | whale oil | 1999-03-01 | 40.5"),
        *("3 | two lines | 2024-02-29 13:30:00 | 0.3", "7 | E: TRUE", "9 | 06:45:00 | 1234567", ""),
        *("# Ærø & co", "", "1 | 1 | 2", ""),
    ]
    assert outline(document) == [("Stores > Item | Bought | Cost", "# Stores"), ("Ærø & co", "# Ærø & co")]
    assert [page_of(document, words) for words in ("whale", "Ærø")] == [1, 3]


def xlsx(rows: str, *, styles: str = "", strings: str = "", properties: str = "") -> bytes:
    """A spreadsheet of one sheet, as few programs write it."""
    return archive(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}">{properties}<sheets>'
            '<sheet name="One" sheetId="9" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                ("worksheet", "/xl/s.xml"), ("styles", "styles.xml"), ("sharedStrings", "strings.xml")
            ),
            "xl/s.xml": f'<worksheet xmlns="{SHEETS}"><dimension ref="A1"/><sheetData>{rows}</sheetData></worksheet>',
            "xl/styles.xml": f'<styleSheet xmlns="{SHEETS}">{styles}</styleSheet>',
            "xl/strings.xml": f'<sst xmlns="{SHEETS}">{strings}</sst>',
        }
    )


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("dd/mm/yyyy", "36526", "2000-01-01"),
        ('[$-409]mmm d, yyyy "at" h:mm', "36526.5", "2000-01-01 12:00:00"),
        ("[h]:mm", "0.5", "12:00:00"),
        ('0.0 "days"', "36526.5", "36526.5"),
        ("#,##0 _d", "36526", "36526"),
        ("General", "1E+3", "1000"),
        ("yyyy", "1e300", "1e300"),
        ("yyyy", "1", "1900-01-01"),
    ],
)
def test_numbers_that_are_dates(code: str, value: str, shown: str) -> None:
    styles = (
        f"<numFmts><numFmt numFmtId='170' formatCode='{code}'/></numFmts>"
        "<cellStyleXfs><xf numFmtId='14'/></cellStyleXfs><cellXfs><xf numFmtId='0'/><xf numFmtId='170'/></cellXfs>"
    )
    made = xlsx(f'<row r="1"><c r="A1" s="1"><v>{value}</v></c></row>', styles=styles)
    assert extract("xlsx", made).text == f"# One\n\n1 | {shown}\n"


def test_strange_spreadsheets_are_read_too() -> None:
    strings = "<si><t>plain</t></si><si><r><t>ri</t></r><r><t>ch</t></r><rPh><t>spoken</t></rPh></si>"
    rows = (
        '<row><c t="s"><v>1</v></c><c t="s"><v>0</v></c><c t="s"><v>99</v></c><c t="s"><v>-1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far</t></is></c><c r="??"><v>x</v></c></row>'
        '<row r="no"><c r="A1" t="e"><v>#DIV/0!</v></c><c t="str"><f>A1</f><v>word</v></c><c/></row>'
    )
    assert extract("xlsx", xlsx(rows, strings=strings)).text == (
        "# One\n\n1 | rich | plain\n1048576 | XFD: far | x\n1048577 | #DIV/0! | word\n"
    )


def test_dates_that_are_counted_from_1904() -> None:
    styles = "<cellXfs><xf numFmtId='14'/></cellXfs>"
    made = xlsx("<row><c><v>1462</v></c></row>", styles=styles, properties='<workbookPr date1904="1"/>')
    assert "1908-01-02" in extract("xlsx", made).text


@pytest.mark.parametrize(
    ("column", "name"), [(1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (703, "AAA"), (16384, "XFD")]
)
def test_columns_have_the_names_that_people_see(column: int, name: str) -> None:
    assert letters(column) == name


def test_drawings_in_text_do_not_disturb() -> None:
    chart = f'<w:drawing><a:graphic xmlns:a="{DRAWING}"><a:p><a:r><a:t>axis</a:t></a:r></a:p></a:graphic></w:drawing>'
    made = extract("docx", docx(f"<w:p><w:r><w:t>before</w:t>{chart}<w:t>after</w:t></w:r></w:p>"))
    assert "before" in made.text and "after" in made.text
