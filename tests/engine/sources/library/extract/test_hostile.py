"""Documents that are made to do harm, or that something went wrong with: each is told in words, in bounded time."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.library.extract import EXTRACTORS, NotTextError, Unreadable
from engine.sources.library.extract.package import Package
from tests.engine.sources.library.extract.files import (
    WORD,
    archive,
    docx,
    epub,
    extract,
    paragraph,
    pdf,
    pptx,
    relations,
    shape,
)
from tests.engine.sources.library.extract.test_office import xlsx

PACKAGES = {
    "docx": docx(paragraph("lamp")),
    "pptx": pptx([shape("lamp")]),
    "xlsx": xlsx('<row r="1"><c r="A1"><v>1</v></c></row>'),
    "epub": epub({"one.xhtml": "<h1>Lamp</h1><p>oil</p>"}),
}
BINARY = (*PACKAGES, "pdf")


def refused(kind: str, data: bytes, words: str) -> Unreadable:
    """The error that a document is refused with."""
    with pytest.raises(Unreadable, match=words) as caught:
        EXTRACTORS[kind](data)
    assert caught.value.hint
    return caught.value


def bomb(before: bytes, fill: bytes, after: bytes, size: int) -> bytes:
    """A Word document whose text is ``fill`` repeated to ``size`` bytes."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=9) as made:
        made.writestr("_rels/.rels", relations(("officeDocument", "word/document.xml")))
        with made.open("word/document.xml", "w", force_zip64=True) as member:
            member.write(before)
            piece = fill * (1 << 20)
            for _ in range(size // len(piece)):
                member.write(piece)
            member.write(after)
    return file.getvalue()


def test_a_zip_bomb_is_refused_before_it_fills_the_memory() -> None:
    made = bomb(
        f'<w:document xmlns:w="{WORD}"><w:p><w:r><w:t>'.encode(), b"a", b"</w:t></w:r></w:p></w:document>", 1 << 27
    )
    assert len(made) < 200_000
    tracemalloc.start()
    refused("docx", made, "more than 200 times its size")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_bomb_in_any_part_is_refused(kind: str) -> None:
    members = {name: Package(PACKAGES[kind], "file").read(name) for name in Package(PACKAGES[kind], "file").names()}
    for name in members:
        if name != "mimetype" and "styles" not in name and "strings" not in name:
            stuffed = members | {name: members[name] + b" " * (40 << 20)}
            refused(kind, archive(stuffed), "more than 200 times its size|larger than 32 MB")


def test_all_that_is_unpacked_of_one_archive_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.library.extract.package.MOST_UNPACKED", 4 << 20)
    made = Package(archive({f"{number}": bytes(1 << 20) for number in range(5)}), "file")
    with pytest.raises(Unreadable, match="more than 4 MB"):
        for name in made.names():
            made.read(name)


def test_an_archive_in_an_archive_is_not_opened() -> None:
    inner = docx(paragraph("the inner one"))
    made = epub({"one.xhtml": "<p>outer</p>"}, more={"OEBPS/text/one.xhtml": inner})
    document = extract("epub", made)
    assert document.text == "" and "could not be read" in document.notes[0]


def test_more_members_than_any_document_has_are_refused() -> None:
    refused("docx", archive({f"{number}": "" for number in range(50_001)}), "holds 50,001 files")


EXPANDING = (
    '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY j SYSTEM "file:///etc/passwd">]>'
REMOTE = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY % j SYSTEM "http://127.0.0.1:9/x.dtd"> %j;]>'


@pytest.mark.parametrize("head", [EXPANDING, EXTERNAL, REMOTE], ids=["expanding", "external", "remote"])
@pytest.mark.parametrize("kind", PACKAGES)
def test_xml_entities_are_refused_in_every_part(kind: str, head: str) -> None:
    package = Package(PACKAGES[kind], "file")
    members = {name: package.read(name) for name in package.names()}
    for name in members:
        if name.endswith((".xml", ".rels", ".opf")):
            refused(kind, archive(members | {name: head.encode() + members[name]}), "defines XML entities")


def test_a_document_type_that_lies_elsewhere_is_not_fetched() -> None:
    head = '<!DOCTYPE d PUBLIC "-//x" "http://127.0.0.1:9/x.dtd">'
    members = {name: Package(PACKAGES["docx"], "file").read(name) for name in Package(PACKAGES["docx"], "file").names()}
    name = "word/document.xml"
    assert extract("docx", archive(members | {name: head.encode() + members[name]})).text == "lamp\n"


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old or a password-protected Office file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
        (b"{\\rtf1 text}", "an RTF text"),
        (b"only words", "or a damaged one"),
        (b"", "or a damaged one"),
    ],
)
def test_files_that_are_not_what_their_name_says(kind: str, data: bytes, words: str) -> None:
    refused(kind, data, words)


