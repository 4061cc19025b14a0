"""For all tests: a busy machine is no reason to fail, and nothing leaves this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from engine import offline

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

_left: list[str] = []
"""What tried to leave this machine during a test."""


def _watch(event: str, args: tuple[Any, ...]) -> None:
    """Python asks this before each socket goes anywhere. It cannot be taken out, nor stepped around by a library."""
    if event in ("socket.connect", "socket.sendto"):
        family, address = args[0].family, args[1]
        if family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            _refuse(f"reach {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and args[0] and not _is_here(args[0]):
        _refuse(f"look up {args[0]!r}")


def _refuse(what: str) -> None:
    _left.append(what)
    raise OSError(f"a test wanted to {what}")


def _is_here(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def nothing_leaves() -> Iterator[list[str]]:
    """Fails a test that tried to. Lifts the engine's own guard after one that put it up."""
    _left.clear()
    yield _left
    offline.permit()
    tried = list(_left)
    _left.clear()
    assert tried == [], "nothing but this machine may be reached"
