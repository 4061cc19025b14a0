"""Who is asked when the agent searches the web: one search engine that the user has chosen, and nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from engine.clean import clean_line
from engine.errors import Refused, SettingsError, SourceError
from engine.protocol import NetworkEntry
from engine.sources.web.fetch import JSON, Fetcher, Record
from engine.sources.web.pace import Pace
from engine.sources.web.urls import Allowance, own
from engine.sources.web.watch import Cancelled, Watch, never

_LONGEST_REST = 60.0
"""Seconds that a search engine is let be, at most, after it did not answer."""


@dataclass(frozen=True)
class Found:
    """One result as the search engine gave it: nothing in it is trusted or cleaned yet."""

    title: str
    url: str
    snippet: str


class SearchProvider(Protocol):
    """A search engine. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def host(self) -> str:
        """The host that is told the query. Raises SettingsError where there is no such engine."""
        ...

    def search(self, query: str, limit: int, *, cancelled: Cancelled = never) -> tuple[Found, ...]:
        """The best results first. Raises SourceError where there are none to be had, and says what is known of why."""
        ...


class Ddgs:
    """One of the search engines that the ``ddgs`` library knows how to ask, by its name there.

    The library makes the connection itself, so what it records has no address and no size. ``auto`` would send the
    query to several companies, and so would any name that the library does not know: both are refused here.
    """

    def __init__(
        self,
        backend: str = "duckduckgo",
        *,
        record: Record,
        region: str = "us-en",
        interval: float = 1.0,
        seconds: float = 10.0,
    ) -> None:
        self.name = backend
        self._record = record
        self._region = region
        self._seconds = seconds
        self._pace = Pace(interval)
        self._failures = 0

    @property
    def host(self) -> str:
        return urlsplit(self._address()).hostname or ""

    def search(self, query: str, limit: int, *, cancelled: Cancelled = never) -> tuple[Found, ...]:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException, TimeoutException

        from engine.sources.web.wire import in_time

        address = self._address()
        watch = Watch(2 * self._seconds, self._seconds, self._seconds, cancelled)
        watch.sleep(self._pace.turn(self.name), counted=False)
        started = time.monotonic()
        entry = NetworkEntry(  # the address says what was sent, also where the engine wants it in another place
            time.time(),
            "search",
            self._engine().search_method,
            f"{address}?{urlencode({'q': query})}",
            self.host,
            bytes=-1,
        )
        client = DDGS(timeout=max(1, round(self._seconds)))
        try:
            results: list[Mapping[str, Any]] = in_time(
                watch,
                lambda: client.text(query, backend=self.name, region=self._region, max_results=max(1, limit)),
            )
        except (TimeoutException, SourceError) as error:
            entry = replace(entry, result="no answer in time" if isinstance(error, TimeoutException) else str(error))
            raise self._failed(f"{self.host} could not be asked: {entry.result}") from error
        except DDGSException as error:
            entry = replace(entry, result="no results, or blocked")
            raise self._failed(
                f"{self.host} gave no results for {clean_line(query, 100)!r}, or would not answer: it does not say which"
            ) from error
        else:
            self._failures = 0
            entry = replace(entry, status=200, result=f"{len(results)} results")
        finally:
            self._record(replace(entry, seconds=time.monotonic() - started))
        return tuple(Found(_text(each, "title"), _text(each, "href"), _text(each, "body")) for each in results)

    def _failed(self, message: str) -> SourceError:
        """What is told of a search without results; the next one waits longer each time."""
        self._failures += 1
        self._pace.rest(self.name, min(_LONGEST_REST, 2.0**self._failures))
        return SourceError(message, "Try other words, or what was found before.")

    def _engine(self) -> Any:
        """The library's own class for this engine. Raises SettingsError where it has none, and lists those it has."""
        from ddgs.engines import ENGINES

        known: Mapping[str, Any] = ENGINES["text"]
        if self.name not in known:
            raise SettingsError(
                f"there is no search engine {clean_line(self.name, 60)!r}", f"There are: {', '.join(sorted(known))}."
            )
        return known[self.name]

    def _address(self) -> str:
        """Where the engine is asked, without the query."""
        language = self._region.partition("-")[2] or "en"
        return str(self._engine().search_url).partition("?")[0].replace("{lang}", language)


class SearxNG:
    """A SearXNG that the user has named: their own, in a private network or on this machine, or a public one.

    That one endpoint may be reached wherever it is. It must allow the JSON format. Raises SettingsError for an address
    that is none.
    """

    def __init__(self, url: str, fetcher: Fetcher) -> None:
        try:
            target = own(url)
        except Refused as error:
            raise SettingsError(f"{clean_line(url, 160)} cannot be the address of a SearXNG: {error}") from error
        self.host = target.host
        self.name = f"SearXNG at {target.authority}"
        path = target.path.partition("?")[0].rstrip("/").removesuffix("/search")
        self._base = f"{target.scheme}://{target.authority}{path}/search"
        self._allow = Allowance(frozenset({target.endpoint}))
        self._fetcher = fetcher

    def search(self, query: str, limit: int, *, cancelled: Cancelled = never) -> tuple[Found, ...]:
        url = f"{self._base}?{urlencode({'q': query, 'format': 'json'})}"
        try:
            fetched = self._fetcher.get(url, purpose="search", accept=JSON, allow=self._allow, cancelled=cancelled)
        except Refused:
            raise
        except SourceError as error:
            raise SourceError(
                f"{self.name} could not be asked: {error}",
                "It must list json under search.formats in its settings.yml.",
            ) from error
        try:
            answer = json.loads(fetched.body)
            results = [each for each in answer["results"] if isinstance(each, dict)]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SourceError(f"{self.name} answered something else than results") from error
        silent = answer.get("unresponsive_engines")
        if not results and silent:
            raise SourceError(
                f"{self.name} has no results, and some of its engines did not answer: {clean_line(str(silent), 200)}"
            )
        return tuple(
            Found(_text(each, "title"), _text(each, "url"), _text(each, "content")) for each in results[:limit]
        )


def _text(result: Mapping[str, Any], key: str) -> str:
    value = result.get(key)
    return value if isinstance(value, str) else ""
