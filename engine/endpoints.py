"""The address of a server that the user has named: read once, so that guard, ledger and client mean the same place."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.errors import SettingsError

KEY = "DEEPSEARCH_ENDPOINT_KEY"
"""The environment variable that holds the server's key. It is read from nowhere else and written nowhere."""

_HINT = "Give an address like http://127.0.0.1:8080 or https://gpu.example:8000/v1."


@dataclass(frozen=True)
class Address:
    """Where a server is. ``path`` is what stands before ``/v1``, mostly nothing."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def label(self) -> str:
        """What a person is told: host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.label}{self.path}"

    @property
    def place(self) -> tuple[str, int]:
        """Host and port, as the guard against the network wants them."""
        return self.host, self.port

    @property
    def here(self) -> bool:
        """Whether it is this very machine, so that nothing leaves it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def read(url: str) -> Address:
    """The address that ``url`` names; a ``/v1`` at its end is no part of it. Raises SettingsError."""
    try:
        parts = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise SettingsError(f"endpoint = {url!r} is no address: {error}", _HINT) from error
    if parts.username is not None or parts.password is not None:
        raise SettingsError("endpoint has a name or key in it", f"Put the key into the variable {KEY} instead.")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise SettingsError(f"endpoint = {url!r} is no address of a server", _HINT)
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return Address(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)
