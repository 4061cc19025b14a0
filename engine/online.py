"""The web as its user allows it: the mode, the source behind it, the questions put to the user, the ledger.

An engine has one of these. While the web is off nothing of the web is loaded, and the guard of the process is up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from engine.clean import clean_line
from engine.protocol import (
    ApprovalGiven,
    ApprovalNeeded,
    Event,
    Network,
    NetworkEntry,
    Observation,
    WebMode,
    WebSet,
)
from engine.settings import Settings
from engine.sources.base import is_web

if TYPE_CHECKING:
    from engine.sources.web.fetch import Fetcher, Record
    from engine.sources.web.search import SearchProvider
    from engine.sources.web.store import PageStore
    from engine.sources.web.web import Archive, Web, Wish

Tell = Callable[[Event], None]
Guard = Callable[[WebMode], None]
"""Keeps the process off the network in mode ``off`` and lets it through in the others."""

MakeFetcher = Callable[["Record"], "Fetcher"]


@dataclass(frozen=True)
class _Run:
    """The run that uses the web: where its events are written, and whether it was stopped."""

    record: Tell
    stopped: Callable[[], bool]


class Online:
    """Safe to use from several threads. ``emit`` tells what belongs to no session's journal."""

    def __init__(self, settings: Settings, emit: Tell, guard: Guard, make_fetcher: MakeFetcher | None = None) -> None:
        self.mode = cast(WebMode, settings.web)  # the settings have checked it
        self._settings = settings
        self._emit = emit
        self._guard = guard
        self._make_fetcher = make_fetcher or _fetcher
        self._opening = threading.RLock()
        self._web: Web | None = None
        self._store: PageStore | None = None
        self._run: _Run | None = None
        self._changed = threading.Condition()
        self._asked = 0
        self._answers: dict[str, bool] = {}
        guard(self.mode)

    # ── what the user says ───────────────────────────────────────────────────────────────────────

    def set(self, mode: WebMode) -> None:
        """Change the mode. Raises SettingsError where the web cannot be used as the settings want; it then stays as it was.

        Turned off, what is under way is called off, and what waits for a word is refused.
        """
        with self._opening:
            self._guard(mode)  # first: what searches cannot even be loaded under the guard
            try:
                if mode != "off":
                    self.open()
            except BaseException:
                self._guard(self.mode)
                raise
            self.mode = mode
            if self._web is not None:
                self._web.mode = mode
        self.wake()
        self._emit(WebSet(mode))

    def answer(self, request: str, allowed: bool) -> None:
        """The user's word on an ApprovalNeeded."""
        with self._changed:
            self._answers[request] = allowed
            self._changed.notify_all()

    def wake(self) -> None:
        """Look again at what waits for a word: the run was stopped, or the mode was changed."""
        with self._changed:
            self._changed.notify_all()

    # ── what a run uses ──────────────────────────────────────────────────────────────────────────

    def begin(self, record: Tell, stopped: Callable[[], bool]) -> None:
        """From now on requests and answers are written down with this run, and end when it is stopped."""
        self._run = _Run(record, stopped)

    def end(self) -> None:
        self._run = None

    def open(self) -> Web:
        """The live web, made when it is first wanted. Raises SettingsError where there is no such search engine."""
        from engine.sources.web.web import Web

        with self._opening:
            if self._web is None:
                fetcher = self._make_fetcher(self.record)
                provider = self._provider(fetcher)
                _ = provider.host  # an engine that there is not is told of now, and not in the middle of a run
                self._web = Web(
                    provider, fetcher, self._pages(), mode=self.mode, approve=self._approve, cancelled=self._called_off
                )
            return self._web

    def for_question(self, question: str, seen: Iterable[Observation]) -> Web:
        """The live web, in which what the user wrote may be opened, and what the session has met before."""
        web = self.open()
        web.trust(question)
        uris = [uri for each in seen for uri in (each.uri, *(link.uri for link in each.links))]
        web.know(uri for uri in uris if is_web(uri))
        return web

    def kept(self, at: float | None = None) -> Archive:
        """The pages that were read, as they were at Unix time ``at``. Sends nothing, in any mode."""
        from engine.sources.web.web import Archive

        return Archive(self._pages(), at)

    def close(self) -> None:
        with self._opening:
            if self._web is not None:
                self._web.close()
                self._web = None
            if self._store is not None:
                self._store.close()

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────

    def _provider(self, fetcher: Fetcher) -> SearchProvider:
        from engine.sources.web.search import Ddgs, SearxNG

        if self._settings.searxng:
            return SearxNG(self._settings.searxng, fetcher)
        return Ddgs(self._settings.search_engine, record=self.record)

    def _pages(self) -> PageStore:
        from engine.sources.web.store import PageStore

        with self._opening:
            if self._store is None:
                self._store = PageStore(self._settings.web_pages)
            return self._store

    def _called_off(self) -> bool:
        run = self._run
        return run is None or run.stopped() or self.mode == "off"

    def _approve(self, wish: Wish) -> bool:
        """Ask the user and wait for as long as they like; a run that is stopped is a no."""
        with self._changed:
            self._asked += 1
            request = str(self._asked)
        self._emit(ApprovalNeeded(request, wish.what, wish.text, wish.host))
        with self._changed:
            self._changed.wait_for(lambda: request in self._answers or self._called_off() or self.mode == "on")
            allowed = self._answers.pop(request, self.mode == "on") and not self._called_off()
        self._write(ApprovalGiven(request, wish.what, wish.text, wish.host, allowed))
        return allowed

    def record(self, entry: NetworkEntry) -> None:
        """A line of the ledger. A server has a hand in some of its words."""
        url, host, result = (clean_line(text, 2000) for text in (entry.url, entry.host, entry.result))
        self._write(Network(replace(entry, url=url, host=host, result=result)))

    def _write(self, event: Event) -> None:
        run = self._run
        (run.record if run is not None else self._emit)(event)


def _fetcher(record: Record) -> Fetcher:
    from engine.sources.web.fetch import Fetcher

    return Fetcher(record=record)
