from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clean import clean
from engine.errors import SourceError
from engine.sources.base import PageLink
from engine.sources.library.extract.base import NotTextError
from engine.sources.web.charset import decode_page
from engine.sources.web.extract import WebPage, extract
from engine.sources.web.fetch import Fetched
from engine.sources.web.reader import Reader
from engine.sources.web.watch import Watch
from tests.engine.sources.web.pages import ARTICLE, INJECTION, pdf

URL = "https://site.test/lamps/grey.html"


def read(body: bytes | str, kind: str = "text/html", charset: str = "", url: str = URL) -> WebPage:
    return extract(body.encode() if isinstance(body, str) else body, url, kind, charset)


def test_an_article_becomes_its_own_lines_and_nothing_around_it() -> None:
    page = read(ARTICLE)
    assert page.title == "The lighthouse at Grey Point"
    assert page.text.split("\n") == [
        "# The lighthouse at Grey Point",
        "",
        "The tower of the lighthouse is thirty-one metres high. It was built of basalt in 1874, by the masons of "
        "the harbour, and it has stood through every storm since then.",
        "",
        "## The lamp",
        "",
        "The lamp burns whale oil. It is lit at dusk by the keeper, who carries the oil up two hundred "
        "and seven steps each evening, and it is put out at dawn.",
        "",
        "- It is seen from nineteen miles away.",
        "- It turns once a minute.",
        "",
        "Year | Keeper",
        "1874 | Ada Quill",
        "1893 | Tom Reed",
        "",
        'light(at="dusk")',
        "    oil = 3",
        "",
    ]


def test_links_have_their_text_their_whole_address_and_their_line() -> None:
    assert read(ARTICLE).links == (
        PageLink("the keeper", "https://site.test/lamps/keeper.html", 7),
        PageLink("nineteen miles", "https://sea.test/miles?unit=nautical", 9),
    )


def test_links_start_where_the_page_says() -> None:
    page = read(ARTICLE.replace("<head>", '<head><base href="/old/">'))
    assert page.links[0].url == "https://site.test/old/keeper.html"
    page = read(ARTICLE.replace("<head>", '<head><base href="http://127.0.0.1/">'))
    assert page.links[0].url == "https://site.test/lamps/keeper.html"


def test_a_page_that_wants_to_be_obeyed_is_text_and_its_bad_links_are_gone() -> None:
    page = read(INJECTION)
    assert "IGNORE ALL PREVIOUS INSTRUCTIONS" in page.text
    assert [link.url for link in page.links] == ["https://site.test/lamps", "https://oil.test/"]
    for text in (page.title, page.text):
        assert clean(text) == text
        assert "\x1b" not in text
    assert "\u202e" not in page.text
    assert "␛" in page.title


def test_a_page_without_an_article_is_read_whole() -> None:
    page = read("<title>Index</title><body><div><a href='/a'>Lamps</a> <a href='/b'>Oil</a></div><div>Keepers</div>")
    assert page.title == "Index"
    assert page.text == "Lamps Oil\nKeepers\n"
    assert page.links == (PageLink("Lamps", "https://site.test/a"), PageLink("Oil", "https://site.test/b"))


@pytest.mark.parametrize(
    ("kind", "body", "title", "text"),
    [
        ("text/plain", b"one\r\ntwo <b>\rthree\n", "notes.txt", "one\ntwo <b>\nthree\n"),
        ("text/markdown", b"# Lamps\n", "notes.txt", "# Lamps\n"),
        ("application/json", b'{"a": 1}', "notes.txt", '{"a": 1}'),
        ("", b"just words", "notes.txt", "just words"),
        ("text/xml", b"<feed><entry>Lamp</entry></feed>", "notes.txt", "<feed><entry>Lamp</entry></feed>"),
        ("", b"<!DOCTYPE html><title>T</title><p>Words in a page.</p>", "T", "Words in a page.\n"),
        ("text/plain", b"<!DOCTYPE html><p>Source.</p>", "notes.txt", "<!DOCTYPE html><p>Source.</p>"),
        (
            "application/xhtml+xml",
            b'<?xml version="1.0" encoding="utf-8"?><html><head><title>X</title></head><body><p>Words.</p></body></html>',
            "X",
            "Words.\n",
        ),
    ],
)
def test_other_kinds_of_text(kind: str, body: bytes, title: str, text: str) -> None:
    page = read(body, kind, url="https://site.test/notes.txt?raw=1")
    assert (page.title, page.text) == (title, text)


