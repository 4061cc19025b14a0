from __future__ import annotations

import pytest

from engine.sources.library.extract import Unreadable
from tests.engine.sources.library.extract.files import archive, epub, extract, outline

CONTENTS = (
    '<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
    "<ncx><docTitle><text>The light</text></docTitle><navMap><navPoint><navLabel><text>Preface</text></navLabel>"
    '<content src="text/a%20b.xhtml#top"/></navPoint><navPoint><navLabel><text>Later in it</text></navLabel>'
    '<content src="text/a%20b.xhtml#end"/></navPoint></navMap></ncx>'
)


def test_chapters_in_reading_order_under_their_headings() -> None:
    made = epub(
        {
            "z.xhtml": "<h1>Oil</h1><p>It burns <b>whale</b> oil.</p><h2>Cost</h2><p>Forty.</p>",
            "a b.xhtml": "<p>No heading here.</p>",
            "m.xhtml": "<h1>Wick</h1><ul><li>cotton</li></ul>",
        },
        contents=CONTENTS,
    )
    document = extract("epub", made)
    assert document.title == "The light"
    assert document.text.split("\n") == [
        *("# Oil", "", "It burns whale oil.", "", "## Cost", "", "Forty.", "", "No heading here.", ""),
        *("# Wick", "", "- cotton", ""),
    ]
    assert outline(document) == [
        ("Oil", "# Oil"),
        ("Oil > Cost", "## Cost"),
        ("Preface", "No heading here."),
        ("Wick", "# Wick"),
    ]


def test_a_table_of_contents_that_is_a_page() -> None:
    members = {
        "META-INF/container.xml": '<container><rootfile full-path="book.opf"/></container>',
        "book.opf": '<package><manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
        "nav.xhtml": '<html><body><nav><ol><li><a href="./a.xhtml#x">The <i>keeper</i></a></li></ol></nav></body></html>',
        "a.xhtml": "<html><body><p>He sleeps.</p></body></html>",
    }
    assert outline(extract("epub", archive(members))) == [("The keeper", "He sleeps.")]


def test_a_chapter_that_is_missing_or_no_text_is_noted() -> None:
    made = epub({"a.xhtml": "x", "b.xhtml": "<p>here</p>"}, more={"OEBPS/text/a.xhtml": bytes(99)})
    document = extract("epub", made)
    assert document.text == "here\n" and "a.xhtml: it holds binary data" in document.notes[0]


def test_a_copy_protected_book_is_told() -> None:
    rights = '<encryption><CipherReference URI="OEBPS/text/a.xhtml"/></encryption>'
    with pytest.raises(Unreadable, match="copy-protected"):
        extract("epub", epub({"a.xhtml": "x"}, more={"META-INF/encryption.xml": rights}))


def test_scrambled_fonts_do_no_harm() -> None:
    rights = '<encryption><CipherReference URI="OEBPS/fonts/a.otf"/></encryption>'
    assert extract("epub", epub({"a.xhtml": "<p>x</p>"}, more={"META-INF/encryption.xml": rights})).text == "x\n"


def test_paths_that_lead_out_of_the_archive_lead_nowhere() -> None:
    made = epub({"../../../../etc/passwd": "<p>only in the archive</p>"})
    document = extract("epub", made)
    assert document.text == "" and "missing" in document.notes[0]
