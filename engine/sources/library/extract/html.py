"""HTML to lines of text: headings, paragraphs, lists, tables and preformatted blocks keep their shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.clean import clean, clean_line
from engine.sources.library.extract.base import Extracted, Heading, build
from engine.sources.library.extract.decode import decode

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_CHARSET = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_DROPPED = "script, style, noscript, template, svg, iframe, nav, form, button, head, [hidden], a.headerlink"
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_HOLDERS = frozenset(("tr", *_HEADINGS))
"""Elements that keep all they hold on one line."""

_SPACED = frozenset(("article", "blockquote", "dl", "figure", "ol", "p", "pre", "section", "table", "ul", *_HEADINGS))
"""Blocks with an empty line around them."""

_BLOCKS = _SPACED | frozenset(
    (
        "address",
        "aside",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dt",
        "fieldset",
        "figcaption",
        "footer",
        "header",
        "hgroup",
        "hr",
        "li",
        "main",
        "summary",
        "tbody",
        "tfoot",
        "thead",
        "tr",
    )
)


def extract_html(data: bytes) -> Extracted:
    """A page's main content as text. Navigation, scripts and forms are left out, nothing else."""
    declared = _CHARSET.search(data[:2048])
    title, text, headings = read_html(decode(data, declared[1].decode("ascii") if declared else ""))
    return build(title or next((each.text for each in headings), ""), text, headings)


def read_html(markup: str) -> tuple[str, str, list[Heading]]:
    """Title (empty if it names none), text and headings of a page, for documents that hold pages."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(markup)
    titles = tree.css_first("title")
    title = clean_line(titles.text()) if titles is not None else ""
    for node in tree.css(_DROPPED):
        node.decompose()
    page = _Page()
    root = _main(tree.body)
    if root is not None:
        page.write(root)
    return title, *page.finish()


def _main(body: LexborNode | None) -> LexborNode | None:
    """The element that holds the content; the whole body where what calls itself that holds less than half of it."""
    if body is None:
        return None
    whole = len(body.text())
    for node in body.css("main, [role=main], article"):
        if 2 * len(node.text()) >= whole:
            return node
    return body


class _Page:
    """Lines as they are made. ``_words`` is the line being written, with its white space still as it came."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._length = 0  # of all the lines, each with its newline
        self._words: list[str] = []
        self._headings: list[Heading] = []
        self._gap = False  # an empty line is due
        self._held = 0  # how many holders are open
        self._depth = 0  # of lists
        self._bullet = ""

    def write(self, root: LexborNode) -> None:
        for node, entering in _walk(root):
            tag = node.tag or ""
            if tag == "-text":
                self._words.append(node.text_content or "")
            elif tag == "pre":
                self._write_pre(node.text())
            elif entering:
                self._enter(tag, node)
            else:
                self._leave(tag)

    def finish(self) -> tuple[str, list[Heading]]:
        self._end_line()
        return "".join(f"{line}\n" for line in self._lines), self._headings

    def _enter(self, tag: str, node: LexborNode) -> None:
        if tag in ("td", "th"):
            self._words.append(" | " if self._words else "")
        elif tag == "img":
            alt = (node.attributes.get("alt") or "").strip()
            self._words.append(f" [{alt}] " if alt else "")
        elif self._held and (tag == "br" or tag in _BLOCKS):
            self._words.append(" ")
        elif tag == "br":
            self._end_line()
        elif tag in _BLOCKS:
            self._end_line()
            in_item = bool(self._depth or self._bullet)
            self._gap |= tag in _SPACED and not (in_item and tag in ("ul", "ol", "p"))
            if tag in ("ul", "ol"):
                self._depth += 1
            elif tag == "li":
                self._bullet = "  " * max(0, self._depth - 1) + "- "
            elif tag == "dd":
                self._bullet = "  "
        self._held += tag in _HOLDERS

    def _leave(self, tag: str) -> None:
        self._held -= tag in _HOLDERS
        if self._held or tag not in _BLOCKS:
            return
        if tag in _HEADINGS:
            self._end_heading(int(tag[1]))
        self._end_line()
        if tag in ("ul", "ol"):
            self._depth = max(0, self._depth - 1)
        elif tag in ("li", "dd"):
            self._bullet = ""
        self._gap |= tag in _SPACED and not self._depth

    def _write_pre(self, text: str) -> None:
        self._end_line()
        self._gap = True
        for line in text.strip("\n").split("\n"):
            self._put(line.rstrip())
        self._gap = True

    def _end_heading(self, level: int) -> None:
        words = clean_line("".join(self._words), 200)
        if words:
            self._words = ["#" * level, " ", words]
            start = self._length + int(self._gap and bool(self._lines))
            self._end_line()
            self._headings.append(Heading(start, self._length - 1, level, words))

    def _end_line(self) -> None:
        line = " ".join("".join(self._words).split())
        self._words = []
        if line:
            self._put(self._bullet + line)
            self._bullet = " " * len(self._bullet)

    def _put(self, line: str) -> None:
        if self._gap and self._lines:
            self._lines.append("")
            self._length += 1
        self._gap = False
        line = clean(line)
        self._lines.append(line)
        self._length += len(line) + 1


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node on the way in and, if it may have children, on the way out; however deeply they are nested."""
    stack: list[tuple[LexborNode, bool]] = [(root, True)]
    while stack:
        node, entering = stack.pop()
        yield node, entering
        if entering and node.tag not in ("-text", "pre"):
            stack.append((node, False))
            children = []
            child = node.child
            while child is not None:
                children.append(child)
                child = child.next
            stack.extend((each, True) for each in reversed(children))
