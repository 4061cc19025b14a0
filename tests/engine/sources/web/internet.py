"""A small internet for the tests: names, public addresses and servers, all of it on the loopback interface.

The fetcher under test is the real one with every rule in force. Only its name server and the cable are ours: an
address that the world knows as public is plugged into a server on this machine, and every use of either is noted.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from engine.protocol import NetworkEntry
from engine.sources.web import wire
from engine.sources.web.body import Limits
from engine.sources.web.fetch import Fetcher

TLS = Path(__file__).parents[3] / "data" / "tls"

PUBLIC = "93.184.215.14"
"""Where a host lives unless told otherwise."""

QUICK = Limits(size=2_000_000, seconds=5.0, idle=0.5, connect=0.5, patience=1.5)


@dataclass(frozen=True)
class Page:
    """One answer. ``stream`` replaces the body by pieces that are sent for as long as somebody reads."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})
    stream: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True)
class Asked:
    """A request as a server saw it. ``path`` holds the query too, ``body`` what was posted."""

    host: str
    path: str
    headers: tuple[tuple[str, str], ...]
    method: str = "GET"
    body: str = ""


@dataclass
class Internet:
    """``names``: the addresses of each host, or what tells them. ``pages``: by host and path, or what makes them."""

    names: dict[str, Sequence[str] | Callable[[], Sequence[str]]] = field(default_factory=dict)
    pages: dict[tuple[str, str], Page | Callable[[Asked], Page]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    recorded: list[NetworkEntry] = field(default_factory=list)
    plugs: dict[int, int] = field(default_factory=dict)
    """Which loopback port stands behind a public port."""

    def put(self, url: str, page: Page | Callable[[Asked], Page] | bytes, *, address: str = PUBLIC) -> str:
        """Serve a page. Its host gets an address. The address of the page."""
        host, _, path = url.partition("://")[2].partition("/")
        name = host.partition(":")[0]
        self.names.setdefault(name, (address,))
        self.pages[host, f"/{path}"] = Page(page) if isinstance(page, bytes) else page
        return url

    def redirect(self, url: str, to: str, status: int = 302) -> str:
        return self.put(url, Page(b"", status, {"Location": to}))

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        answer = self.names.get(host)
        if answer is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return answer() if callable(answer) else answer

    def dial(self, address: str, port: int) -> socket.socket:
        self.dialled.append((address, port))
        if port not in self.plugs:
            raise ConnectionRefusedError(111, "Connection refused")
        return wire.dial("127.0.0.1", self.plugs[port])

    def fetcher(self, **options: Any) -> Fetcher:
        context = ssl.create_default_context(cafile=str(TLS / "authority.pem"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return Fetcher(
            **{
                "record": self.recorded.append,
                "limits": QUICK,
                "interval": 0.0,
                "resolve": self.resolve,
                "dial": self.dial,
                "tls": context,
                **options,
            }
        )

    def answer(self, asked: Asked) -> Page:
        self.asked.append(asked)
        bare = asked.path.partition("?")[0]  # a page may answer every query
        nothing = Page(b"nothing here", 404)
        page = self.pages.get((asked.host, asked.path)) or self.pages.get((asked.host, bare), nothing)
        return page(asked) if callable(page) else page


class Servers:
    """The servers behind an internet, on the loopback interface: ports 80 and 443. ``internet`` may be replaced."""

    def __init__(self) -> None:
        self.internet = Internet()
        self._servers = [_server(self, secure) for secure in (False, True)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.fresh()

    def fresh(self) -> Internet:
        """An empty internet from now on."""
        plain, secure = (server.server_port for server in self._servers)
        self.internet = Internet(plugs={80: plain, 443: secure})
        return self.internet

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _server(servers: Servers, secure: bool) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(
                self.headers["Host"],
                self.path,
                tuple(self.headers.items()),
                self.command,
                self.rfile.read(length).decode(),
            )
            page = servers.internet.answer(asked)
            self.close_connection = True
            with contextlib.suppress(OSError):  # the reader has gone: what many of these tests are about
                self.send_response(page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                if page.stream is None and "Content-Length" not in page.headers:
                    self.send_header("Content-Length", str(len(page.body)))
                self.end_headers()
                for piece in page.stream() if page.stream else (page.body,):
                    self.wfile.write(piece)

        do_POST = do_GET  # noqa: N815 - named by http.server

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None: ...  # a handshake that the other side gave up

        def finish_request(self, request: Any, client_address: Any) -> None:
            if secure:  # here, in the thread of the request, so that a slow handshake holds up nobody
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
                request = context.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)

    return Server(("127.0.0.1", 0), Handler)
