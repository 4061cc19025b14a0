"""Web pages to lines of text: what a page is about, without what stands around it, and where its links lead."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

from engine.clean import clean, clean_line
from engine.errors import Refused
from engine.sources.base import PageLink
from engine.sources.library.extract.html import extract_html
from engine.sources.web.urls import join, parse

_SHORT = 250
"""Characters. Where the content that was found is shorter, the whole page may say more."""

_LONG = 500_000
"""Characters from which on the quicker of two ways to find the content has to do."""

_MOST_LINKS = 500
_SPACED = frozenset(("head", "p", "list", "table", "quote", "code"))
_BLOCKS = _SPACED | frozenset(("item", "row", "lb", "div", "ab"))


def read_html(text: str, url: str) -> tuple[str, str, tuple[PageLink, ...]]:
    """Title, text and links of a page. Links lead to public pages, by their absolute address, each with its line."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    named = tree.css_first("title")
    title = clean_line(named.text()) if named is not None else ""
    base = _base(tree, url)
    written = _main_content(text)
    body, links = written.finish(base)
    if len(body) < _SHORT:
        whole = extract_html(codecs.BOM_UTF8 + text.encode("utf-8", errors="replace"))
        if len(whole.text) >= len(body):
            body = whole.text
            found = ((node.text(), node.attributes.get("href") or "", 0) for node in tree.css("a[href]"))
            links = _absolute(found, base)
        title = title or whole.title
    return title or next((line.lstrip("# ") for line in body.split("\n") if line), ""), body, links


def _base(tree: Any, url: str) -> str:
    """What relative links on the page start from."""
    node = tree.css_first("base[href]")
    try:
        return join(parse(url), node.attributes.get("href") or "").url if node is not None else url
    except Refused:
        return url


def _absolute(found: Iterable[tuple[str, str, int]], base: str) -> tuple[PageLink, ...]:
    """Links that may be opened, each address once."""
    try:
        start = parse(base)
    except Refused:  # a page of the user's own machine: what it links to is not followed from here
        return ()
    links: dict[str, PageLink] = {}
    for text, address, line in found:
        if address.startswith("#") or len(links) >= _MOST_LINKS:
            continue
        try:
            url = join(start, address).url
        except Refused:
            continue
        links.setdefault(url, PageLink(clean_line(text, 120) or url, url, line))
    links.pop(start.url, None)
    return tuple(links.values())


def _main_content(text: str) -> _Lines:
    import trafilatura

    lines = _Lines()
    found = trafilatura.bare_extraction(
        text, include_links=True, include_formatting=True, with_metadata=False, fast=len(text) > _LONG
    )
    if found is None or isinstance(found, dict):
        return lines
    for part in (found.body, found.commentsbody):
        if part is not None:
            lines.write(part)
    return lines


class _Lines:
    """The lines of a page as they are written from trafilatura's tree. ``_words`` is the one being written."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._words: list[str] = []
        self._open: list[tuple[str, str]] = []  # links of the line being written
        self._links: list[tuple[str, str, int]] = []
        self._gap = False
        self._held = 0  # how many elements are open that keep all they hold on one line
        self._depth = 0  # of lists
        self._start = ""

    def finish(self, base: str) -> tuple[str, tuple[PageLink, ...]]:
        self._end_line()
        return "".join(f"{line}\n" for line in self._lines), _absolute(self._links, base)

    def write(self, root: Any) -> None:
        for element, entering in _walk(root):
            if isinstance(element, str):
                self._words.append(element)
            elif element.tag == "code" and "\n" in "".join(element.itertext()).strip("\n"):
                self._write_code("".join(element.itertext()))
            elif entering:
                self._enter(element)
            else:
                self._leave(element)
        self._end_line()

    def _enter(self, element: Any) -> None:
        tag = element.tag
        if tag == "cell":
            self._words.append(" | " if "".join(self._words).strip() else "")
        elif tag in _BLOCKS and self._held:
            self._words.append(" ")
        elif tag in _BLOCKS and not (tag == "code" and self._words):
            self._end_line()
            self._gap |= tag in _SPACED and not self._depth
            if tag == "head":
                self._start = "#" * _level(element) + " "
            elif tag == "list":
                self._depth += 1
            elif tag == "item":
                self._start = "  " * max(0, self._depth - 1) + "- "
        self._held += tag in ("row", "head")

    def _leave(self, element: Any) -> None:
        tag = element.tag
        self._held -= tag in ("row", "head")
        if tag == "ref" and element.get("target"):
            self._open.append((" ".join("".join(element.itertext()).split()), element.get("target")))
        if self._held or tag not in _BLOCKS or tag == "code":
            return
        self._end_line()
        if tag == "list":
            self._depth = max(0, self._depth - 1)
        if tag in ("item", "head"):
            self._start = ""
        self._gap |= tag in _SPACED and not self._depth

    def _write_code(self, text: str) -> None:
        self._end_line()
        self._gap = True
        for line in text.strip("\n").split("\n"):
            self._put(line.rstrip())
        self._gap = True

    def _end_line(self) -> None:
        line = " ".join("".join(self._words).split())
        self._words = []
        if line:
            self._put(self._start + line)
            self._start = " " * len(self._start) if self._start.endswith("- ") else ""
            self._links += [(text, target, len(self._lines)) for text, target in self._open]
            self._open = []

    def _put(self, line: str) -> None:
        if self._gap and self._lines:
            self._lines.append("")
        self._gap = False
        self._lines.append(clean(line))


def _level(element: Any) -> int:
    rank = (element.get("rend") or "h2")[1:]
    return min(6, max(1, int(rank))) if rank.isdigit() else 2


def _walk(root: Any) -> Iterator[tuple[Any, bool]]:
    """Every piece of text, and every element on the way in and out; of a block of code only the way in."""
    stack: list[tuple[Any, bool]] = [(root, True)]
    while stack:
        node, entering = stack.pop()
        if not isinstance(node, str) and not isinstance(node.tag, str):
            continue  # a comment
        yield node, entering
        if isinstance(node, str) or not entering:
            continue
        if node.tag == "code" and "\n" in "".join(node.itertext()).strip("\n"):
            continue
        stack.append((node, False))
        for child in reversed(node):
            if child.tail:
                stack.append((child.tail, True))
            stack.append((child, True))
        if node.text:
            stack.append((node.text, True))
