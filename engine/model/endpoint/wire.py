"""HTTP to the one server that a model is at: short questions, and replies that come in pieces and can be broken off.

A reply is read by a thread of its own, so that whoever waits for it can leave at any moment; the connection is then
closed, which tells the server to stop. Nothing is asked twice, but for one thing: a connection that was kept open and
that the server has closed meanwhile is opened again.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine import endpoints
from engine.clean import clean_line
from engine.endpoints import Address
from engine.errors import ContextOverflow, DeepSearchError, EndpointError, ModelError, ModelMissing
from engine.protocol import NetworkEntry

if TYPE_CHECKING:
    import httpcore

Record = Callable[[NetworkEntry], None]

TICK = 0.05
"""Seconds between two looks at whether to leave."""

_MOST = 64 << 20
"""Bytes of one answer, and of one line of a reply, that are read at the most."""

_TOLD = 300
"""Characters of a server's own words that are passed on."""


class BrokenOff(Exception):
    """The reply is no longer wanted."""


@dataclass(frozen=True)
class Patience:
    """Seconds to wait: for a connection, for a short answer, for a reply's first word, and between two of its words."""

    connect: float = 10.0
    answer: float = 60.0
    first: float = 900.0
    idle: float = 120.0


class Wire:
    """The way to one server. Safe to use from several threads. ``record`` is told of each request that leaves this machine."""

    def __init__(self, address: Address, *, record: Record | None = None, patience: Patience | None = None) -> None:
        import httpcore

        self.address = address
        self._record = record if not address.here else None
        self._patience = patience or Patience()
        self._http = httpcore
        self._pool = httpcore.ConnectionPool(max_connections=4, keepalive_expiry=30.0)
        self._kept = False  # whether a connection may have been kept open

    def close(self) -> None:
        self._pool.close()

    # ── a question and its answer ────────────────────────────────────────────────────────────────

    def ask(self, method: str, path: str, body: object = None, *, seconds: float = 0.0) -> Any:
        """What the server answers, read as JSON. ``seconds``: wait so long instead of a short answer's time.

        Raises EndpointError, or ModelMissing or ContextOverflow where the server says that.
        """
        h = self._http
        try:
            try:
                return self._asked(method, path, body, seconds)
            except (h.RemoteProtocolError, h.ReadError, h.WriteError):
                if not self._kept:
                    raise
                self._kept = False
                return self._asked(method, path, body, seconds)
        except (h.NetworkError, h.TimeoutException, h.ProtocolError, OSError) as error:
            raise self._lost(error) from error

    def _asked(self, method: str, path: str, body: object, seconds: float) -> Any:
        began, entry = time.monotonic(), self._entry(method, path)
        status, size, result = 0, 0, "no answer"
        try:
            with self._pool.stream(
                method,
                self.address.url + path,
                headers=self._headers(),
                content=None if body is None else json.dumps(body).encode(),
                extensions={"timeout": self._timeouts(seconds or self._patience.answer)},
            ) as response:
                status = response.status
                data = self._whole(response)
                size, result = len(data), "done"
        finally:
            self._write(entry, began, status, size, result)
        self._kept = True
        if status != 200:
            raise refusal(self.address, status, data)
        try:
            return json.loads(data)
        except ValueError:
            raise _garbled(self.address, data) from None

    def _whole(self, response: httpcore.Response) -> bytes:
        data = bytearray()
        for piece in response.iter_stream():
            data += piece
            if len(data) > _MOST:
                raise EndpointError(f"{self.address.label} sends an answer without an end.")
        return bytes(data)

    # ── a reply in pieces ────────────────────────────────────────────────────────────────────────

    def lines(self, path: str, body: object, cancelled: Callable[[], bool]) -> Iterator[str]:
        """The lines of a reply that are not empty, as they come. Raises what :meth:`ask` raises, and BrokenOff within
        a few ticks of ``cancelled()`` turning true.
        """
        call = _Call(self, path, json.dumps(body).encode())
        wait, rest = self._patience.first, b""
        until = time.monotonic() + wait
        try:
            while True:
                if cancelled():
                    raise BrokenOff
                try:
                    came = call.pieces.get(timeout=TICK)
                except queue.Empty:
                    if time.monotonic() > until:
                        what = f"{self.address.label} has said nothing for {wait:.0f} seconds."
                        raise EndpointError(what, "It may be overloaded. The run can go on when it answers.") from None
                    continue
                if isinstance(came, DeepSearchError):
                    raise came
                *whole, rest = (rest + came).split(b"\n") if came is not None else [rest, b""]
                if len(rest) > _MOST:
                    raise _garbled(self.address, rest)
                for line in whole:
                    if (text := line.decode("utf-8", errors="replace").strip()) and not text.startswith(":"):
                        wait = self._patience.idle
                        until = time.monotonic() + wait
                        yield text
                if came is None:
                    return
        finally:
            call.abandon()

    # ── what both need ───────────────────────────────────────────────────────────────────────────

    def _headers(self) -> list[tuple[bytes | str, bytes | str]]:
        key = os.environ.get(endpoints.KEY, "")
        usual = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
        return [*usual, *([("Authorization", f"Bearer {key}")] if key else [])]

    def _timeouts(self, read: float) -> dict[str, float]:
        connect = self._patience.connect
        return {"connect": connect, "read": read, "write": self._patience.answer, "pool": self._patience.answer}

    def _entry(self, method: str, path: str) -> NetworkEntry:
        return NetworkEntry(time.time(), "model", method, self.address.url + path, self.address.host)

    def _write(self, entry: NetworkEntry, began: float, status: int, size: int, result: str) -> None:
        if self._record is not None:
            seconds = time.monotonic() - began
            self._record(replace(entry, status=status, bytes=size, seconds=seconds, result=result))

    def _lost(self, error: Exception) -> EndpointError:
        h, name = self._http, self.address.label
        said = clean_line(str(error)) or type(error).__name__
        if isinstance(error, h.ConnectError | h.ConnectTimeout):
            hint = "Start the server, or mend the setting endpoint. The run can go on when it is back."
            return EndpointError(f"No server can be reached at {name}: {said}.", hint)
        if isinstance(error, h.TimeoutException):
            return EndpointError(f"{name} does not answer in time.", "It may be overloaded. Try again later.")
        return EndpointError(
            f"The connection to {name} was lost: {said}.",
            "The server may have been stopped. Every finished turn is kept, and the run can go on when it is back.",
        )