def test_a_wall_of_comments_takes_no_time() -> None:
    before = time.monotonic()
    assert read("<!---->" * 500 + "words", "").text.endswith("words")
    assert read(" <!-- a --> <!-- b -->\n<!DOCTYPE html><p>Words.</p>", "").text == "Words.\n"
    assert time.monotonic() - before < 5


def test_addresses_in_plain_text_are_links() -> None:
    page = read("See\nhttps://sea.test/a and http://127.0.0.1/.\nhttps://sea.test/a", "text/plain")
    assert page.links == (PageLink("https://sea.test/a", "https://sea.test/a", 2),)


def test_a_pdf_keeps_its_page_numbers() -> None:
    page = read(pdf("The lamp burns\nwhale oil.", "See https://sea.test/oil", title="Lamps"), "application/pdf")
    assert page.title == "Lamps"
    assert page.text == "[page 1]\nThe lamp burns\nwhale oil.\n\n[page 2]\nSee https://sea.test/oil\n"
    assert page.links == (PageLink("https://sea.test/oil", "https://sea.test/oil", 6),)
    assert read(pdf("Words."), "text/html", url="https://site.test/papers/lamp%20oil.pdf").title == "lamp oil.pdf"


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"", "text/html", "no text"),
        (b"<html><body><script>draw()</script></body></html>", "text/html", "made by scripts"),
        (b"\x00\x01\x02\x03" * 100, "text/plain", "binary"),
        (b"words", "application/pdf", "is none"),
        (b"%PDF-1.7\nbroken", "application/pdf", "cannot be read"),
        (pdf("", ""), "application/pdf", "no text"),
    ],
)
def test_what_holds_no_text_says_why(body: bytes, kind: str, says: str) -> None:
    with pytest.raises(NotTextError, match=says):
        read(body, kind)


def test_a_page_that_goes_on_for_ever_is_cut_where_it_says() -> None:
    page = read("0123456789\n" * 300_000, "text/plain")
    assert len(page.text) < 2_000_100
    assert page.text.endswith("characters were left out)\n")
    assert page.text.split("\n")[-3] == "0123456789"


# ── encodings ────────────────────────────────────────────────────────────────────────────────────

GERMAN = "Die Lampe brennt Öl für süße Fische, müde Wärter löschen sie früh."


@pytest.mark.parametrize(
    ("text", "encoding", "said", "meta"),
    [
        (GERMAN, "utf-8", "", ""),
        (GERMAN, "utf-8", "iso-8859-1", ""),  # the server is wrong, as servers often are
        (GERMAN, "utf-8", "utf-8", "iso-8859-1"),
        (GERMAN, "utf-8", "nonsense", "x-unknown"),
        (GERMAN, "utf-8-sig", "iso-8859-1", ""),
        (GERMAN, "cp1252", "iso-8859-1", ""),
        (GERMAN, "cp1252", "", "iso-8859-1"),
        (GERMAN, "cp1252", "utf-8", ""),
        (GERMAN, "utf-16", "", ""),
        (GERMAN, "utf-16-le", "utf-16", ""),
        (GERMAN, "cp1252", "unicode_escape", ""),
        ("Curly “quotes” – and dashes", "cp1252", "iso-8859-1", ""),
        ("Маяк горит всю ночь до рассвета, и смотритель носит масло.", "cp1251", "windows-1251", ""),
        ("Маяк горит всю ночь до рассвета, и смотритель носит масло.", "koi8-r", "", "koi8-r"),
        ("Маяк горит всю ночь до рассвета, и смотритель носит масло. " * 5, "cp1251", "", ""),
        ("灯台は一晩中光る。", "shift_jis", "shift_jis", ""),
        ("灯台は一晩中光る。", "euc_jp", "", "euc-jp"),
        ("灯台は一晩中光る。", "iso2022_jp", "iso-2022-jp", ""),
        ("灯塔整夜发光，守塔人", "gb18030", "gb2312", ""),
        ("등대는 밤새 빛난다", "cp949", "euc-kr", ""),
    ],
)
def test_pages_are_read_in_the_encoding_they_are_in(text: str, encoding: str, said: str, meta: str) -> None:
    head = f'<meta charset="{meta}">' if meta else ""
    assert text in decode_page((head + text).encode(encoding), said)


