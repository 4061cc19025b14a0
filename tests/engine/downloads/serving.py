"""A server of one file on the loopback interface, which does what servers do: ranges, cuts, other files, other pages."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """``cuts`` are the numbers of bytes after which one answer after the other is cut off; then none is any more.

    ``ranges`` False: it sends everything whatever it is asked for. ``statuses`` are answered first, one after the other.
    ``redirects`` maps a path to where it leads. ``before`` is called with each request's headers.
    """

    data: bytes
    etag: str = '"one"'
    ranges: bool = True
    respects: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[FileServer], None] = lambda _: None
    asked: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/models/small.gguf"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(headers)
        self.paths.append(request.path)
        self.before(self)
        if request.path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.redirects[request.path])
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if self.statuses:
            request.send_response(self.statuses.pop(0))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start = self._start(headers)
        if start >= len(self.data) > 0 and start:
            request.send_response(416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(self.data) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        for name, value in {"ETag": self.etag, **self.headers}.items():
            if value:
                request.send_header(name, value)
        request.end_headers()
        rest = self.data[start:]
        request.wfile.write(rest[: self.cuts.pop(0)] if self.cuts else rest)

    def _start(self, headers: dict[str, str]) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        same = not self.respects or headers.get("if-range", self.etag) == self.etag
        return int(found[1]) if found and self.ranges and same else 0


@contextmanager
def serving(data: bytes, **options: object) -> Iterator[FileServer]:
    """A server of this file until the block ends."""
    told = FileServer(data, **options)  # type-checked where it is used: tests name its fields

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True  # also cuts off an answer that is shorter than it said
            with suppress(ConnectionError):  # who asked has gone
                told.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
