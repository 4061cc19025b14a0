from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clean import clean
from engine.sources.library.extract import EXTRACTORS, Extracted, NotTextError, Unreadable

MARKUP = st.text(alphabet="#=-~`*<>/hp1 ab\n\x1b\u202e&;[]()_:|", max_size=200)
TEXTS = ("text", "code", "markdown", "rst", "html", "csv", "json", "jsonl")
LONG_LINES = ["# " + " " * 400_000 + "x", "[" * 400_000, "<" * 200_000, "=" * 400_000, "`" * 400_000, "def " * 90_000]


def outline(document: Extracted) -> list[tuple[str, str]]:
    """Each section's trail with the first line of its text."""
    return [(" > ".join(each.trail), document.text[each.start :].split("\n")[0]) for each in document.sections]


@pytest.mark.parametrize("kind", EXTRACTORS)
@settings(deadline=None)
@given(data=st.binary(max_size=300) | MARKUP.map(str.encode))
def test_any_bytes_give_clean_text_with_ordered_sections_or_are_refused(kind: str, data: bytes) -> None:
    try:
        document = EXTRACTORS[kind](data)
    except (NotTextError, Unreadable):
        return
    starts = [each.start for each in document.sections]
    assert starts[0] == 0 and starts == sorted(set(starts)) and starts[-1] <= len(document.text)
    for text in (document.text, document.title, *(title for each in document.sections for title in each.trail)):
        assert clean(text) == text and "\r" not in text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("naïve €".encode(), "naïve €"),
        ("\ufeffnaïve".encode(), "naïve"),
        ("naïve €".encode("cp1252"), "naïve €"),
        ("naïve €".encode("utf-16"), "naïve €"),
        (b"\xfe\xff" + "naïve".encode("utf-16-be"), "naïve"),
        ("naïve".encode("utf-32"), "naïve"),
        (b"undefined \x81 in cp1252", "undefined \ufffd in cp1252"),
        (b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        (b"red \x1b[31malert\x1b[0m", "red ␛[31malert␛[0m"),
    ],
)
def test_encodings_and_line_ends(data: bytes, text: str) -> None:
    assert EXTRACTORS["text"](data).text == text


@pytest.mark.parametrize(
    ("words", "encodings"),
    [
        ("Маяк был построен из базальта, и лампа горит на китовом жире. ", "cp1251 koi8-r iso8859-5"),
        ("灯台は玄武岩で建てられ、ランプは鯨油で燃えます。", "shift_jis"),
        ("灯塔由玄武岩建成，灯燃烧鲸油。每天晚上点亮。", "gbk"),
        ("Ο φάρος χτίστηκε από βασάλτη και η λάμπα καίει λάδι. ", "cp1253"),
        ("등대는 현무암으로 지어졌고 등불은 고래기름으로 탑니다. ", "euc-kr"),
        ("Größe und Straße: der Turm wurde für die Küste gebaut. ", "cp1252"),
    ],
)
def test_encodings_that_nothing_declares(words: str, encodings: str) -> None:
    for encoding in encodings.split():
        assert EXTRACTORS["text"]((words * 20).encode(encoding)).text == words * 20


def test_damaged_utf_8_is_still_utf_8() -> None:
    words = "Größe für die Küste. " * 20
    assert EXTRACTORS["text"](words.encode() + b"\xff" + words.encode()).text == f"{words}\ufffd{words}"


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x00\x00", bytes(range(1, 32)) * 9, b"text and then \x00"])
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(NotTextError, match="binary"):
        EXTRACTORS["text"](data)


def test_markdown_headings() -> None:
    document = EXTRACTORS["markdown"](
        b"intro\n\n# The *lamp* #\n\n## Oil and `wick`\n\ntext\n\n```sh\n# no heading\n```\n\n    # nor this\n\n"
        b"Setext [link](http://x)\n------\n\nmore\n\n- item\n---\n\n# End\n"
    )
    assert document.title == "The lamp"
    assert outline(document) == [
        ("", "intro"),
        ("The lamp > Oil and wick", "# The *lamp* #"),
        ("The lamp > Setext link", "Setext [link](http://x)"),
        ("End", "# End"),
    ]


def test_markdown_front_matter() -> None:
    document = EXTRACTORS["markdown"](b"---\ntitle: 'A guide'\ntags: x\n---\n# Other\ntext\n")
    assert document.title == "A guide"
    assert outline(document)[-1] == ("Other", "# Other")
    assert document.text.startswith("---\ntitle:")


