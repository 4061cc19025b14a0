"""The three tools: search, open, find. Each returns an observation, also when something went wrong.

Pages of the library and of the web go through the same three, into the same pool, under the same numbers. Whatever is
from the web is marked so in its header, in the one place where observations are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

from engine.browser import render
from engine.browser.find import column as column_of
from engine.browser.find import find
from engine.browser.pages import Page, PagePool, Seen
from engine.clean import clean_line
from engine.errors import DeepSearchError, NotFound
from engine.protocol import Hit, Link, Observation
from engine.sources.base import Document, PageLink, Source, is_web

SOURCES = ("library", "web", "both")
"""Where a search may look, once there is a web to look in."""

_ABOVE = 2
"""Lines of context above the place a link leads to."""

_BELOW = 3
"""Lines shown around each match of a find."""


class Browser:
    """Searches and reads ``source``, keeping what was seen in ``pool``. Safe to use from several threads.

    ``web`` is a second source, for what is found and linked there; without ``search_web`` its pages are only opened.
    ``count`` gives the tokens of a text; a view of a page is at most ``viewport_tokens`` long. A call never raises for
    what the model got wrong: the observation says what was wrong and what there is instead.
    """

    def __init__(
        self,
        source: Source,
        pool: PagePool,
        *,
        count: render.Count,
        viewport_tokens: int = 400,
        results: int = 5,
        web: Source | None = None,
        search_web: bool = True,
    ) -> None:
        self.pool = pool
        self.named: tuple[Link, ...] = ()
        self.sources = SOURCES if web is not None and search_web else ()
        self._source = source
        self._web = web
        self._failed: set[str] = set()  # what could not be opened, and is not offered again
        self._count = count
        self._tokens = viewport_tokens
        self._results = results

    def search(self, call: str, query: str, source: str | None = None) -> Observation:
        """Pages that fit a query, each with a link number. ``source``: one of ``SOURCES``; None: wherever one may look."""
        return self._guarded(call, "search", f'search("{query}")', lambda: self._search(query, source or "both"))

    def open(self, call: str, id: int | None = None, cursor: int | None = None, line: int | None = None) -> Observation:
        """A link of the newest list or of a page read since (or of page ``cursor``), or without ``id`` a page seen
        before, from ``line`` on.

        Without ``line`` a page seen before goes on below what was shown of it last.
        """
        shown = ", ".join(f"{n}={v}" for n, v in (("id", id), ("cursor", cursor), ("line", line)) if v is not None)
        return self._guarded(call, "open", f"open({shown})", lambda: self._open(id, cursor, line))

    def find(self, call: str, pattern: str, cursor: int | None = None) -> Observation:
        """Where words stand on a document, the newest one unless ``cursor`` names a page."""
        return self._guarded(call, "find", f'find("{pattern}")', lambda: self._find(pattern, cursor))

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """How near each text is to the query in meaning, as the source sees it; empty where it cannot tell."""
        return self._source.similarity(query, texts)

    def offer(self, addresses: Sequence[str]) -> None:
        """Let these be opened by number as if a search had found them: the user has named them."""
        self.named = tuple(Link(id, address, address) for id, address in enumerate(addresses))
        if self.named:
            self.pool.add(Page("results", "addresses in the question", "", "", "\n".join(addresses), self.named))

    def openable(self, *, follow: bool = True) -> tuple[tuple[int, Link], ...]:
        """Cursor and link of what the newest list offers and, where links may be followed, the pages read since, and
        was not opened yet.
        """
        shown = [(self.pool.get(seen.cursor), seen) for seen in self.pool.seen() if seen.opened]
        return tuple(
            (page.cursor, link)
            for page in self.pool.offering()
            for link in page.links
            if (follow or page.kind != "document")
            and link.uri not in self._failed
            and not any(read.uri == link.uri and seen.first <= _target(read, link) <= seen.last for read, seen in shown)
        )

    # ── what the calls do ────────────────────────────────────────────────────────────────────────

    def _search(self, query: str, where: str) -> Observation:
        if not query.strip():
            raise NotFound("the query is empty; name a few words")
        hits, names, trouble = self._hits(query, where)
        body, links = render.results(hits, [hit.path or hit.uri for hit in hits], self._tokens, self._count)
        page = self.pool.add(Page("results", clean_line(query), "", "", body, links))
        header = render.results_header(page.cursor, query, len(hits), names, trouble)
        return self._observation("search", header, body, page)

    def _hits(self, query: str, where: str) -> tuple[list[Hit], str, str]:
        """The best hits, in which sources, and what went wrong in one of them. In turns, the library's best first."""
        if self._web is None or not self.sources or where == "library":
            return _merged(self._source.search(query, self._results)), self._source.name, ""
        if where == "web":
            return list(self._web.search(query, self._results)), "the web", ""
        if where != "both":
            raise NotFound(f"there is no source {clean_line(where, 40)}; there are {', '.join(SOURCES)}")
        found: list[list[Hit]] = []
        failed: list[DeepSearchError] = []
        for source in (self._source, self._web):
            try:
                found.append(_merged(source.search(query, self._results)))
            except DeepSearchError as error:
                failed.append(error)
        if not found:
            raise failed[0]
        in_turns = [hit for hit in chain.from_iterable(zip_longest(*found)) if hit is not None]
        return in_turns[: self._results], f"{self._source.name} and the web", str(failed[0]) if failed else ""

    def _open(self, id: int | None, cursor: int | None, line: int | None) -> Observation:
        if id is None:
            page = self.pool.get(cursor) if cursor is not None else self.pool.latest("document")
            if page is None:
                raise NotFound("no document was opened yet; open a link of a search")
            if page.kind != "document":
                return self._again(page)
            start = line if line is not None else self._below(page)
        else:
            link = self._link(id, cursor)
            document = self._read(link.uri)
            page = Page("document", document.title, document.uri, document.path, document.text, leads=document.links)
            start = line if line is not None else self._landing(page, link)
        if not 1 <= start <= len(page.lines):
            raise NotFound(f"there is no line {start}; {clean_line(page.path, 160)} has lines 1-{len(page.lines)}")
        view = render.viewport(page.lines, start, self._tokens - self._for_links(page), self._count)
        links, body = self._leads(page, view)
        page = self.pool.add(replace(page, links=links))
        self.pool.show(Seen(page.cursor, view.first, view.last))
        header = render.document_header(page.cursor, page.path, page.title, view, len(page.lines))
        return replace(
            self._observation("open", header, body, page),
            first=view.first,
            last=view.last,
            total_lines=len(page.lines),
        )

    def _read(self, uri: str) -> Document:
        try:
            return (self._web if is_web(uri) and self._web is not None else self._source).open(uri)
        except DeepSearchError:
            self._failed.add(uri)
            raise

    def _for_links(self, page: Page) -> int:
        """Tokens of a view that are kept for the links in it."""
        return self._tokens // 4 if page.leads else 0

    def _leads(self, page: Page, view: render.Viewport) -> tuple[tuple[Link, ...], str]:
        """The links that stand on the lines shown, and the lines with the links below them."""
        begin = 1 + max((link.id for each in self.pool.offering() for link in each.links), default=-1)
        there = [lead for lead in page.leads if _is_on(lead, view)]
        text, links = render.leads(there, begin, self._for_links(page), self._count)
        return links, f"{view.text}\n{text}" if links else view.text

    def _again(self, page: Page) -> Observation:
        """A list of links, shown once more: it may have been masked."""
        page = self.pool.add(page)
        return self._observation("open", render.list_header(page.cursor, page.title, len(page.links)), page.text, page)

    def _find(self, pattern: str, cursor: int | None) -> Observation:
        if not pattern.strip():
            raise NotFound("the pattern is empty; name the words to look for")
        on = self.pool.get(cursor) if cursor is not None else self.pool.latest("document")
        if on is None:
            raise NotFound("no document was opened yet; open a link of a search")
        body, found, links = self._matches(on, pattern)
        page = self.pool.add(Page("find", clean_line(pattern), on.uri, on.path, body, links))
        header = render.find_header(page.cursor, pattern, on.path or on.title, found)
        return self._observation("find", header, body, page)

    def _matches(self, on: Page, pattern: str) -> tuple[str, int, tuple[Link, ...]]:
        """The matches with lines around them, as far as the viewport goes, how many there are, and links to those shown.

        In a list nothing is numbered anew: the links that it shows keep the numbers they have.
        """
        places = find(on.text, pattern)
        blocks: list[str] = []
        links: list[Link] = []
        left, shown_to = self._tokens, 0
        for place, (first, last) in enumerate(places):
            if last <= shown_to:
                continue  # stands in what is shown of the match before
            start, end = max(1, shown_to + 1, first - _BELOW), min(len(on.lines), last + _BELOW)
            head = f"match at L{first}"
            if on.kind == "document":
                head = f"({len(links)}) {head}"
            shown = "\n".join(f"L{number}: {on.lines[number - 1]}" for number in range(start, end + 1))
            if self._count(f"{head}\n{shown}") > left:
                if blocks:
                    blocks.append(f"{len(places) - place} more: look for more words to narrow it down")
                    break
                start = end = first
                column = column_of("\n".join(on.lines[first - 1 : last]), pattern)
                shown = render.excerpt(on.lines, first, column, max(8, left - self._count(head)), self._count)
            blocks.append(f"{head}\n{shown}")
            left -= self._count(blocks[-1])
            shown_to = end
            if on.kind == "document":
                links.append(Link(len(links), f"match at L{first}", on.uri, first, last))
                self.pool.show(Seen(on.cursor, start, end, opened=False))
        return "\n\n".join(blocks), len(places), tuple(links)

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────

    def _link(self, id: int, cursor: int | None) -> Link:
        pages = (self.pool.get(cursor),) if cursor is not None else self.pool.offering()
        if not pages:
            raise NotFound("there are no links yet; search first")
        links = [link for page in pages for link in page.links]
        found = next((link for link in links if link.id == id), None)
        if found is None:
            there = f"it has ({links[0].id}) to ({links[-1].id})" if links else "it has none"
            raise NotFound(f"no link ({id}) on page [{pages[0].cursor}]; {there}")
        return found

    def _landing(self, page: Page, link: Link) -> int:
        """The line to show first: a little above the link's, as far as its own first line still comes into view."""
        target = _target(page, link)
        starts = range(max(1, target - _ABOVE), target)
        reaching = (
            start
            for start in starts
            if render.viewport(page.lines, start, self._tokens - self._for_links(page), self._count).last >= target
        )
        return next(reaching, target)

    def _below(self, page: Page) -> int:
        """The line after the last one read of this document; its first where it was read to the end."""
        read = [seen for seen in self.pool.seen() if seen.opened]
        ends = [seen.last for seen in read if self.pool.get(seen.cursor).uri == page.uri]
        return ends[-1] + 1 if ends and ends[-1] < len(page.lines) else 1

    def _observation(self, tool: str, header: str, body: str, page: Page) -> Observation:
        from_web = is_web(page.uri) or any(is_web(link.uri) for link in page.links)
        return Observation(
            number=0,
            call="",
            tool=tool,
            header=render.fenced(header) if from_web else header,
            body=body,
            cursor=page.cursor,
            title=page.title,
            uri=page.uri,
            path=page.path,
            links=page.links,
        )

    def _guarded(self, call: str, tool: str, shown: str, act: Callable[[], Observation]) -> Observation:
        try:
            done = act()
        except DeepSearchError as error:
            hint = f" {error.hint}" if error.hint else ""
            text = clean_line(f"error: {clean_line(shown, 120)}: {error}.{hint}", 400)
            done = Observation(number=0, call=call, tool=tool, header=text, body="", error=True)
        return replace(
            done, call=call, header_tokens=self._count(done.header + "\n"), body_tokens=self._count_body(done.body)
        )

    def _count_body(self, body: str) -> int:
        return self._count(body + "\n") if body else 0


def _target(page: Page, link: Link) -> int:
    """The line that a link leads to; the last one where the document has become shorter since."""
    return min(max(1, link.first), len(page.lines))


def _is_on(lead: PageLink, view: render.Viewport) -> bool:
    """Whether a link stands on lines that are shown; of one whose line is not known, on the first ones."""
    return view.first <= max(1, lead.line) <= view.last


def _merged(hits: tuple[Hit, ...]) -> list[Hit]:
    """Hits that share lines of a document become one, at the best one's place. Neighbours stay apart: one view of the
    page would not hold both, and it would begin with the one that stands first, not with the better one.
    """
    merged: list[Hit] = []
    for hit in hits:
        sharing = [
            other for other in merged if other.uri == hit.uri and hit.first <= other.last and other.first <= hit.last
        ]
        best = sharing[0] if sharing else hit
        lines = [number for each in (hit, *sharing) for number in (each.first, each.last)]
        whole = replace(best, first=min(lines), last=max(lines))
        merged = [whole if other is best else other for other in merged if other is best or other not in sharing]
        if not sharing:
            merged.append(whole)
    return merged
