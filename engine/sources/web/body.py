"""The body of a response as it comes in: unpacked piece by piece, and never more of it than was agreed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.errors import SourceError

ENCODINGS = "gzip, deflate"
"""What a request says it can unpack."""

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What one page may cost. Sizes in bytes after unpacking, times in seconds.

    ``ratio`` is how many times larger than what was sent a body may become, once it is larger than ``ratio_from``.
    ``patience`` is the longest wait that a server may ask for; one that asks for more is not asked again.
    """

    size: int = 8_000_000
    ratio: int = 100
    ratio_from: int = 1_000_000
    seconds: float = 45.0
    idle: float = 12.0
    connect: float = 8.0
    redirects: int = 5
    attempts: int = 3
    patience: float = 10.0


def read_body(chunks: Iterable[bytes], encoding: str, limits: Limits) -> bytes:
    """The unpacked body. Raises SourceError where it is too large, unpacks too far, or is damaged."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        pieces: Iterator[bytes] = iter(chunks)
    elif name in ("gzip", "x-gzip", "deflate"):
        pieces = _unpacked(chunks, limits)
    else:
        raise SourceError(f"it is packed in a way that was not asked for ({name[:40]})")
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limits.size:
            raise too_large(limits)
    return bytes(body)


def too_large(limits: Limits) -> SourceError:
    """What is said of a body above the limit."""
    return SourceError(f"it is larger than {limits.size / 1e6:g} MB")


def _unpacked(chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    unpack: zlib._Decompress | None = None
    sent = made = 0
    for chunk in chunks:
        sent += len(chunk)
        rest = chunk
        while rest:
            if unpack is None:
                unpack = _unpacker(rest)
            try:
                piece = unpack.decompress(rest, _PIECE)
            except zlib.error as error:
                raise SourceError("its packed content is damaged") from error
            made += len(piece)
            if made > limits.ratio_from and made > sent * limits.ratio:
                raise SourceError(f"it unpacks to more than {limits.ratio} times what was sent")
            yield piece
            if unpack.eof:
                return  # browsers ignore what follows, too
            rest = unpack.unconsumed_tail
    if sent and (unpack is None or not unpack.eof):
        raise SourceError("its packed content ends too early")


def _unpacker(head: bytes) -> zlib._Decompress:
    """For gzip and zlib by their first byte; what begins otherwise is the bare deflate that some servers send."""
    wrapped = head[0] == 0x1F or (head[0] & 0x0F) == 8
    return zlib.decompressobj(zlib.MAX_WBITS | 32 if wrapped else -zlib.MAX_WBITS)
