"""Fetches a file: attempt after attempt, each from where the one before was cut off, until it is whole; then checks it.

The only code that fetches something for keeping. It reaches the place it was given and where that leads, through a
:func:`engine.offline.passage` and nothing else.
"""

from __future__ import annotations

import http
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import urljoin

from engine import offline
from engine.clean import clean_line
from engine.downloads.part import Held, Part, disk, open_file, size
from engine.downloads.request import Lost, Network, Resolve, addresses, ask
from engine.errors import DownloadFailed, ModelError, Refused, SourceError
from engine.protocol import NetworkEntry
from engine.sources.web.urls import Target, own, parse
from engine.sources.web.watch import Cancelled as Asked
from engine.sources.web.watch import Watch, never

if TYPE_CHECKING:
    import httpcore

    from engine.sources.web.wire import Dial

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_HOPS = 6


class Cancelled(Exception):
    """The user called it off. What has come is kept."""


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: from where, to where, and what is known of it (0 and empty: nothing).

    ``own``: the address is the user's, who may have files in a network of their own.
    """

    url: str
    file: Path
    bytes: int = 0
    sha256: str = ""
    own: bool = False


@dataclass(frozen=True)
class Step:
    """How far it is. ``total`` 0: not known. ``speed`` in bytes a second, ``eta`` in seconds, -1 where it cannot be told.

    ``note`` is something to tell the user once: that it begins anew, that it waits.
    """

    phase: Literal["download", "check"]
    done: int
    total: int
    speed: float = 0.0
    eta: float = -1.0
    note: str = ""


@dataclass(frozen=True)
class Patience:
    """Seconds without a connection, without a byte, and between attempts (doubled each time); ``attempts`` in a row that
    brought nothing.
    """

    connect: float = 15.0
    idle: float = 60.0
    wait: float = 1.0
    attempts: int = 5


class _Changed(Exception):
    """What the part was of is not there any more: from the beginning, then."""


def _forget(entry: NetworkEntry) -> None: ...


def _unused(step: Step) -> None: ...


@dataclass(frozen=True)
class Downloader:
    """Fetches files. ``record`` is told of every request once it has ended.

    All else is the machine's own unless a test brings another: a name service, connections, certificates, a disk.
    """

    record: Callable[[NetworkEntry], None] = _forget
    patience: Patience = field(default_factory=Patience)
    resolve: Resolve | None = None
    dial: Dial | None = None
    tls: ssl.SSLContext | None = None
    free: Callable[[Path], int] = disk
    open: Callable[[Path, str], BinaryIO] = open_file
    clock: Callable[[], float] = time.monotonic

    def fetch(
        self,
        wanted: Wanted,
        *,
        inspect: Callable[[Path], object] = lambda _: None,
        progress: Callable[[Step], None] = _unused,
        cancelled: Asked = never,
    ) -> Path:
        """The file, in its place and checked. ``inspect`` looks at it before it is put there, and may raise ModelError.

        Raises Cancelled, or DownloadFailed; both keep what has come, unless it was found to be wrong.
        """
        part = Part(wanted.file, self.free, self.open)
        part.room(0)  # the folder is there
        with part.alone(), offline.passage() as let:
            network = Network(self.record, let, self.resolve, self.dial, self.tls)
            get = _Get(wanted, part, network, self.patience, _Meter(progress, self.clock), cancelled)
            get.begin()
            get.whole()
            get.check(inspect)
            part.into_place()
        return wanted.file


class _Meter:
    """Tells how far it is, some times a second, with the speed of the last seconds."""

    def __init__(self, progress: Callable[[Step], None], clock: Callable[[], float]) -> None:
        self._progress, self._clock = progress, clock
        self._seen: deque[tuple[float, int]] = deque(maxlen=50)
        self._told = -1.0

    def begin(self) -> None:
        self._seen.clear()

    def tell(self, phase: Literal["download", "check"], done: int, total: int, note: str = "") -> None:
        now = self._clock()
        if not self._seen or now - self._seen[-1][0] >= 0.1:
            self._seen.append((now, done))
        if not note and done != total and 0 <= now - self._told < 0.2:
            return
        self._told = now
        since, before = self._seen[0]
        speed = max(0.0, (done - before) / (now - since)) if now > since else 0.0
        eta = (total - done) / speed if total and speed > 0 else -1.0
        self._progress(Step(phase, done, total, speed, eta, note))


class _Get:
    """One download."""

    def __init__(
        self, wanted: Wanted, part: Part, network: Network, patience: Patience, meter: _Meter, cancelled: Asked
    ) -> None:
        self._wanted, self._part, self._network = wanted, part, network
        self._patience, self._meter, self._cancelled = patience, meter, cancelled
        self._name = clean_line(wanted.file.name, 120)

    # ── from the first attempt to the last ───────────────────────────────────────────────────────

    def begin(self) -> None:
        """Forget a part that is another's, and see that there is room."""
        if self._part.held().url != self._wanted.url or not self._resumable():
            self._part.discard()
        self._part.room(self._wanted.bytes or self._part.held().total)

    def _resumable(self) -> bool:
        """Whether it would be noticed if the rest were that of another file."""
        return bool(self._part.held().mark or self._wanted.sha256)

    def whole(self) -> None:
        """Fetch until nothing is missing."""
        failures = 0
        while not self._is_whole():
            had = self._part.have()
            try:
                self._attempt()
                return
            except _Changed:
                self._part.discard()
                failures += 1
                note, wait = "what had come is of another file than is there now: from the beginning", 0.0
            except Lost as error:
                if not self._resumable():
                    self._part.discard()
                failures = 0 if self._part.have() > had else failures + 1
                if error.first and not self._part.have() and failures > 1:
                    raise self._failed(str(error)) from error
                wait = self._patience.wait * 2 ** max(0, failures - 1)
                note = f"{error}; trying again"
                why = str(error)
            else:
                continue
            if failures >= self._patience.attempts:
                raise self._failed(why if wait else "the file there changes again and again")
            self._meter.tell("download", self._part.have(), self._part.held().total, note)
            self._pause(wait)

    def _is_whole(self) -> bool:
        """All of it came before, and it was stopped while it was checked."""
        return 0 < self._part.have() == self._part.held().total

    def check(self, inspect: Callable[[Path], object]) -> None:
        """Look at what has come, and delete it where it is not what was wanted."""
        have, wanted = self._part.have(), self._wanted
        wrong = ""
        if wanted.bytes and have != wanted.bytes:
            wrong = f"it has {have:,} bytes and should have {wanted.bytes:,}"
        elif wanted.sha256 and (found := self._digest(have)) != wanted.sha256.lower():
            wrong = f"its SHA-256 is {found} and should be {wanted.sha256}"
        if wrong:
            self._part.discard()
            raise DownloadFailed(
                f"{self._name} came whole, but {wrong}. It was deleted.",
                "Pull it again. If that happens twice, there is another file at its source now.",
            )
        try:
            inspect(self._part.path)
        except ModelError as error:
            self._part.discard()
            raise DownloadFailed(
                f"What came for {self._name} is no model: {clean_line(str(error), 300)}. It was deleted.",
                "Look at the address: it may be that of a page about the model.",
            ) from error

    def _digest(self, total: int) -> str:
        def told(done: int) -> None:
            self._check_cancelled()
            self._meter.tell("check", done, total)

        self._meter.begin()
        return self._part.digest(told)

    # ── one attempt: the hops to the file, and its rest ──────────────────────────────────────────

    def _attempt(self) -> None:
        """Follow the address to the file and take in what is missing of it."""
        wanted = self._wanted
        try:
            target = own(wanted.url) if wanted.own else parse(wanted.url)
            home = wanted.own
            for hop in range(_HOPS):
                watch = Watch(float("inf"), self._patience.idle, self._patience.connect, self._cancelled)
                found, home = addresses(self._network, target, watch, home=home)
                onwards = ask(self._network, target, found, watch, self._missing(), self._answer, query=hop == 0)
                if not onwards:
                    return
                target = self._further(target, onwards, home=home)
        except Refused as error:
            raise self._failed(str(error)) from error
        except SourceError as error:
            self._check_cancelled()
            raise Lost(str(error)) from error
        raise self._failed(f"its address leads on more than {_HOPS - 1} times")

    def _further(self, target: Target, onwards: str, *, home: bool) -> Target:
        try:
            link = urljoin(target.url, onwards)
        except ValueError as error:
            raise Refused(f"{target.host} leads to what is no address") from error
        further = own(link) if home else parse(link)
        if target.scheme == "https" and further.scheme == "http":
            raise Refused(f"{target.host} leads from https to http, which is not followed")
        return further

    def _missing(self) -> Sequence[tuple[str, str]]:
        """What asks for the rest of the file, if it is still the same."""
        if not (have := self._part.have()):
            return ()
        mark = self._part.held().mark
        return (("Range", f"bytes={have}-"), *((("If-Range", mark),) if mark else ()))

    def _answer(self, response: httpcore.Response, headers: dict[str, str]) -> tuple[str, str]:
        """Where the answer leads on to, empty where it was the file; and what happened in words."""
        status = response.status
        if status in _REDIRECTS and headers.get("location"):
            onwards = headers["location"]
            return onwards, f"leads on to {clean_line(onwards.partition('?')[0], 160)}"
        if status not in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            self._refuse(status)
        if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise self._failed("its server packs it in a way that was not asked for")
        start, total = self._place(status, headers)
        if self._wanted.bytes and total and total != self._wanted.bytes:
            raise self._failed(f"there are {total:,} bytes at its address, not {self._wanted.bytes:,}")
        if start == 0:
            if self._part.have():
                self._meter.tell("download", 0, total, "its server sends all of it again")
            held = Held(self._wanted.url, headers.get("etag", "")[:300], headers.get("last-modified", "")[:100], total)
            self._part.begin(held)
        self._part.room(total)
        self._meter.begin()
        self._part.write(
            self._pieces(response, start, total), start, lambda done: self._meter.tell("download", done, total)
        )
        if total and self._part.have() != total:
            raise Lost("its server ended before the end")
        return "", "read"

    def _place(self, status: int, headers: dict[str, str]) -> tuple[int, int]:
        """Where what comes begins, and how long the whole is; 0 where that is not told. Raises _Changed."""
        held = self._part.held()
        if status == http.HTTPStatus.OK:
            length = headers.get("content-length", "")
            return 0, int(length) if re.fullmatch(r"\d{1,18}", length) else 0
        found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", headers.get("content-range", ""))
        start, total = (int(found[1]), int(found[2])) if found else (-1, 0)
        other = held.etag and headers.get("etag", held.etag)[:300] != held.etag
        if start != self._part.have() or not start or held.total not in (0, total) or other:
            raise _Changed
        return start, total

    def _pieces(self, response: httpcore.Response, start: int, total: int) -> Iterator[bytes]:
        done = start
        for piece in response.iter_stream():
            done += len(piece)
            if total and done > total:
                raise self._failed("its server sends more than it said")
            yield piece

    def _refuse(self, status: int) -> None:
        """What a status that brings no file means. Always raises."""
        try:
            said = f"its server answered {status} {http.HTTPStatus(status).phrase}"
        except ValueError:
            said = f"its server answered {status}"
        if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self._part.have():
            raise _Changed
        if status in _AGAIN:
            raise Lost(said)
        if status in (401, 403):
            raise self._failed(f"{said}: it wants you to sign in, or to agree to something, first")
        if status in (404, 410):
            raise self._failed(f"{said}: there is no such file")
        raise self._failed(said)

    # ── ──────────────────────────────────────────────────────────────────────────────────────────

    def _pause(self, seconds: float) -> None:
        watch = Watch(float("inf"), seconds, seconds, self._cancelled)
        try:
            watch.sleep(seconds)
        except SourceError as error:
            raise Cancelled from error

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise Cancelled

    def _failed(self, why: str) -> DownloadFailed:
        have = self._part.have()
        kept = f" {size(have)} of it are kept: pull it again to go on." if have else ""
        return DownloadFailed(f"{self._name} could not be fetched: {why}.", kept.strip())


def file_name(url: str) -> str:
    """The name of the model file that an address ends in. Raises DownloadFailed where it does not end in one."""
    name = url.partition("?")[0].partition("#")[0].rpartition("/")[2]
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,150}\.gguf", name):
        raise DownloadFailed(
            f"{clean_line(url, 200)} does not end in the name of a .gguf file", "Give the address of the file itself."
        )
    return name
