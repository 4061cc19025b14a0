"""Connections that go to an address that was checked, and that can be given up at any moment.

The name in an address is resolved once, by whoever checks the answer. What is connected to here is that answer: the
name is only used for the ``Host`` line and the certificate, so a name server that changes its mind cannot lead a
request anywhere else.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import httpcore

from engine.errors import SourceError
from engine.sources.web.watch import TICK, Watch

Dial = Callable[[str, int], socket.socket]
"""Begins a connection to an address (never a name) and port; the socket does not block."""

T = TypeVar("T")

_BEGUN = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))


def dial(address: str, port: int) -> socket.socket:
    """Begin a connection. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        code = sock.connect_ex((address, port))
        if code not in _BEGUN:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, best first, as the system finds them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def in_time(watch: Watch, act: Callable[[], T]) -> T:
    """What ``act`` returns. It runs in a thread of its own, which is left behind when the watch says so."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(act())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        watch.check()
        thread.join(TICK)
    if failed:
        raise failed[0]
    return done[0]


class Stream(httpcore.NetworkStream):
    """A connection whose every wait ends when the watch says so. ``received`` counts bytes, before decompression."""

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        self._sock = sock
        self._watch = watch
        self.received = 0

    def connected(self) -> None:
        """Wait until the connection that was begun stands. Raises OSError."""
        self._wait(selectors.EVENT_WRITE, time.monotonic() + self._watch.connect, "no connection")
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._patiently(lambda: self._sock.recv(max_bytes), selectors.EVENT_READ)
        self.received += len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            rest = buffer
            sent = self._patiently(lambda: self._sock.send(rest), selectors.EVENT_WRITE)  # noqa: B023 - called at once
            buffer = buffer[sent:]

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            secure = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname, do_handshake_on_connect=False)
            self._sock = secure
            self._patiently(secure.do_handshake, selectors.EVENT_READ)
        except BaseException:
            self.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._sock if info == "socket" else None

    def _patiently(self, act: Callable[[], T], event: int) -> T:
        """What ``act`` returns once the socket is ready for it."""
        until = time.monotonic() + self._watch.idle
        while True:
            self._watch.check()
            try:
                return act()
            except ssl.SSLWantWriteError:
                wanted = selectors.EVENT_WRITE
            except ssl.SSLWantReadError:
                wanted = selectors.EVENT_READ
            except (BlockingIOError, InterruptedError):
                wanted = event
            self._wait(wanted, until, "no answer")

    def _wait(self, event: int, until: float, what: str) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, event)
            while not selector.select(TICK):
                self._watch.check()
                if time.monotonic() > until:
                    raise TimeoutError(f"{what} in time")


class Door(httpcore.NetworkBackend):
    """Opens connections to the given addresses and to nothing else, whatever host it is asked for.

    The addresses are tried in order. ``address`` is the one that answered, ``stream`` the connection to it.
    """

    def __init__(self, addresses: Sequence[str], dial: Dial, watch: Watch) -> None:
        self._addresses = addresses
        self._dial = dial
        self._watch = watch
        self.address = ""
        self.stream: Stream | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure = OSError("no address to connect to")
        for address in self._addresses:
            self.address = address
            try:
                stream = Stream(self._dial(address, port), self._watch)
            except OSError as error:
                failure = error
                continue
            try:
                stream.connected()
            except OSError as error:
                stream.close()
                failure = error
            except SourceError:
                stream.close()
                raise
            else:
                self.stream = stream
                return stream
        raise failure

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        raise OSError("pages are not read through local sockets")
