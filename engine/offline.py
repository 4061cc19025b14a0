"""The guard that keeps this process off the network: offline is not a habit of the code but a thing that is enforced.

Python tells an audit hook of every socket that is made, connected or sent from, and of every name that is looked up,
also where a library does it. A hook cannot be taken out again, so nothing that runs here can lift the guard by
accident. It stops mistakes, not malice: native code that makes its own system calls is not seen. The libraries in use
that could do that are kept from being imported, and the hubs that others download from are told to stay offline.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import NetworkForbidden

Endpoint = tuple[str, int]
"""Host, as the user's address spells it, and port."""

QUIET_HUBS = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Environment variables that the model hubs' libraries read when they are imported."""

_NATIVE_CLIENTS = frozenset({"primp"})
"""Libraries that reach the network without Python's sockets."""

_HINT = "Turn the web on for what needs it, or name your own endpoint in the settings."

_allowed: frozenset[Endpoint] | None = None
_passages: tuple[set[Endpoint], ...] = ()
_changing = threading.Lock()
_hooked = False


def forbid(allowed: Iterable[Endpoint] = ()) -> None:
    """From now on this process may reach the ``allowed`` endpoints and nothing else, until :func:`permit`.

    Sockets of the local machine that are no network (AF_UNIX, pipes) stay as they are. What is refused raises
    NetworkForbidden where it was tried. Call it before libraries that download models are imported.
    """
    global _allowed, _hooked
    os.environ.update(QUIET_HUBS)
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _allowed = frozenset((host.strip("[]").lower(), port) for host, port in allowed)


def permit() -> None:
    """Lift the guard: the user has turned the web on."""
    global _allowed
    _allowed = None


def hold(mode: str, allowed: Iterable[Endpoint] = ()) -> None:
    """The guard as a mode of the web wants it: up in ``off``, but for the ``allowed`` endpoints, lifted in any other."""
    if mode == "off":
        forbid(allowed)
    else:
        permit()


@contextmanager
def passage() -> Iterator[Callable[[str, int], None]]:
    """While the block runs, what is named to the function given (a host or an address, and a port) may be reached too.

    For the one thing that a user asked for by its address: the guard stays up for all else, and in every mode.
    """
    global _passages
    mine: set[Endpoint] = set()
    with _changing:
        _passages = (*_passages, mine)
    try:
        yield lambda host, port: mine.add((host.strip("[]").lower(), port))
    finally:
        with _changing:
            _passages = tuple(each for each in _passages if each is not mine)


@contextmanager
def guarded() -> Iterator[None]:
    """The guard is up while the block runs; afterwards it is as it was."""
    was = _allowed
    forbid(was or ())
    try:
        yield
    finally:
        if was is None:
            permit()


def is_forbidden() -> bool:
    """Whether the guard is up."""
    return _allowed is not None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    check = _CHECKS.get(event)
    if check is not None and (allowed := _allowed) is not None:
        check(args, allowed.union(*_passages))


def _made(args: tuple[Any, ...], allowed: frozenset[Endpoint]) -> None:
    family = args[1]
    if not _is_local(family) and not (allowed and family in (socket.AF_INET, socket.AF_INET6)):
        raise _forbidden("opening a socket")


def _used(args: tuple[Any, ...], allowed: frozenset[Endpoint]) -> None:
    sock, address = args
    if _is_local(sock.family) or address is None:  # None: it is connected, and that was looked at
        return
    if not isinstance(address, tuple) or not _is_allowed(str(address[0]).lower(), address[1], allowed):
        raise _forbidden(f"reaching {address}")


def _bound(args: tuple[Any, ...], allowed: frozenset[Endpoint]) -> None:  # noqa: ARG001 - no endpoint makes it right
    sock, address = args
    if not _is_local(sock.family):
        raise _forbidden(f"listening on {address}")


def _looked_up(args: tuple[Any, ...], allowed: frozenset[Endpoint]) -> None:
    host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else str(args[0])
    if not any(host.lower() == name for name, _ in allowed):
        raise _forbidden(f"looking up {host}")


def _imported(args: tuple[Any, ...], allowed: frozenset[Endpoint]) -> None:  # noqa: ARG001 - none is reached that way
    if args[0] in _NATIVE_CLIENTS:
        raise _forbidden(f"loading {args[0]}, which connects by itself,")


_CHECKS: dict[str, Callable[[tuple[Any, ...], frozenset[Endpoint]], None]] = {
    "socket.__new__": _made,
    "socket.connect": _used,
    "socket.sendto": _used,
    "socket.sendmsg": _used,
    "socket.bind": _bound,
    "socket.getaddrinfo": _looked_up,
    "socket.gethostbyname": _looked_up,
    "socket.gethostbyaddr": _looked_up,
    "socket.getnameinfo": _looked_up,
    "import": _imported,
}


def _is_local(family: int) -> bool:
    """Whether sockets of this family stay on this machine. -1: an open one is wrapped, whatever it is."""
    return family in (-1, getattr(socket, "AF_UNIX", -1))


def _is_allowed(host: str, port: int, allowed: frozenset[Endpoint]) -> bool:
    """Whether an address is one of the endpoints, by its name or by what the name stands for."""
    if (host, port) in allowed:
        return True
    for name, its_port in allowed:
        if its_port == port:
            try:
                found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            except OSError:
                continue
            if any(host == str(each[4][0]).lower() for each in found):
                return True
    return False


def _forbidden(what: str) -> NetworkForbidden:
    return NetworkForbidden(f"The network is off: {what} was refused.", _HINT)