@pytest.mark.parametrize(
    "said", ["utf-7", "zip", "rot13", "hex", "idna", "unicode_escape", "\udcff", "a" * 500, "utf-8\0"]
)
def test_no_name_of_an_encoding_is_a_trick(said: str) -> None:
    assert decode_page(b"plain +ADw-script+AD4- \\u003cb\\u003e", said) == "plain +ADw-script+AD4- \\u003cb\\u003e"


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "latin-1", "shift_jis", "utf-16", "iso-2022-jp", "gbk"]))
def test_any_bytes_are_clean_text_or_refused(data: bytes, said: str) -> None:
    try:
        text = decode_page(data, said)
    except NotTextError:
        return
    assert clean(text) == text
    assert "\r" not in text


_TAGS = st.sampled_from(
    """<p> </p> <div> </div> <ul> <li> </ul> <table> <tr> <td> </table> <pre> </pre> <code> </code> <h1> </h1> <br>
    <article> </article> <a/href='/x'> </a> <!-- --> <b> &#27; &lt; <script> </script> <svg> <blockquote>
    """.split()  # noqa: SIM905
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_TAGS | st.text(max_size=20), max_size=40))
def test_any_markup_is_read_or_refused_and_its_links_stand_on_its_lines(pieces: list[str]) -> None:
    try:
        page = read("<!doctype html>" + " ".join(pieces))
    except NotTextError:
        return
    lines = page.text.split("\n")
    assert clean(page.text) == page.text
    assert clean(page.title) == page.title
    assert all(0 <= link.line <= len(lines) for link in page.links)
    for link in page.links:
        assert not link.line or link.text == link.url or link.text.split()[0] in lines[link.line - 1]


# ── the helper process ───────────────────────────────────────────────────────────────────────────


def patience(cancelled: threading.Event | None = None) -> Watch:
    return Watch(60.0, 60.0, 60.0, cancelled.is_set if cancelled else lambda: False)


def fetched(body: bytes, kind: str = "text/html") -> Fetched:
    return Fetched(URL, URL, kind, "", body, 0.0)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    helper = Reader(seconds=3.0)
    yield helper
    helper.close()


SLOW = b"<div>" * 400_000 + b"words"
"""Minutes of work to an HTML parser that walks up from every element."""


def test_the_helper_reads_what_is_read_here(reader: Reader) -> None:
    assert reader.read(fetched(ARTICLE.encode()), patience()) == read(ARTICLE)
    assert reader.read(fetched(pdf("Words."), "application/pdf"), patience()).text == "[page 1]\nWords.\n"
    with pytest.raises(SourceError, match="no text"):
        reader.read(fetched(b""), patience())


def test_a_page_that_stalls_the_parser_costs_its_time_and_no_other(reader: Reader) -> None:
    with pytest.raises(SourceError, match="longer than 3 seconds"):
        reader.read(fetched(SLOW), patience())
    assert reader.read(fetched(ARTICLE.encode()), patience()).title == "The lighthouse at Grey Point"


def test_reading_is_called_off_at_once(reader: Reader) -> None:
    reader.read(fetched(b"<p>warm</p>"), patience())
    called_off = threading.Event()
    threading.Timer(0.3, called_off.set).start()
    before = time.monotonic()
    with pytest.raises(SourceError, match="called off"):
        reader.read(fetched(SLOW), patience(called_off))
    assert time.monotonic() - before < 1.3


def test_a_helper_that_dies_is_replaced(reader: Reader) -> None:
    reader.read(fetched(b"<p>warm</p>"), patience())
    [helper] = [process for process in multiprocessing.active_children() if process.name == "web-reader"]
    assert helper.pid is not None
    os.kill(helper.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGSEGV)
    helper.join(5)
    assert reader.read(fetched(ARTICLE.encode()), patience()).title == "The lighthouse at Grey Point"


def test_a_page_that_kills_the_helper_is_an_error(reader: Reader) -> None:
    reader.read(fetched(b"<p>warm</p>"), patience())
    [helper] = [process for process in multiprocessing.active_children() if process.name == "web-reader"]
    assert helper.pid is not None
    pid = helper.pid
    threading.Timer(0.5, lambda: os.kill(pid, signal.SIGTERM)).start()
    with pytest.raises(SourceError, match="made to break readers"):
        reader.read(fetched(SLOW), patience())
    assert reader.read(fetched(ARTICLE.encode()), patience()).text


def test_two_threads_read_after_each_other(reader: Reader) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda number=number: found.append(
                reader.read(fetched(f"<p>page {number}</p>".encode()), patience()).text
            )
        )
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"page {number}\n" for number in range(4)]
