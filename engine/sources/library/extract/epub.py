"""E-books: the chapters in reading order, each under its own headings or its name in the table of contents."""

from __future__ import annotations

from engine.sources.library.extract.base import Extracted, NotTextError, Unreadable
from engine.sources.library.extract.decode import decode
from engine.sources.library.extract.html import read_html
from engine.sources.library.extract.package import Package, resolve
from engine.sources.library.extract.write import Writer

_CONTAINER = "META-INF/container.xml"
_RIGHTS = "META-INF/encryption.xml"
_PAGES = frozenset(("application/xhtml+xml", "text/html", "text/x-oeb1-document"))


def extract_epub(data: bytes) -> Extracted:
    """The text of a book. Pictures are left out. Raises Unreadable for a copy-protected one."""
    package = Package(data, "EPUB book")
    main = next(
        (each.attributes.get("full-path", "") for each in package.events(_CONTAINER) if each.name == "rootfile"), ""
    )
    if main not in package:
        raise Unreadable("It is a zip archive, but no EPUB book.", "Check what it is and give it the name that fits.")
    title, order, contents = _plan(package, main)
    locked = _locked(package)
    names = _contents(package, contents)
    writer = Writer()
    for name in order:
        if name in locked:
            raise Unreadable("It is copy-protected (DRM).", "Only the program of its seller can open it.")
        if name not in package:
            writer.note(f"A chapter is missing from the book: {name}.")
            continue
        try:
            _, text, headings = read_html(decode(package.read(name)))
        except NotTextError as error:
            writer.note(f"A chapter could not be read, {name}: {error}.")
            continue
        if not headings and text.strip():
            writer.heading(1, names.get(name, ""), shown=False)
        writer.gap()
        writer.part(text, headings)
    return writer.finish(title)


def _plan(package: Package, main: str) -> tuple[str, list[str], str]:
    """The title of the book, its chapters in order, and its table of contents."""
    members: dict[str, str] = {}
    order: list[str] = []
    title, contents, navigation = "", "", ""
    in_title = False
    for what, name, attributes in package.events(main):
        if what == "text":
            title += name if in_title else ""
        elif name == "title":
            in_title = what == "start" and not title
        elif what == "start" and name == "item":
            member = resolve(main, attributes.get("href", ""))
            kind = attributes.get("media-type", "")
            if kind in _PAGES:
                members[attributes.get("id", "")] = member
            if "nav" in attributes.get("properties", "").split():
                navigation = member
            elif kind == "application/x-dtbncx+xml":
                contents = member
        elif what == "start" and name == "itemref" and (each := members.get(attributes.get("idref", ""))):
            order.append(each)
    return title, list(dict.fromkeys(order)), contents or navigation


def _contents(package: Package, name: str) -> dict[str, str]:
    """What the table of contents calls each file, by the first entry that leads there."""
    names: dict[str, str] = {}
    if not name.endswith(".ncx"):
        from selectolax.lexbor import LexborHTMLParser

        markup = decode(package.read(name)) if name in package else ""
        for link in LexborHTMLParser(markup).css("nav a[href]"):
            names.setdefault(resolve(name, link.attributes.get("href") or ""), link.text().strip())
        return names
    words, in_text = "", False
    for what, tag, attributes in package.events(name):
        if what == "text":
            words += tag if in_text else ""
        elif tag == "text":
            in_text = what == "start"
            words = "" if in_text else words
        elif tag == "content" and what == "start":
            names.setdefault(resolve(name, attributes.get("src", "")), words.strip())
    return names


def _locked(package: Package) -> set[str]:
    """The files that only a key opens. Fonts may be scrambled in any book; nobody reads them here."""
    return {
        resolve("", event.attributes.get("URI", ""))
        for event in package.events(_RIGHTS)
        if event.what == "start" and event.name == "CipherReference"
    }