@pytest.mark.parametrize(("kind", "other"), [(kind, other) for kind in BINARY for other in PACKAGES if kind != other])
def test_packages_of_another_kind(kind: str, other: str) -> None:
    if kind in ("docx", "pptx", "xlsx") and other != "epub":
        assert extract(kind, PACKAGES[other]).text == ""  # nothing that such a document would say
    else:
        refused(kind, PACKAGES[other], "zip archive")


@pytest.mark.parametrize("kind", PACKAGES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_packages_cut_or_changed_anywhere_give_text_or_a_clear_error(kind: str, data: st.DataObject) -> None:
    made = bytearray(PACKAGES[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(made)))
    try:
        extract(kind, bytes(made[:cut] if data.draw(st.booleans()) else made))
    except (NotTextError, Unreadable) as error:
        assert str(error)


@pytest.mark.parametrize("kind", PACKAGES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_parts_with_other_xml_in_them_give_text_or_a_clear_error(kind: str, data: st.DataObject) -> None:
    package = Package(PACKAGES[kind], "file")
    members = {name: package.read(name) for name in package.names()}
    name = data.draw(st.sampled_from(sorted(members)))
    words = data.draw(
        st.lists(st.sampled_from([*members[name].decode().replace(">", "> ").split(" "), "</w:p>", "<w:tbl>"]))
    )
    try:
        extract(kind, archive(members | {name: " ".join(words)}))
    except (NotTextError, Unreadable) as error:
        assert str(error)


def test_members_with_a_password_or_an_unknown_packing_are_told() -> None:
    locked = bytearray(PACKAGES["docx"])
    at = locked.index(b"PK\x01\x02")
    while at >= 0:
        locked[at + 8] |= 1
        at = locked.find(b"PK\x01\x02", at + 1)
    refused("docx", bytes(locked), "protected with a password")
    file = BytesIO()
    with ZipFile(file, "w", ZIP_BZIP2) as made:
        made.writestr("_rels/.rels", relations(("officeDocument", "word/document.xml")))
    refused("docx", file.getvalue(), "packed in a way")


def test_elements_nested_without_end_are_no_harm() -> None:
    body = "<w:tbl><w:tr><w:tc><w:p>" * 50_000 + "<w:r><w:t>deep</w:t></w:r>" + "</w:p></w:tc></w:tr></w:tbl>" * 50_000
    assert extract("docx", docx(body)).text == "deep\n"


def test_rows_and_cells_without_end_take_memory_in_proportion() -> None:
    rows = "".join(f'<row r="{number}"><c r="XFD{number}"><v>1</v></c></row>' for number in range(1, 20_001))
    tracemalloc.start()
    document = extract("xlsx", xlsx(rows))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert document.text.endswith("20000 | XFD: 1\n") and peak < 40_000_000


def test_more_text_than_a_document_may_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("write", "pdf"):
        monkeypatch.setattr(f"engine.sources.library.extract.{module}.MOST_TEXT", 1000)
    refused("docx", docx(paragraph("word " * 300)), "characters of text")
    refused("pdf", pdf([["word " * 15]] * 100), "characters of text")


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    assert extract("docx", docx(paragraph("a\u202eb\u009bc"))).text == "a\ufffdb\ufffdc\n"
    assert extract("pdf", pdf([["red \\033[31m"]])).text.startswith("red")