class _Call:
    """One reply, read by a thread. ``pieces``: bytes as they come, None at the end, an error instead."""

    def __init__(self, wire: Wire, path: str, body: bytes) -> None:
        self.pieces: queue.Queue[bytes | DeepSearchError | None] = queue.Queue(maxsize=256)
        self._wire, self._path, self._body = wire, path, body
        self._lock = threading.Lock()
        self._stream: httpcore.NetworkStream | None = None
        self._left = False
        threading.Thread(target=self._run, name="endpoint", daemon=True).start()

    def abandon(self) -> None:
        """Close the connection, whatever the thread is doing with it."""
        with self._lock:
            self._left = True
            sock = self._stream.get_extra_info("socket") if self._stream is not None else None
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # wakes who reads; of TLS's own parting there is no need

    def _run(self) -> None:
        wire, http = self._wire, self._wire._http
        began, entry = time.monotonic(), wire._entry("POST", self._path)
        status, size, result = 0, 0, "broken off"
        try:
            with (
                http.ConnectionPool(max_connections=1) as pool,
                pool.stream(
                    "POST",
                    wire.address.url + self._path,
                    headers=wire._headers(),
                    content=self._body,
                    extensions={"timeout": wire._timeouts(wire._patience.first), "trace": self._trace},
                ) as response,
            ):
                status = response.status
                if status != 200:
                    data = wire._whole(response)
                    size, result = len(data), "refused"
                    self._put(refusal(wire.address, status, data))
                    return
                for piece in response.iter_stream():
                    size += len(piece)
                    self._put(piece)
                result = "done"
                self._put(None)
        except BrokenOff:
            return
        except DeepSearchError as error:
            self._put_last(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, who waits for the reply must be told
            result = "lost" if not self._left else result
            self._put_last(wire._lost(error))
        finally:
            wire._write(entry, began, status, size, result)

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._stream = info["return_value"]
                if self._left:
                    raise BrokenOff

    def _put(self, piece: bytes | DeepSearchError | None) -> None:
        while not self._left:
            try:
                self.pieces.put(piece, timeout=TICK)
            except queue.Full:
                continue
            return
        raise BrokenOff

    def _put_last(self, error: DeepSearchError) -> None:
        with suppress(BrokenOff):
            self._put(error)


def refusal(address: Address, status: int, data: bytes) -> ModelError:
    """What a server's refusal means."""
    said, name = _said(data), address.label
    words = said.lower()
    told = f": {said}" if said else "."
    if status in (401, 403):
        hint = f"Put the server's key into the environment variable {endpoints.KEY} and start again."
        return EndpointError(f"{name} wants a key, or another one ({status}){told}", hint, status)
    if status == 429:
        return EndpointError(f"{name} has too much to do (429){told}", "Wait a little; the run can go on then.", status)
    if "context" in words and any(word in words for word in ("exceed", "maximum", "length", "longer", "too long")):
        hint = "Start the server with a larger context, set context to what it has, or ask something narrower."
        return ContextOverflow(f"{name} says that the prompt is too long: {said}", hint)
    if status == 404 and "model" in words:
        return ModelMissing(f"{name} has no such model: {said}", "Name one that it has with --endpoint-model.")
    if status == 503 and "loading" in words:
        return EndpointError(f"{name} is still loading its model.", "Wait until it is ready, then go on.", status)
    if status >= 500:
        return EndpointError(f"{name} has failed ({status}){told}", "Its own log says more.", status)
    if 300 <= status < 400:
        return EndpointError(f"{name} wants to be asked elsewhere ({status}).", "Name that address instead.", status)
    return EndpointError(f"{name} refuses the request ({status}){told}", "", status)


def said_in(data: object) -> str:
    """The words of an error as servers write it: text, or an object with text in one of the usual places."""
    while isinstance(data, dict):
        data = next((data[key] for key in ("error", "message", "detail") if data.get(key)), "")
    return clean_line(str(data or ""), _TOLD)


def _said(data: bytes) -> str:
    try:
        return said_in(json.loads(data))
    except ValueError:
        return clean_line(data[: _TOLD * 4].decode("utf-8", errors="replace"), _TOLD)


def _garbled(address: Address, data: bytes) -> EndpointError:
    start = clean_line(data[:60].decode("utf-8", errors="replace"))
    return EndpointError(
        f"{address.label} says what is no JSON: {start}",
        "Is this the address of a model server? It speaks OpenAI's API.",
        200,
    )
