"""Documents that are zip archives of XML: opened so that no archive, and nothing in it, can take more than its share.

Nothing is unpacked to disk, no archive in the archive is opened, and XML is read as a stream whose entities are refused.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from engine.clean import clean_line
from engine.sources.library.extract.base import Unreadable

MOST_UNPACKED = 256 * 1024 * 1024
"""Bytes that are unpacked of one archive, all in all."""

_MOST_WHOLE = 32 * 1024 * 1024
_MOST_MEMBERS = 50_000
_MOST_RATIO, _RATIO_FROM = 200, 4 * 1024 * 1024
"""How many times larger a member may become, from this size on. Text becomes 5 to 20 times larger, sheets of numbers 50."""

_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_PIECE = 64 * 1024
_SAVE_AGAIN = "Open it in its own program and save it again."

_SIGNS = (
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or a password-protected Office file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"{\\rtf", "an RTF text"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"<?xml", "an XML file"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)


def seems(data: bytes) -> str:
    """What a file seems to be by how it begins, empty where that says nothing."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((name for sign, name in _SIGNS if head.startswith(sign) or head.lower().startswith(sign)), "")


def not_a(what: str, data: bytes) -> Unreadable:
    """The error for a file that is not what its name says."""
    match seems(data):
        case "an old or a password-protected Office file" as other:
            hint = "Save it in the new format without a password, and index again."
        case "":
            return Unreadable(f"It is no {what}, or a damaged one.", _SAVE_AGAIN)
        case other:
            hint = "Give it the name that fits what it is, and index again."
    return Unreadable(f"It is no {what}: it seems to be {other}.", hint)


class Event(NamedTuple):
    """One step through an XML document. ``name``: an element's without its namespace, or the text."""

    what: Literal["start", "end", "text"]
    name: str
    attributes: Mapping[str, str] = {}


class Relation(NamedTuple):
    """A member that another one refers to, and what it is to that one: ``styles``, ``slide``."""

    kind: str
    member: str


class Package:
    """A zip archive that calls itself a ``what``. Every method raises Unreadable."""

    def __init__(self, data: bytes, what: str) -> None:
        self._what = what
        self._unpacked = 0
        try:
            self._archive = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, IndexError, OverflowError) as error:
            raise (self._damaged(error) if data.startswith(b"PK") else not_a(what, data)) from error
        members = self._archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise self._bomb(f"it holds {len(members):,} files")
        self._members = {each.filename: each for each in members}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def names(self) -> list[str]:
        """The members, as they stand in the archive."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """A whole member, which must not be very large."""
        info = self._members.get(name)
        if info is not None and info.file_size > _MOST_WHOLE:
            raise self._bomb(f"a part of it is larger than {_MOST_WHOLE // 1024 // 1024} MB")
        return b"".join(self._pieces(name))

    def events(self, name: str) -> Iterator[Event]:
        """The XML of a member, step by step. Text may come in several pieces. A member that is missing has no steps."""
        if name not in self:
            return
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import DefusedXMLParser, ParseError

        steps = _Steps()
        parser: Any = DefusedXMLParser(target=steps)
        try:
            for piece in self._pieces(name):
                parser.feed(piece)
                yield from steps.take()
            parser.close()
            yield from steps.take()
        except DefusedXmlException as error:
            raise Unreadable(
                f"It defines XML entities, as no {self._what} needs to.", "It may be made to do harm: leave it out."
            ) from error
        except (ParseError, ValueError, LookupError) as error:
            raise self._damaged(error) from error

    def relations(self, name: str) -> dict[str, Relation]:
        """What a member refers to within the archive, by the ids it has for it. The archive itself is the member ""."""
        folder, own = posixpath.split(name)
        found = {}
        for event in self.events(posixpath.join(folder, "_rels", f"{own}.rels")):
            mine = event.attributes
            if event.what == "start" and event.name == "Relationship" and mine.get("TargetMode") != "External":
                kind = mine.get("Type", "").rpartition("/")[2]
                found[mine.get("Id", "")] = Relation(kind, resolve(name, mine.get("Target", "")))
        return found

    def related(self, name: str, kind: str) -> list[str]:
        """The members of one kind that a member refers to."""
        return [each.member for each in self.relations(name).values() if each.kind == kind]

    def main(self) -> str:
        """The member that an Office document begins with."""
        found = self.related("", "officeDocument")
        if not found or found[0] not in self:
            hint = "Check what it is; if it is one, open it in its own program and save it again."
            raise Unreadable(f"It is a zip archive, but no {self._what}.", hint)
        return found[0]

    def title(self) -> str:
        """What an Office document calls itself."""
        words, within = "", False
        for event in self.events("docProps/core.xml"):
            if event.what == "text":
                words += event.name if within else ""
            elif event.name == "title":
                within = event.what == "start"
        return clean_line(words)

    def _pieces(self, name: str) -> Iterator[bytes]:
        info = self._members.get(name)
        if info is None:
            raise self._damaged(f"{clean_line(name, 80)} is missing")
        if info.flag_bits & 0x1:
            raise Unreadable("It is protected with a password.", "Save it without one, and index again.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._damaged(f"{clean_line(name, 80)} is packed in a way that such documents are not")
        if info.file_size > max(_RATIO_FROM, _MOST_RATIO * info.compress_size):  # more than it says is never unpacked
            raise self._bomb(f"a part of it unpacks to more than {_MOST_RATIO} times its size")
        try:
            with self._archive.open(info) as member:
                while piece := member.read(_PIECE):
                    self._unpacked += len(piece)
                    if self._unpacked > MOST_UNPACKED:
                        raise self._bomb(f"it unpacks to more than {MOST_UNPACKED // 1024 // 1024} MB")
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise self._damaged(error) from error

    def _damaged(self, why: object) -> Unreadable:
        return Unreadable(f"It is a damaged {self._what}: {clean_line(str(why), 120)}.", _SAVE_AGAIN)

    def _bomb(self, why: str) -> Unreadable:
        hint = "It may be made to do harm. If it is yours, split it into smaller files."
        return Unreadable(f"It is too large for a {self._what}: {why}.", hint)


def resolve(name: str, target: str) -> str:
    """The member that ``target``, in the member ``name``, refers to."""
    try:
        path = unquote(urlsplit(target).path)
    except ValueError:  # no address at all, such as one with half a bracket
        return ""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(name), path)).lstrip("/")


class _Steps:
    """Collects what the parser sees, without making a tree of it, and without what is told again for old programs."""

    def __init__(self) -> None:
        self._steps: list[Event] = []
        self._again = 0  # how deep in it

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._again or tag == _FALLBACK:
            self._again += 1
            return
        named = {_attribute(name): value for name, value in attributes.items()} if attributes else {}
        self._steps.append(Event("start", _local(tag), named))

    def end(self, tag: str) -> None:
        if self._again:
            self._again -= 1
        else:
            self._steps.append(Event("end", _local(tag)))

    def data(self, text: str) -> None:
        if not self._again:
            self._steps.append(Event("text", text))

    def close(self) -> None: ...

    def take(self) -> list[Event]:
        steps, self._steps = self._steps, []
        return steps


@lru_cache(4096)
def _local(name: str) -> str:
    """The name of an element without its namespace, which differs between dialects."""
    return name.rpartition("}")[2]


@lru_cache(4096)
def _attribute(name: str) -> str:
    """The name of an attribute without its namespace; a reference stays apart from other ids as ``r:id``."""
    space, _, local = name.rpartition("}")
    return f"r:{local}" if space.endswith("relationships") else local
