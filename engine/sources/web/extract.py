"""Fetched bytes to a page that can be read, cited and followed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from engine.clean import clean_line
from engine.sources.base import PageLink
from engine.sources.library.extract.base import NotTextError, Unreadable
from engine.sources.web.charset import decode_page
from engine.sources.web.html import read_html
from engine.sources.web.urls import mentioned

_MOST = 2_000_000
"""Characters of a page that are kept."""

_MARKUP = re.compile(
    r"(?:\s|(?><!--.*?-->))*+<(?:!doctype\s+html|html|head|body|\?xml[^>]*>\s*<(?:!doctype|html))", re.I | re.S
)


@dataclass(frozen=True)
class WebPage:
    """A page as it is kept. Line numbers everywhere are 1-based lines of ``text``."""

    title: str
    text: str
    links: tuple[PageLink, ...] = ()


def extract(body: bytes, url: str, kind: str, charset: str) -> WebPage:
    """The page in a response from ``url``, by its media type ``kind``, or by its bytes where that says little.

    Raises NotTextError where there is nothing to read, with the reason in words.
    """
    if b"%PDF-" in body[:1024]:
        page = _read_pdf(body, url)
    elif kind == "application/pdf":
        raise NotTextError("it is called a PDF and is none")
    else:
        text = decode_page(body, charset)
        if kind in ("text/html", "application/xhtml+xml") or (kind != "text/plain" and _MARKUP.match(text[:4096])):
            page = WebPage(*read_html(text, url))
        else:
            page = WebPage(_name(url), text, _links(text))
    if not page.text.strip():
        raise NotTextError("it holds no text; it may be made by scripts, which are not run")
    return _cut(page)


def _read_pdf(body: bytes, url: str) -> WebPage:
    """A PDF's text, as the library reads it, each of its pages under a line that numbers it."""
    from engine.sources.library.extract.pdf import extract_pdf

    try:
        found = extract_pdf(body)
    except Unreadable as error:
        raise NotTextError(f"it is a PDF that cannot be read: {error}") from error
    if not found.text.strip():
        raise NotTextError("it is a PDF with no text in it")
    ends = (*found.pages[1:], len(found.text))
    pages = (found.text[start:end].strip("\n") for start, end in zip(found.pages, ends, strict=True))
    text = "\n\n".join(f"[page {number}]\n{page}" for number, page in enumerate(pages, start=1)) + "\n"
    return WebPage(found.title or _name(url), text, _links(text))


def _links(text: str) -> tuple[PageLink, ...]:
    """The addresses written out in a plain text."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for url in mentioned(line) if "://" in line else ():
            lines.setdefault(url, number)
        if len(lines) >= 500:
            break
    return tuple(PageLink(url, url, number) for url, number in lines.items())


def _name(url: str) -> str:
    """What a page without a title is called: the last part of its address."""
    parts = urlsplit(url)
    return clean_line(unquote(parts.path.rstrip("/").rpartition("/")[2])) or parts.netloc


def _cut(page: WebPage) -> WebPage:
    if len(page.text) <= _MOST:
        return page
    kept = page.text[:_MOST].rpartition("\n")[0] or page.text[:_MOST]
    last = kept.count("\n") + 1
    rest = f"\n… (the page goes on; {len(page.text) - len(kept):,} characters were left out)\n"
    return WebPage(page.title, kept + rest, tuple(link for link in page.links if link.line <= last))