def test_rst_titles() -> None:
    document = EXTRACTORS["rst"](
        b"=====\nGuide\n=====\n\nOil\n---\n\ntext\n\n::\n\n   Not this\n   --------\n\n:mod:`re` use\n-------------\n\n"
        b"x\n\nDeep\n~~~~\n\ny\n\n====  ====\na     b\n====  ====\n"
    )
    assert document.title == "Guide"
    assert outline(document) == [
        ("Guide > Oil", "====="),
        ("Guide > re use", ":mod:`re` use"),
        ("Guide > re use > Deep", "Deep"),
    ]


def test_code_definitions_and_what_holds_them() -> None:
    document = EXTRACTORS["code"](
        b"import x\n\nclass Lamp:\n    def oil(self):\n        def inner(): ...\n\n    async def wick(self): ...\n\n"
        b"async def dusk():\n    class Local: ...\n"
    )
    assert outline(document) == [
        ("", "import x"),
        ("Lamp > oil", "class Lamp:"),
        ("Lamp > wick", "    async def wick(self): ..."),
        ("dusk", "async def dusk():"),
    ]


@pytest.mark.parametrize(
    ("source", "trails"),
    [
        ("impl Lamp {\n    pub(crate) fn oil() {}\n    fn wick() {}\n}\n", ["Lamp > oil", "Lamp > wick"]),
        ("export default class Lamp {\n}\nasync function* dusk() {}\n", ["Lamp", "dusk"]),
        ("func (l *Lamp) Oil() {}\n\ntype Wick struct {}\n", ["Oil", "Wick"]),
        ("defmodule Lamp.Oil do\n  def wick(x) do\n", ["Lamp.Oil > wick"]),
        ("\tdef lost(): ...\n", [""]),
    ],
)
def test_code_of_other_languages(source: str, trails: list[str]) -> None:
    assert [trail for trail, _ in outline(EXTRACTORS["code"](source.encode()))] == trails


def test_html_keeps_its_shape_on_lines() -> None:
    document = EXTRACTORS["html"](
        b"<html><head><title>The  lamp</title><script>no()</script></head><body><nav>Home</nav><main>"
        b"<h1>Lamp<a class=headerlink>P</a></h1><p>It <b>burns</b>\n whale&nbsp;oil.<br>Daily.</p>"
        b"<ul><li>one</li><li><p>two</p><ul><li>deep</li></ul></li></ul><h2><div>Table</div></h2>"
        b"<table><tr><th>a</th><th>b</th></tr><tr><td><p>1</p></td><td></td><td>3</td></tr></table>"
        b"<pre>x = 1\n  y\n\nz</pre><p>&#27;[31m end</p></main></body></html>"
    )
    assert document.title == "The lamp"
    assert document.text.split("\n") == [
        *("# Lamp", "", "It burns whale oil.", "Daily.", "", "- one", "- two", "  - deep", ""),
        *("## Table", "", "a | b", "1 | | 3", "", "x = 1", "  y", "", "z", "", "␛[31m end", ""),
    ]
    assert outline(document) == [("Lamp", "# Lamp"), ("Lamp > Table", "## Table")]


def test_html_main_content_that_is_not_main_is_not_believed() -> None:
    document = EXTRACTORS["html"](b"<body><main><p>little</p></main><div>" + b"much more text " * 20 + b"</div></body>")
    assert "much more text" in document.text and "little" in document.text


def test_html_declares_its_encoding() -> None:
    data = '<html><head><meta charset="iso-8859-5"></head><body><p>Лампа</p></body></html>'.encode("iso-8859-5")
    assert EXTRACTORS["html"](data).text == "Лампа\n"
    assert EXTRACTORS["html"](b'<meta charset="no-such"><p>caf\xc3\xa9</p>').text == "café\n"


def test_deeply_nested_html_is_read() -> None:
    assert EXTRACTORS["html"](b"<div>" * 20_000 + b"here").text == "here\n"


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("line", LONG_LINES, ids=["spaces", "brackets", "angles", "underline", "fence", "words"])
def test_hostile_lines_take_time_in_proportion(kind: str, line: str) -> None:
    document = EXTRACTORS[kind](f"{line}\n{line[:20]}\n".encode())
    assert document.sections[0].start == 0
