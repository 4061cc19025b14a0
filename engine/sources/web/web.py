"""The live web as a source: searched through one engine, read page by page, asked about first where the user wants that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.clean import clean_line
from engine.errors import NotFound, Refused, SourceError
from engine.protocol import Hit, WebMode
from engine.sources.base import Document
from engine.sources.web.body import Limits
from engine.sources.web.fetch import Fetcher
from engine.sources.web.reader import Reader
from engine.sources.web.search import SearchProvider
from engine.sources.web.store import Kept, PageStore
from engine.sources.web.urls import Target, mentioned, parse
from engine.sources.web.watch import Cancelled, Watch, never

_DAY = 86_400.0
_LONGEST_QUERY = 400
_OFF = "Use what was read before. The user can turn the web on."


@dataclass(frozen=True)
class Wish:
    """What is about to be sent, for the user to allow: a ``query``, or the first request to a ``host``.

    ``text`` is all of it, the query or the address; ``host`` is who gets it.
    """

    what: Literal["query", "host"]
    text: str
    host: str


Approve = Callable[[Wish], bool]
"""Whether the user allows it. Blocks until they have said so, or until the run is stopped: then it is a no."""


def deny(wish: Wish) -> bool:  # noqa: ARG001 - whatever it is
    """Nobody is there to ask."""
    return False


class Web:
    """Implements :class:`engine.sources.base.Source`. Safe to use from several threads.

    Only addresses that came from somewhere are opened: a result, a link or address on a page that was read, or the
    user (:meth:`trust`). What the model makes up is refused. ``mode`` may be changed at any time and holds from the
    next request on. A page is read once and then told from ``store`` for ``fresh`` seconds, and in mode ``off`` for
    ever. ``cancelled`` calls off whatever is under way.
    """

    name = "web"

    def __init__(
        self,
        provider: SearchProvider,
        fetcher: Fetcher,
        store: PageStore,
        *,
        mode: WebMode = "off",
        approve: Approve = deny,
        cancelled: Cancelled = never,
        reader: Reader | None = None,
        fresh: float = _DAY,
    ) -> None:
        self.mode: WebMode = mode
        self._provider = provider
        self._fetcher = fetcher
        self._store = store
        self._approve = approve
        self._cancelled = cancelled
        self._reader = reader or Reader()
        self._fresh = fresh
        self._lock = threading.Lock()
        self._asking = threading.RLock()
        self._known: set[str] = set()
        self._hosts: set[str] = set()
        self._found: dict[tuple[str, int], tuple[Hit, ...]] = {}

    def trust(self, text: str) -> tuple[str, ...]:
        """Let the addresses in what the user wrote be opened. Those addresses, in their one spelling."""
        found = mentioned(text)
        self.know(found)
        return found

    def know(self, urls: Iterable[str]) -> None:
        """Let these addresses be opened: they were met before, in their one spelling."""
        with self._lock:
            self._known.update(urls)

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """What the search engine finds, best first. A hit's text is the engine's own snippet; it has no lines yet.

        Raises Refused where the user does not want the query sent, SourceError where there are no results to be had.
        A query that was answered is not sent again.
        """
        self._must_be_on()
        query = clean_line(query, _LONGEST_QUERY)  # what the user is shown is all that is sent
        asked = query.casefold(), limit
        with self._lock:
            if asked in self._found:
                return self._found[asked]
        self._ask(Wish("query", query, self._provider.host))
        results = self._provider.search(query, limit, cancelled=self._cancelled)
        hits: dict[str, Hit] = {}
        for found in results:
            try:
                url = parse(found.url).url
            except Refused:  # an engine has no business naming places inside
                continue
            rank = len(hits) + 1
            title = clean_line(found.title, 200) or url
            hits.setdefault(url, Hit(url, title, "", 0, 0, clean_line(found.snippet, 1000), 1 / rank, rank))
        self.know(hits)
        with self._lock:
            self._found[asked] = tuple(hits.values())[:limit]
            return self._found[asked]

    def open(self, uri: str) -> Document:
        """A page. Raises Refused where it may not be opened, also for one not kept in mode ``off``, SourceError where it cannot be."""
        url = parse(uri).url
        kept = self._store.get(url)
        with self._lock:
            known = url in self._known
        if kept is not None and (self.mode == "off" or (known and time.time() - kept.fetched < self._fresh)):
            return self._document(kept)
        self._must_be_on()
        if not known:
            raise Refused(
                f"{clean_line(url, 200)} is not opened: it is in no result, on no page that was read, and not from the user",
                "Search, and open what is found.",
            )
        return self._document(self._read(url))

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:  # noqa: ARG002 - as sources do
        """Nothing: search engines do not tell."""
        return ()

    def close(self) -> None:
        """End the helper process and let go of the store. The next use starts them again."""
        self._reader.close()
        self._store.close()

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────

    def _read(self, url: str) -> Kept:
        fetched = self._fetcher.get(url, purpose="page", permit=self._permit, cancelled=self._cancelled)
        limits = Limits()
        try:
            page = self._reader.read(fetched, Watch(limits.seconds, limits.idle, limits.connect, self._cancelled))
        except SourceError as error:
            raise SourceError(f"{clean_line(fetched.url, 160)} could not be read: {error}", error.hint) from error
        kept = Kept(url, fetched.url, fetched.fetched, page.title, page.text, page.links)
        self._store.put(kept)
        return kept

    def _document(self, kept: Kept) -> Document:
        self.know(link.url for link in kept.links)
        self.know((kept.url, kept.came_from))
        return Document(kept.url, kept.came_from, kept.title, kept.text, kept.links)

    def _must_be_on(self) -> None:
        if self.mode == "off":
            raise Refused("the web is off", _OFF)

    def _permit(self, target: Target) -> None:
        """Asks about a host the first time a page of it is wanted, also where another page leads there."""
        self._must_be_on()
        with self._asking:
            if target.host not in self._hosts:
                self._ask(Wish("host", target.url, target.host))
                self._hosts.add(target.host)  # while nobody else asks: two calls to one host are one question

    def _ask(self, wish: Wish) -> None:
        with self._asking:
            if self.mode != "ask" or self._approve(wish):
                return
            refused = "this query to be sent" if wish.what == "query" else f"{wish.host} to be asked"
            raise Refused(f"the user did not allow {refused}", "Go on without it.")


class Archive:
    """The pages that were read, as they were at one time: what a session is told again from. Never sends anything.

    Implements :class:`engine.sources.base.Source`. ``at`` is Unix time, None for the newest.
    """

    name = "web"

    def __init__(self, store: PageStore, at: float | None = None) -> None:
        self._store = store
        self._at = at

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:  # noqa: ARG002 - whatever is wanted
        """Raises NotFound."""
        raise NotFound("pages that were kept are not searched", _OFF)

    def open(self, uri: str) -> Document:
        """The page as it had last been read at that time. Raises NotFound, Refused or SourceError."""
        url = parse(uri).url
        kept = self._store.get(url, self._at)
        if kept is None:
            raise NotFound(f"{clean_line(url, 200)} was not kept", _OFF)
        return Document(kept.url, kept.came_from, kept.title, kept.text, kept.links)

    def similarity(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:  # noqa: ARG002 - as sources do
        """Nothing, as with the live web."""
        return ()
