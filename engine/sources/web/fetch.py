"""The one door to the web: fetches public pages over http and https, and nothing else.

Every hop of every request is checked anew: its spelling, what its name resolves to (all of it), the person's consent.
It then connects to exactly the addresses that were checked. No cookies, no referrer, no credentials, no proxy.
"""

from __future__ import annotations

import email.utils
import http
import ssl
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine import __version__
from engine.clean import clean_line
from engine.errors import Refused, SourceError
from engine.protocol import NetworkEntry
from engine.sources.web.addresses import why_not
from engine.sources.web.body import ENCODINGS, Limits, read_body, too_large
from engine.sources.web.pace import Pace
from engine.sources.web.urls import NOTHING, Allowance, Target, join, parse
from engine.sources.web.watch import Cancelled, Watch, never

if TYPE_CHECKING:
    import httpcore

    from engine.sources.web.wire import Dial, Door

USER_AGENT = f"deepsearch-tui/{__version__} (reads single pages for one person)"

PAGES = frozenset(
    {
        "text/html",
        "application/xhtml+xml",
        "text/plain",
        "text/markdown",
        "text/x-rst",
        "text/csv",
        "text/xml",
        "application/xml",
        "application/json",
        "application/pdf",
        "",
    }
)
"""Kinds of content that can be read as a page. The empty one is a response that does not say; its bytes tell."""

