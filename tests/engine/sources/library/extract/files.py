"""Small documents of every kind, made here."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from engine.clean import clean
from engine.sources.library.extract import EXTRACTORS, Extracted, page_at

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def extract(kind: str, data: bytes) -> Extracted:
    """A document, after checking what must hold for every one."""
    document = EXTRACTORS[kind](data)
    starts = [each.start for each in document.sections]
    assert starts[0] == 0 and starts == sorted(set(starts)) and starts[-1] <= len(document.text)
    assert list(document.pages) == sorted(document.pages) and all(
        0 <= at <= len(document.text) for at in document.pages
    )
    for text in (
        document.text,
        document.title,
        *document.notes,
        *(word for each in document.sections for word in each.trail),
    ):
        assert clean(text) == text and "\r" not in text
    return document


def outline(document: Extracted) -> list[tuple[str, str]]:
    """Each section's trail with the first line of its text."""
    return [(" > ".join(each.trail), document.text[each.start :].split("\n")[0]) for each in document.sections]


def page_of(document: Extracted, words: str) -> int:
    """On which page words stand that occur once."""
    assert document.text.count(words) == 1
    return page_at(document.pages, document.text.index(words))


def archive(members: Mapping[str, str | bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def relations(*targets: tuple[str, str]) -> str:
    """A relationships part. The first is rId1."""
    lines = (
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{PACKAGE}">{"".join(lines)}</Relationships>'


def docx(body: str, **parts: str) -> bytes:
    """A Word document. ``parts``: more members of the folder word, without their ending."""
    named = [(name, f"{name}.xml") for name in parts]
    return archive(
        {
            "_rels/.rels": relations(("officeDocument", "word/document.xml")),
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
            "word/_rels/document.xml.rels": relations(*named),
            **{f"word/{name}.xml": content for name, content in parts.items()},
        }
    )


def paragraph(words: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{words}</w:t></w:r></w:p>"


def pptx(slides: Sequence[str], notes: Mapping[int, str] | None = None) -> bytes:
    """A presentation; each slide is its shapes. ``notes`` are those of slides by their index."""
    space = f'xmlns:a="{DRAWING}" xmlns:p="{SLIDES}" xmlns:r="{OFFICE}"'
    ids = "".join(f'<p:sldId id="{256 + each}" r:id="rId{each + 1}"/>' for each in range(len(slides)))
    members = {
        "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {space}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        # the numbers in the names of the files say nothing about the order of the slides
        "ppt/_rels/presentation.xml.rels": relations(
            *(("slide", f"slides/slide{len(slides) - each}.xml") for each in range(len(slides)))
        ),
    }
    for index, shapes in enumerate(slides):
        name = f"slide{len(slides) - index}.xml"
        members[f"ppt/slides/{name}"] = f"<p:sld {space}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        if notes and index in notes:
            members[f"ppt/slides/_rels/{name}.rels"] = relations(("notesSlide", f"../notesSlides/{name}"))
            members[f"ppt/notesSlides/{name}"] = f"<p:notes {space}>{notes[index]}</p:notes>"
    return archive(members)


def shape(*lines: str, role: str = "body") -> str:
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{role}"/></p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>'


def epub(chapters: Mapping[str, str], *, contents: str = "", more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A book; each chapter is the body of a page. ``contents``: its NCX table of contents."""
    items = "".join(
        f'<item id="c{number}" href="text/{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The light</dc:title>'
            f'</metadata><manifest><item id="toc" href="toc.ncx" media-type="application/x-dtbncx+xml"/>{items}</manifest>'
            f'<spine toc="toc">{spine}</spine></package>',
            **({"OEBPS/toc.ncx": contents} if contents else {}),
            **{f"OEBPS/text/{name}": f"<html><body>{body}</body></html>" for name, body in chapters.items()},
            **(more or {}),
        }
    )


def pdf(
    pages: Sequence[Sequence[str]],
    *,
    title: str = "",
    outline: Sequence[tuple[str, int]] = (),
    pictures: Sequence[int] = (),
    encrypted: bool = False,
) -> bytes:
    """A PDF with the lines of each page, entries of an outline (words, index of the page), and pages with a picture."""
    objects: dict[int, bytes] = {}
    first = 10  # objects of the pages, two each
    kids = " ".join(f"{first + 2 * index} 0 R" for index in range(len(pages)))
    entry = first + 2 * len(pages)  # objects of the outline
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>"
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    last = entry + len(outline) - 1
    objects[4] = f"<< /First {entry} 0 R /Last {last} 0 R /Count {len(outline)} >>".encode() if outline else b"<< >>"
    objects[5] = f"<< /Title ({title}) >>".encode()
    picture = zlib.compress(bytes(64))
    header = f"<< /Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length {len(picture)}"
    objects[6] = header.encode() + b" /Filter /FlateDecode >>\nstream\n" + picture + b"\nendstream"
    for index, lines in enumerate(pages):
        at = first + 2 * index
        shown = "".join(f"1 0 0 1 72 {720 - 16 * number} Tm ({line}) Tj\n" for number, line in enumerate(lines))
        content = f"BT /F1 12 Tf\n{shown}ET" if lines else ""
        content += "\nq 400 0 0 400 72 72 cm /I1 Do Q" if index in pictures else ""
        objects[at] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {at + 1} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> /XObject << /I1 6 0 R >> >> >>"
        ).encode()
        stream = zlib.compress(content.encode("cp1252"))
        objects[at + 1] = (
            f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode() + stream + b"\nendstream"
        )
    for number, (words, index) in enumerate(outline):
        following = f" /Next {entry + number + 1} 0 R" if number + 1 < len(outline) else ""
        target = f"/Dest [{first + 2 * index} 0 R /Fit]"
        objects[entry + number] = f"<< /Title ({words}) /Parent 4 0 R {target}{following} >>".encode()
    made = bytearray(b"%PDF-1.5\n")
    places = {}
    for number, content in sorted(objects.items()):
        places[number] = len(made)
        made += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start, size = len(made), max(objects) + 1
    made += f"xref\n0 {size}\n".encode()
    for number in range(size):
        made += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    key = "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O ({}) /U ({}) >> /ID [<00> <00>]".format("o" * 32, "u" * 32)
    trailer = (
        f"trailer\n<< /Size {size} /Root 1 0 R /Info 5 0 R {key if encrypted else ''} >>\nstartxref\n{start}\n%%EOF\n"
    )
    return bytes(made) + trailer.encode()
