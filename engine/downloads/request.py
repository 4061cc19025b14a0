"""One request of a download: to one place, whose address is checked before anything is sent, and recorded however it ends."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from engine import __version__
from engine.clean import clean_line
from engine.errors import Refused
from engine.protocol import NetworkEntry
from engine.sources.web.addresses import why_not
from engine.sources.web.urls import Target
from engine.sources.web.watch import Watch

if TYPE_CHECKING:
    import httpcore

    from engine.sources.web.wire import Dial

T = TypeVar("T")

HOME = ("a private address", "a loopback address")
"""Where an address of the user's own may lead, and lead on to."""

_HEADERS = (
    ("User-Agent", f"deepsearch-tui/{__version__} (fetches a file that its user asked for)"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)

Resolve = Callable[[str, int], Sequence[str]]


class Lost(Exception):
    """The connection was lost, or the server cannot now: worth another try. ``first``: it never stood."""

    def __init__(self, why: str, *, first: bool = False) -> None:
        super().__init__(why)
        self.first = first


@dataclass(frozen=True)
class Network:
    """How places are found and reached: as the machine does, unless a test brings its own. ``record`` is told of every
    request once it has ended, ``let`` of every place before it is reached.
    """

    record: Callable[[NetworkEntry], None]
    let: Callable[[str, int], None]
    resolve: Resolve | None = None
    dial: Dial | None = None
    tls: ssl.SSLContext | None = None


def addresses(network: Network, target: Target, watch: Watch, *, home: bool) -> tuple[Sequence[str], bool]:
    """Where a host is, and whether that is in the user's own network, as it may be only if ``home``.

    Raises Refused where it is somewhere else that is not public, Lost where its name cannot be found.
    """
    from engine.sources.web.wire import in_time, resolve

    network.let(target.host, target.port)
    if ":" in target.host or target.host.rpartition(".")[2].isdigit():
        found: Sequence[str] = (target.host,)
    else:
        try:
            found = in_time(watch, lambda: (network.resolve or resolve)(target.host, target.port))
        except (OSError, UnicodeError) as error:
            raise Lost(f"there is no network, or no {target.host} in it", first=True) from error
    reasons = {what for address in found if (what := why_not(address))}
    if not found or (reasons and not home) or not reasons <= set(HOME):
        what = ", ".join(sorted(reasons)) or "no address at all"
        raise Refused(f"{target.host} is not a public place but {what}")
    for address in found:
        network.let(address, target.port)
    return found, bool(reasons)


def ask(
    network: Network,
    target: Target,
    found: Sequence[str],
    watch: Watch,
    headers: Sequence[tuple[str, str]],
    read: Callable[[httpcore.Response, dict[str, str]], tuple[T, str]],
    *,
    query: bool,
) -> T:
    """What ``read`` makes of the answer; it also says in words what happened, for the record.

    ``query`` False leaves the address's query out of the record: where one is led to, it may hold a key. Raises Lost.
    """
    import httpcore

    from engine.sources.web.wire import Door, dial

    door = Door(found, network.dial or dial, watch)
    url = target.url if query else target.url.partition("?")[0]
    place = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    with _recorded(
        network, NetworkEntry(time.time(), "model", "GET", clean_line(url, 2000), target.host), door
    ) as entry:
        try:
            secure = (network.tls or httpcore.default_ssl_context()) if target.scheme == "https" else None
            with (
                httpcore.HTTPConnection(origin=place.origin, ssl_context=secure, network_backend=door) as connection,
                connection.stream("GET", place, headers=[("Host", target.authority), *_HEADERS, *headers]) as response,
            ):
                entry.status = response.status
                told = {
                    name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in response.headers
                }
                made, entry.result = read(response, told)
                return made
        except ssl.SSLCertVerificationError as error:
            raise Refused(
                f"the certificate of {target.host} is not valid: {clean_line(error.verify_message, 160)}"
            ) from error
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            why = clean_line(str(error), 160) or type(error).__name__
            raise Lost(f"the connection to {target.host} was lost ({why})", first=door.stream is None) from error


@dataclass
class _Entry:
    status: int = 0
    result: str = ""


@contextmanager
def _recorded(network: Network, entry: NetworkEntry, door: object) -> Iterator[_Entry]:
    """The record of a request, made however it ends."""
    from engine.sources.web.wire import Door

    assert isinstance(door, Door)  # noqa: S101 - httpcore is loaded only when something is fetched
    told, started = _Entry(), time.monotonic()
    try:
        yield told
    except Exception as error:
        told.result = clean_line(str(error), 300) or type(error).__name__
        raise
    except BaseException:
        told.result = "interrupted"
        raise
    finally:
        received = door.stream.received if door.stream is not None else 0
        network.record(
            replace(
                entry,
                address=door.address,
                status=told.status,
                bytes=received,
                seconds=time.monotonic() - started,
                result=told.result,
            )
        )