JSON = frozenset({"application/json"})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a name, best first. Raises OSError."""

Record = Callable[[NetworkEntry], None]

Permit = Callable[[Target], None]
"""Called before anything is sent towards a place; raises Refused where the person does not want it."""


@dataclass(frozen=True)
class Fetched:
    """A response that was read whole. ``url`` is where it came from in the end, ``asked`` where the search for it began.

    ``kind`` is the media type as the server says, ``charset`` the encoding, either may be empty. ``fetched``: Unix time.
    """

    asked: str
    url: str
    kind: str
    charset: str
    body: bytes
    fetched: float


@dataclass(frozen=True)
class _Reply:
    """One answer. ``body`` is None where it is not a page. ``wait``: seconds the server asks for, -1 if it does not."""

    status: int
    kind: str = ""
    charset: str = ""
    location: str = ""
    wait: float = -1.0
    body: bytes | None = None


def _forget(entry: NetworkEntry) -> None: ...


def _anywhere(target: Target) -> None: ...


class Fetcher:
    """Fetches one page at a time from each host, ``interval`` seconds apart. Safe to use from several threads.

    ``resolve`` and ``dial`` are the machine's own unless a test brings its own small internet. ``allow`` names places
    that may be reached although they are not public. ``record`` is told of every request once it has ended.
    """

    def __init__(
        self,
        *,
        record: Record = _forget,
        limits: Limits | None = None,
        interval: float = 1.0,
        allow: Allowance = NOTHING,
        resolve: Resolve | None = None,
        dial: Dial | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._record = record
        self._limits = limits or Limits()
        self._pace = Pace(interval)
        self._allow = allow
        self._resolve = resolve
        self._dial = dial
        self._tls = tls

    def get(
        self,
        url: str,
        *,
        purpose: str = "page",
        accept: Collection[str] = PAGES,
        permit: Permit = _anywhere,
        allow: Allowance = NOTHING,
        cancelled: Cancelled = never,
    ) -> Fetched:
        """What stands at an address, redirects followed.

        Raises Refused where a hop leads to a place that may not be reached or that ``permit`` refuses, and SourceError
        for all that goes wrong on the way. ``cancelled`` is asked all the time; it ends the fetch within a fraction of
        a second.
        """
        allow = Allowance(self._allow.endpoints | allow.endpoints)
        limits = self._limits
        watch = Watch(limits.seconds, limits.idle, limits.connect, cancelled)
        first = target = parse(url, allow)
        for _ in range(limits.redirects + 1):
            asked = time.monotonic()
            permit(target)
            watch.excuse(time.monotonic() - asked)  # a person may take as long as they like
            reply = self._ask(target, purpose, accept, allow, watch)
            if reply.body is not None:
                return Fetched(first.url, target.url, reply.kind, reply.charset, reply.body, time.time())
            onwards = join(target, reply.location, allow)
            if target.scheme == "https" and onwards.scheme == "http":
                raise Refused(f"{_name(target)} leads from https to http at {_name(onwards)}, which is not followed")
            target = onwards
        raise SourceError(f"{_name(first)} leads on to other addresses more than {limits.redirects} times")

    # ── one hop ──────────────────────────────────────────────────────────────────────────────────

    def _ask(self, target: Target, purpose: str, accept: Collection[str], allow: Allowance, watch: Watch) -> _Reply:
        """A page or a redirect, after some attempts if need be."""
        wait = 1.0
        for attempt in range(1, self._limits.attempts + 1):
            watch.sleep(self._pace.turn(target.host), counted=False)
            reply = self._once(target, purpose, accept, allow, watch)
            if reply.body is not None or reply.location:
                return reply
            again = reply.status in _TRY_AGAIN and attempt < self._limits.attempts
            wanted = reply.wait if reply.wait >= 0 else wait
            if reply.wait >= 0:
                self._pace.rest(target.host, min(reply.wait, 600.0))
            if not again or wanted > self._limits.patience:
                raise self._failure(target, reply)
            watch.sleep(wanted, counted=False)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, target: Target, reply: _Reply) -> SourceError:
        later = f" It asks to wait {reply.wait:.0f} seconds." if reply.wait > 0 else ""
        return SourceError(f"{_name(target)} answered {_status(reply.status)}.{later}", "Open another result.")

    def _once(self, target: Target, purpose: str, accept: Collection[str], allow: Allowance, watch: Watch) -> _Reply:
        """One request, which is recorded however it ends."""
        import httpcore

        from engine.sources.web.wire import Door, dial

        began, started = time.time(), time.monotonic()
        entry = NetworkEntry(began, purpose, "GET", target.url, target.host)
        door: Door | None = None
        try:
            addresses = self._addresses(target, allow, watch)
            door = Door(addresses, self._dial or dial, watch)
            reply = self._exchange(target, door, accept)
            entry = replace(entry, status=reply.status, result=_result(reply))
            return reply
        except SourceError as error:
            entry = replace(entry, result=str(error))
            if isinstance(error, Refused):
                raise
            raise SourceError(f"{_name(target)} could not be read: {error}", error.hint) from error
        except (
            OSError,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
        ) as error:
            entry = replace(entry, result=_in_words(error))
            raise SourceError(f"{_name(target)} could not be read: {entry.result}") from error
        finally:
            if door is not None:
                received = door.stream.received if door.stream else 0
                entry = replace(entry, address=door.address, bytes=received)
            self._record(replace(entry, seconds=time.monotonic() - started))

    def _addresses(self, target: Target, allow: Allowance, watch: Watch) -> Sequence[str]:
        """Where the host is, every one of its addresses checked: one that is not public spoils them all."""
        from engine.sources.web.wire import in_time, resolve

        find = self._resolve or resolve
        if ":" in target.host or target.host.rpartition(".")[2].isdigit():
            addresses: Sequence[str] = (target.host,)
        else:
            try:
                addresses = in_time(watch, lambda: find(target.host, target.port))
            except (OSError, UnicodeError) as error:
                raise SourceError("its name could not be found") from error
        if not addresses:
            raise SourceError("its name has no address")
        if target.endpoint not in allow.endpoints:
            for address in addresses:
                if what := why_not(address):
                    raise Refused(
                        f"{_name(target)} is not opened: its name leads to {clean_line(address, 60)}, {what}",
                        "Only public http and https pages can be read.",
                    )
        return addresses

    def _exchange(self, target: Target, door: Door, accept: Collection[str]) -> _Reply:
        import httpcore

        place = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        headers = [
            ("Host", target.authority),
            ("User-Agent", USER_AGENT),
            ("Accept", ", ".join(sorted(kind for kind in accept if kind)) + ", */*;q=0.1"),
            ("Accept-Encoding", ENCODINGS),
            ("Connection", "close"),
        ]
        with (
            httpcore.HTTPConnection(
                origin=place.origin, ssl_context=self._secure(target), network_backend=door
            ) as connection,
            connection.stream("GET", place, headers=headers) as response,
        ):
            return self._reply(response, accept)

    def _reply(self, response: httpcore.Response, accept: Collection[str]) -> _Reply:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in response.headers}
        status = response.status
        if status in _REDIRECTS and headers.get("location"):
            return _Reply(status, location=_as_utf8(headers["location"]))
        if status != http.HTTPStatus.OK:
            return _Reply(status, wait=_retry_after(headers.get("retry-after", "")))
        kind, charset = _content_type(headers.get("content-type", ""))
        if kind not in accept:
            raise SourceError(f"it is of a kind that cannot be read ({clean_line(kind, 60)})")
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limits.size:
            raise too_large(self._limits)
        body = read_body(response.iter_stream(), headers.get("content-encoding", ""), self._limits)
        return _Reply(status, kind, charset, body=body)

    def _secure(self, target: Target) -> ssl.SSLContext | None:
        if target.scheme == "http":
            return None
        if self._tls is None:
            import httpcore

            self._tls = httpcore.default_ssl_context()
        return self._tls


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _name(target: Target) -> str:
    return clean_line(target.url, 160)


def _status(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _result(reply: _Reply) -> str:
    if reply.location:
        return f"leads on to {clean_line(reply.location, 160)}"
    return "read" if reply.body is not None else _status(reply.status)


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {clean_line(error.verify_message, 160)}"
    if isinstance(error, TimeoutError):
        return str(error) or "no answer in time"
    return clean_line(str(error), 160) or type(error).__name__


def _as_utf8(header: str) -> str:
    raw = header.encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return header


def _content_type(header: str) -> tuple[str, str]:
    """Media type and charset of a Content-Type header, both lower-case."""
    kind, *parameters = header.split(";")
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and not charset:
            charset = value.strip().strip("\"'").lower()
    return kind.strip().lower(), charset


def _retry_after(header: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; -1 where it asks for nothing sensible."""
    if header.isascii() and header.isdigit():
        return min(float(header[:12]), 1e9)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return -1.0
