"""Reads fetched bytes in a process of its own: a page that was made to crash or to stall a parser costs that page alone."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from engine.clean import clean, clean_line
from engine.errors import SourceError
from engine.sources.base import PageLink
from engine.sources.library.extract.base import NotTextError
from engine.sources.web.extract import WebPage
from engine.sources.web.fetch import Fetched
from engine.sources.web.watch import TICK, Watch

_MEMORY = 3 << 30
"""Bytes of address space that reading one page may take, where the system can say no."""

_ANSWER = 64_000_000
"""Bytes of the longest answer; a page's text is cut long before."""


class Reader:
    """One helper process, started with the first page and again after a page that broke it. Safe for several threads.

    It has no network, little memory, and ``seconds`` for each page. What it says comes back as JSON, which cannot
    carry more than text.
    """

    def __init__(self, seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._helper: tuple[BaseProcess, Connection] | None = None

    def read(self, fetched: Fetched, watch: Watch) -> WebPage:
        """The page in a response. Raises SourceError where it cannot be read, or when the watch calls it off."""
        while not self._lock.acquire(timeout=TICK):
            watch.check()
        try:
            answer = self._ask(fetched, watch)
            page = None if "error" in answer else _page(answer)
        except BaseException:  # its answer would be taken for that of the next page
            self._stop()
            raise
        finally:
            self._lock.release()
        if page is None:
            raise SourceError(clean_line(str(answer["error"])))
        return page

    def close(self) -> None:
        """End the helper. The next page starts another."""
        with self._lock:
            self._stop()

    def _ask(self, fetched: Fetched, watch: Watch) -> dict[str, Any]:
        told = json.dumps({"url": fetched.url, "kind": fetched.kind, "charset": fetched.charset})
        deadline = Watch(self._seconds, self._seconds, self._seconds, lambda: False)
        try:
            pipe = self._pipe()
            pipe.send_bytes(told.encode())
            pipe.send_bytes(fetched.body)
            while not pipe.poll(TICK):
                watch.check()
                deadline.check()
            answer: dict[str, Any] = json.loads(pipe.recv_bytes(_ANSWER))
        except (EOFError, OSError, ValueError) as error:
            raise SourceError("reading its content failed; it may be made to break readers") from error
        return answer

    def _pipe(self) -> Connection:
        if self._helper is None or not self._helper[0].is_alive():
            self._stop()
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,), name="web-reader", daemon=True)
            process.start()
            theirs.close()
            self._helper = process, ours
        return self._helper[1]

    def _stop(self) -> None:
        if self._helper is not None:
            process, pipe = self._helper
            self._helper = None
            pipe.close()
            process.kill()
            process.join()


def _page(answer: dict[str, Any]) -> WebPage:
    """The page in the helper's answer. A page that took the helper over could say anything, but no more than text."""
    links = tuple(PageLink(clean_line(str(text)), str(url), int(line)) for text, url, line in answer["links"])
    return WebPage(clean_line(str(answer["title"])), clean(str(answer["text"])), links)


def serve(pipe: Connection) -> None:
    """The helper: reads pages until nobody asks any more."""
    from engine.offline import forbid
    from engine.sources.web.extract import extract

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's ^C is for the app, which ends this process itself
    forbid()
    _limit_memory()
    with contextlib.suppress(EOFError, OSError):
        while True:
            told = json.loads(pipe.recv_bytes())
            body = pipe.recv_bytes()
            try:
                page = extract(body, told["url"], told["kind"], told["charset"])
                links = [(link.text, link.url, link.line) for link in page.links]
                answer: dict[str, Any] = {"title": page.title, "text": page.text, "links": links}
            except NotTextError as error:
                answer = {"error": str(error)}
            except Exception as error:  # noqa: BLE001 - whatever a parser stumbles over, the next page is another
                answer = {"error": f"its content is damaged ({type(error).__name__})"}
            pipe.send_bytes(json.dumps(answer).encode())


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(ValueError, OSError):  # a system that does not limit it, or limits it further already
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
