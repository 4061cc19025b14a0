"""Addresses of pages: one spelling for each, and a plain no to every other way of writing one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from engine.clean import clean_line
from engine.errors import Refused
from engine.sources.web.addresses import why_not

_LONGEST = 4000
_PORTS = frozenset({80, 443, 8000, 8080, 8443})
"""Where pages are served. Other ports speak other protocols, which an address in a page could be made to upset."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOCAL_NAMES = (
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "onion",
)
_NOT_QUOTED = "/:@!$&'()*+,;=~%-._"
_ADDRESS = re.compile(r"https?://[^\s<>\"'`{}|\\^]{1,4000}", re.IGNORECASE)
_AFTER_A_SENTENCE = ".,;:!?)]}'\"»”’"


@dataclass(frozen=True)
class Allowance:
    """Places the user has named as their own, which may be reached although they are not public.

    ``endpoints`` are ``host:port``, exactly as the user's address spells them. Only ever given by code that knows the
    user's wish (or by a test), never read from the environment or from a page.
    """

    endpoints: frozenset[str] = frozenset()


NOTHING = Allowance()


@dataclass(frozen=True)
class Target:
    """A page's address in its one spelling. ``path`` holds the query too; ``host`` is ASCII and lower-case."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def endpoint(self) -> str:
        """``host:port``, with an IPv6 address in brackets."""
        return f"{self._bracketed}:{self.port}"

    @property
    def authority(self) -> str:
        """The host as a request names it: with its port where that is not the usual one."""
        return self._bracketed if self.port == _DEFAULT_PORTS[self.scheme] else self.endpoint

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse(url: str, allow: Allowance = NOTHING) -> Target:
    """The place an address names. Raises Refused for one that is not a plain address of a public page.

    What is looked at is the spelling; where a name leads is checked when it is resolved.
    """
    target = own(url)
    if target.endpoint not in allow.endpoints:
        _check_place(target, url)
    return target


def own(url: str) -> Target:
    """The place that an address of the user's own names, wherever that is. Raises Refused where it is not written well.

    Only for addresses from the user's settings, never for one that anybody else has written.
    """
    url = url.strip()
    if len(url) > _LONGEST:
        raise _refused(url, f"it is longer than {_LONGEST} characters")
    if _CONTROL.search(url):
        raise _refused(url, "it holds control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(url, "it is not an address") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refused(url, "only http and https addresses are opened")
    if "@" in parts.netloc:
        raise _refused(url, "it holds a user name")
    host = _host(parts.netloc, url)
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    path = quote(parts.path or "/", safe=_NOT_QUOTED, errors="replace")
    query = f"?{quote(parts.query, safe=_NOT_QUOTED + '?', errors='replace')}" if parts.query else ""
    return Target(parts.scheme, host, port, path + query)


def join(base: Target, link: str, allow: Allowance = NOTHING) -> Target:
    """Where a link on a page leads. Raises Refused as :func:`parse` does."""
    try:
        return parse(urljoin(base.url, link.strip()), allow)
    except ValueError as error:
        raise _refused(link, "it is not an address") from error


def mentioned(text: str) -> tuple[str, ...]:
    """The addresses written out in a text, in their one spelling; those that may not be opened are left out."""
    found = []
    for match in _ADDRESS.finditer(text):
        try:
            found.append(parse(_without_sentence_end(match[0])).url)
        except Refused:
            continue
    return tuple(dict.fromkeys(found))


def _without_sentence_end(address: str) -> str:
    opened, closed = address.count("("), address.count(")")
    end = len(address)
    while end and address[end - 1] in _AFTER_A_SENTENCE:
        if address[end - 1] == ")":
            if opened >= closed:
                break  # a bracket that belongs to the address, as in .../Lamp_(lighthouse)
            closed -= 1
        end -= 1
    return address[:end]


def _host(authority: str, url: str) -> str:
    """The host of an address in ASCII; numbers only as IPv4 or IPv6 addresses are properly written."""
    name = authority.rpartition(":")[0] if re.search(r":\d*$", authority) else authority
    if name.startswith("["):
        try:
            address = IPv6Address(name[1:-1])
        except (AddressValueError, ValueError) as error:
            raise _refused(url, "its host is not an address") from error
        if not name.endswith("]") or address.scope_id is not None:
            raise _refused(url, "its host is not an address")
        return str(address)
    name = _ascii(name, url).lower().removesuffix(".")
    labels = name.split(".")
    if not name:
        raise _refused(url, "it names no host")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused(url, "its host is not a name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except AddressValueError as error:
            raise _refused(url, "its host is an unusual spelling of an address") from error
    return name


def _ascii(name: str, url: str) -> str:
    if name.isascii():
        return name
    import idna

    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError as error:
        raise _refused(url, "its host is not a name") from error


def _check_place(target: Target, url: str) -> None:
    if target.port not in _PORTS:
        raise _refused(url, f"port {target.port} is not one that pages are served on")
    labels = target.host.split(".")
    if ":" in target.host or labels[-1].isdigit():
        if what := why_not(target.host):
            raise _refused(url, f"{target.host} is {what}")
    elif len(labels) == 1 or any(f".{target.host}".endswith(f".{name}") for name in _LOCAL_NAMES):
        raise _refused(url, f"{target.host} is a name inside a local network")


def _refused(url: str, why: str) -> Refused:
    return Refused(f"{clean_line(url, 200)} is not opened: {why}", "Only public http and https pages can be read.")
