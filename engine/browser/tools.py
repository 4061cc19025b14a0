"""The three tools: search, open, find. Each returns an observation, also when something went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.browser import render
from engine.browser.find import find
from engine.browser.pages import Page, PagePool, Seen
from engine.clean import clean_line
from engine.errors import DeepSearchError, NotFound
from engine.protocol import Hit, Link, Observation
from engine.sources.base import Source

_ABOVE = 2
"""Lines of context above the place a link leads to."""

_BELOW = 3
"""Lines shown around each match of a find."""


class Browser:
    """Searches and reads ``source``, keeping what was seen in ``pool``. Safe to use from several threads.

    ``count`` gives the tokens of a text; a view of a page is at most ``viewport_tokens`` long. A call never raises for
    what the model got wrong: the observation says what was wrong and what there is instead.
    """

    def __init__(
        self, source: Source, pool: PagePool, *, count: render.Count, viewport_tokens: int = 400, results: int = 5
    ) -> None:
        self.pool = pool
        self._source = source
        self._count = count
        self._tokens = viewport_tokens
        self._results = results

    def search(self, call: str, query: str) -> Observation:
        """Pages of the source that fit a query, each with a link number."""
        return self._guarded(call, "search", f'search("{query}")', lambda: self._search(query))

    def open(self, call: str, id: int | None = None, cursor: int | None = None, line: int | None = None) -> Observation:
        """A link of the newest list (or of page ``cursor``), or without ``id`` a page seen before, from ``line`` on.

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

    def openable(self) -> tuple[tuple[int, Link], ...]:
        """Cursor and link of what the newest list offers and was not shown yet."""
        page = self.pool.latest(links=True)
        if page is None:
            return ()
        shown = [(self.pool.get(seen.cursor).uri, seen) for seen in self.pool.seen()]
        return tuple(
            (page.cursor, link)
            for link in page.links
            if not any(uri == link.uri and seen.first <= max(1, link.first) <= seen.last for uri, seen in shown)
        )

    # ── what the calls do ────────────────────────────────────────────────────────────────────────

    def _search(self, query: str) -> Observation:
        if not query.strip():
            raise NotFound("the query is empty; name a few words")
        hits = _merged(self._source.search(query, self._results))
        body, links = render.results(hits, [self._path(hit) for hit in hits], self._tokens, self._count)
        page = self.pool.add(Page("results", query, "", "", body, links))
        header = render.results_header(page.cursor, query, len(hits), self._source.name)
        return self._observation("search", header, body, page)

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
            document = self._source.open(link.uri)
            page = Page("document", document.title, document.uri, document.path, document.text)
            start = line if line is not None else max(1, link.first - _ABOVE)
        if not 1 <= start <= len(page.lines):
            raise NotFound(f"there is no line {start}; {page.path} has lines 1-{len(page.lines)}")
        view = render.viewport(page.lines, start, self._tokens, self._count)
        page = self.pool.add(page)
        self.pool.show(Seen(page.cursor, view.first, view.last))
        header = render.document_header(page.cursor, page.path, page.title, view, len(page.lines))
        return replace(
            self._observation("open", header, view.text, page),
            first=view.first,
            last=view.last,
            total_lines=len(page.lines),
        )

    def _again(self, page: Page) -> Observation:
        """A list of links, shown once more: it may have been masked."""
        page = self.pool.add(page)
        header = f"[{page.cursor}] open list of {len(page.links)} links for {page.title!r}"
        return self._observation("open", header, page.text, page)

    def _find(self, pattern: str, cursor: int | None) -> Observation:
        if not pattern.strip():
            raise NotFound("the pattern is empty; name the words to look for")
        on = self.pool.get(cursor) if cursor is not None else self.pool.latest("document")
        if on is None:
            raise NotFound("no document was opened yet; open a link of a search")
        places = find(on.text, pattern)
        body, links, shown = self._matches(on, places)
        page = self.pool.add(Page("find", pattern, on.uri, on.path, body, links))
        for first, last in shown:
            if on.kind == "document":
                self.pool.show(Seen(on.cursor, first, last))
        header = render.find_header(page.cursor, pattern, on.path or on.title, len(places))
        return self._observation("find", header, body, page)

    def _matches(
        self, on: Page, places: tuple[tuple[int, int], ...]
    ) -> tuple[str, tuple[Link, ...], list[tuple[int, int]]]:
        """The matches with lines around them, as far as the viewport goes; links lead to each match shown."""
        blocks: list[str] = []
        links: list[Link] = []
        shown: list[tuple[int, int]] = []
        left = self._tokens
        for first, last in places:
            if shown and first <= shown[-1][1]:
                continue  # stands in what is shown of the match before
            start, end = max(1, first - _BELOW), min(len(on.lines), last + _BELOW)
            start = max(start, shown[-1][1] + 1) if shown else start
            lines = [f"L{number}: {on.lines[number - 1]}" for number in range(start, end + 1)]
            block = "\n".join([f"({len(links)}) match at L{first}", *lines])
            size = self._count(block)
            if size > left and shown:
                blocks.append(f"{len(places) - len(links)} more: look for more words to narrow it down")
                break
            if size > left:
                block = render.viewport(on.lines, first, left, self._count).text
                start = end = first
            blocks.append(block)
            links.append(Link(len(links), f"match at L{first}", on.uri, first, last))
            shown.append((start, end))
            left -= size
        return "\n\n".join(blocks), tuple(links), shown

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────

    def _link(self, id: int, cursor: int | None) -> Link:
        page = self.pool.get(cursor) if cursor is not None else self.pool.latest(links=True)
        if page is None:
            raise NotFound("there are no links yet; search first")
        link = next((link for link in page.links if link.id == id), None)
        if link is None:
            there = f"it has (0) to ({len(page.links) - 1})" if page.links else "it has none"
            raise NotFound(f"no link ({id}) on page [{page.cursor}]; {there}")
        return link

    def _below(self, page: Page) -> int:
        """The line after the last one shown of this document; its first where all was shown."""
        ends = [seen.last for seen in self.pool.seen() if self.pool.get(seen.cursor).uri == page.uri]
        return ends[-1] + 1 if ends and ends[-1] < len(page.lines) else 1

    def _path(self, hit: Hit) -> str:
        return self._source.open(hit.uri).path

    def _observation(self, tool: str, header: str, body: str, page: Page) -> Observation:
        return Observation(
            number=0,
            call="",
            tool=tool,
            header=header,
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
            text = clean_line(f"error: {shown}: {error}.{hint}", 400)
            done = Observation(number=0, call=call, tool=tool, header=text, body="", error=True)
        return replace(
            done, call=call, header_tokens=self._count(done.header + "\n"), body_tokens=self._count_body(done.body)
        )

    def _count_body(self, body: str) -> int:
        return self._count(body + "\n") if body else 0


def _merged(hits: tuple[Hit, ...]) -> list[Hit]:
    """Hits whose lines overlap in one document become one, at the better one's place."""
    merged: list[Hit] = []
    for hit in hits:
        for place, other in enumerate(merged):
            if other.uri == hit.uri and hit.first <= other.last + 1 and other.first <= hit.last + 1:
                merged[place] = replace(other, first=min(other.first, hit.first), last=max(other.last, hit.last))
                break
        else:
            merged.append(hit)
    return merged
