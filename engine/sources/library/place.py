"""Where the chunk table of a library is: in the library's own folder, or at an address that its user named.

The address is kept with the library; credentials never are: they come from the environment each time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.clean import clean_line
from engine.errors import LibraryCorrupt, LibraryError

HERE = "local"
"""What names the library's own folder."""

_SECRET = "Keys and passwords are taken from the environment, not from the address."  # noqa: S105 - it is a sentence
_FORMS = "Write s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, db://NAME, or local."

_NEEDED = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"),
    "db": ("LANCEDB_API_KEY",),
}
"""Variables that must be set. Without a key, clients look for one at other hosts, which nobody named."""

_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_PATIENCE = {"connect_timeout": "10s", "timeout": "60s", "client_max_retries": "3", "client_retry_timeout": "30"}
"""Left alone, a place that cannot be reached is asked again for three minutes."""


@dataclass(frozen=True)
class Place:
    """``uri`` is empty for the library's own folder. ``table`` is a name that no other library uses."""

    uri: str = ""
    table: str = "chunks"

    @property
    def remote(self) -> bool:
        return bool(self.uri)

    @property
    def service(self) -> bool:
        """Whether it is LanceDB's own service, which sees to its indexes itself."""
        return self.uri.startswith("db://")


def at(uri: str) -> Place:
    """A new place at an address, or the library's own folder for ``local``. Raises LibraryError."""
    if uri == HERE:
        return Place()
    parts = _parts(uri)
    if parts.scheme not in _NEEDED or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", parts.netloc):
        secret = "@" in parts.netloc
        raise LibraryError(
            f"{'This' if secret else repr(clean_line(uri, 80))} is no place for a library.", _hint(secret)
        )
    if parts.query or parts.fragment or clean_line(uri) != uri or ".." in parts.path.split("/"):
        raise LibraryError("This is no place for a library.", f"{_SECRET} {_FORMS}")
    return Place(uri.rstrip("/"), f"chunks-{secrets.token_hex(6)}")


def _hint(secret: bool) -> str:
    return f"{_SECRET} {_FORMS}" if secret else _FORMS


def _parts(uri: str) -> Any:
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise LibraryError("This is no place for a library.", _FORMS) from error


def load(path: Path) -> Place:
    """The place that was kept; without a file, the library's own folder. Raises LibraryCorrupt."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Place(str(kept["uri"]), str(kept["table"]))
    except FileNotFoundError:
        return Place()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryCorrupt(
            f"What was noted about the library's place is damaged: {error}", "Name it again: index --at URI --rebuild"
        ) from error


def save(path: Path, place: Place) -> None:
    """Keep a place, or forget it for the library's own folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not place.remote:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"version": 1, "uri": place.uri, "table": place.table}, indent=2), encoding="utf-8")
    fresh.replace(path)


def options(place: Place, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the object store's client must be told. Raises LibraryError where the environment names no key."""
    env = os.environ if env is None else env
    scheme = urlsplit(place.uri).scheme
    missing = [name for name in _NEEDED[scheme] if not env.get(name)]
    if missing:
        raise LibraryError(
            f"The library's index is at {place.uri}, and there is no key for it.", f"Set {' and '.join(missing)}."
        )
    told = dict(_PATIENCE)
    if scheme == "s3":
        told["aws_access_key_id"], told["aws_secret_access_key"] = (env[name] for name in _NEEDED["s3"])
        told["aws_region"] = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
        if token := env.get("AWS_SESSION_TOKEN"):
            told["aws_session_token"] = token
        if endpoint := _s3_endpoint(env):
            told["aws_endpoint"] = endpoint
            told["allow_http"] = str(endpoint.startswith("http://")).lower()
    return told


def host(place: Place, env: Mapping[str, str] | None = None) -> str:
    """The host that is connected to, for people; empty for the library's own folder."""
    env = os.environ if env is None else env
    parts = urlsplit(place.uri)
    match parts.scheme:
        case "s3":
            region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
            return urlsplit(_s3_endpoint(env)).netloc.rpartition("@")[2] or f"s3.{region}.amazonaws.com"
        case "gs":
            return "storage.googleapis.com"
        case "az":
            return f"{env.get('AZURE_STORAGE_ACCOUNT_NAME') or 'ACCOUNT'}.blob.core.windows.net"
        case "db":
            return f"{parts.netloc}.{region_of_service(env)}.api.lancedb.com"
    return ""


def region_of_service(env: Mapping[str, str] | None = None) -> str:
    """In which region LanceDB's service keeps the database."""
    return (os.environ if env is None else env).get("LANCEDB_REGION") or "us-east-1"


def _s3_endpoint(env: Mapping[str, str]) -> str:
    return next((env[name] for name in _S3_ENDPOINTS if env.get(name)), "")
