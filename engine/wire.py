"""Messages to JSON and back at the speed of a library, for the hundred thousand records that a long session holds.

It does what it can do exactly as :mod:`engine.protocol` would, and leaves all else to it: a line that was written by
another version, a number that JSON has no sign for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

_BEGIN = '{"kind":"'


def kind_of(line: str) -> str:
    """The kind of a message on a line as :func:`written` writes it; empty where that cannot be told at a glance."""
    end = line.find('"', len(_BEGIN))
    return line[len(_BEGIN) : end] if line.startswith(_BEGIN) and line[end + 1 : end + 2] in (",", "}") else ""


def written(record: Any) -> str | None:
    """A dataclass as one line of JSON, its kind first; None where ``json`` has to do it."""
    try:
        fields = _writer()(record)
    except (TypeError, ValueError, RecursionError):
        return None
    if b"null" in fields:  # it stands for a float that is none, too
        return None
    kind = f'{_BEGIN}{type(record).__name__}"'
    return f"{kind}}}" if fields == b"{}" else f"{kind},{fields[1:].decode()}"


def read(cls: type, line: str) -> Any:
    """The message of this class on a line; None where it is not quite what the class says."""
    from msgspec import MsgspecError

    try:
        return _reader(cls)(line)
    except (MsgspecError, TypeError, ValueError, RecursionError):
        return None


@cache
def _writer() -> Callable[[Any], bytes]:
    from msgspec.json import Encoder

    return Encoder().encode


@cache
def _reader(cls: type) -> Callable[[str], Any]:
    from msgspec.json import Decoder

    return Decoder(cls).decode
