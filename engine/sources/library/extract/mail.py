"""Mail: what was written, under its subject. Attachments are named, not opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.header import decode_header
from email.message import Message

from engine.clean import clean_line
from engine.sources.library.extract.base import Extracted, NotTextError, Unreadable
from engine.sources.library.extract.decode import decode
from engine.sources.library.extract.html import read_html
from engine.sources.library.extract.write import Writer

_SHOWN = ("From", "To", "Cc", "Date")
_FIELD = re.compile(rb"[!-9;-~]+:[ \t]*\S?")
_START = re.compile(rb"^From [^\n]*\n", re.MULTILINE)
_QUOTED_START = re.compile(rb"^>(>*From )", re.MULTILINE)
_LONGEST_FIELD = 2000
_MOST_PARTS = 200
_NO_SUBJECT = "(no subject)"


def extract_mail(data: bytes) -> Extracted:
    """One mail, as mail programs save it."""
    if not _FIELD.match(data.lstrip(b"\xef\xbb\xbf\r\n")[:200]):
        raise Unreadable("It is no mail: it does not begin with a header.", "Check what it is and name it so.")
    writer = Writer()
    try:
        _write(writer, data.lstrip(b"\xef\xbb\xbf\r\n"))
    except _Unclear as error:
        raise Unreadable(f"The mail could not be read: {error}.", "Save it again from a mail program.") from error
    return writer.finish()


def extract_mbox(data: bytes) -> Extracted:
    """A mailbox: each mail is a page under its subject."""
    starts = [match for match in _START.finditer(data) if _begins(data, match.start(), match.end())]
    if not starts or data[: starts[0].start()].strip():
        raise Unreadable("It is no mailbox: it does not begin with a mail.", "Check what it is and name it so.")
    writer = Writer()
    ends = [match.start() for match in starts[1:]] + [len(data)]
    for number, (match, end) in enumerate(zip(starts, ends, strict=True), start=1):
        writer.page()
        try:
            _write(writer, _QUOTED_START.sub(rb"\1", data[match.end() : end]))
        except _Unclear as error:
            writer.note(f"Mail {number} could not be read: {error}.")
    return writer.finish("Mailbox")


class _Unclear(Exception):
    """What a mail is made of cannot be told."""


def _begins(data: bytes, start: int, end: int) -> bool:
    """Whether a line that begins with From begins a mail: after an empty line, and with a header below."""
    before = data[max(0, start - 4) : start]
    return (start == 0 or before.endswith((b"\n\n", b"\n\r\n"))) and bool(_FIELD.match(data, end, end + 200))


def _write(writer: Writer, data: bytes) -> None:
    message = _parse(data)
    writer.heading(1, _header(message, "Subject") or _NO_SUBJECT)
    for name in _SHOWN:
        if value := _header(message, name):
            writer.line(f"{name}: {value}")
    writer.gap()
    attached = []
    for part in _parts(message):
        if isinstance(part, str):
            attached.append(part)
        else:
            _write_part(writer, part)
    writer.gap()
    for each in attached:
        writer.line(f"Attachment: {each}")


def _parse(data: bytes) -> Message:
    try:
        return message_from_bytes(data, policy=policy.compat32)
    except RecursionError as error:
        raise _Unclear("its parts are nested too deep") from error
    except Exception as error:
        raise _Unclear(f"it is damaged ({type(error).__name__})") from error


def _header(message: Message, name: str) -> str:
    """A header as people write it."""
    return _header_words(str(message.get(name, "")))


def _header_words(raw: str) -> str:
    words = []
    raw = raw[:_LONGEST_FIELD]
    try:
        for piece, charset in decode_header(raw):
            words.append(piece if isinstance(piece, str) else _decoded(piece, charset or "utf-8"))
    except Exception:  # noqa: BLE001 - a header that cannot be decoded is shown as it is
        words = [raw]
    return clean_line("".join(words), 500)


def _decoded(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset, errors="replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", errors="replace")


def _parts(message: Message) -> Iterator[Message | str]:
    """The parts to be read, in order; and in words, those that are attached."""
    waiting: list[Message] = [message]
    seen = 0
    while waiting and seen < _MOST_PARTS:
        seen += 1
        part = waiting.pop()
        kind = part.get_content_type()
        children = [each for each in part.get_payload() if isinstance(each, Message)] if part.is_multipart() else []
        if kind == "message/rfc822" or part.get_content_disposition() == "attachment" or _file(part):
            yield _attachment(part, kind, children)
        elif kind == "multipart/alternative" and children:
            waiting.append(_best(children))
        elif children:
            waiting += reversed(children)
        elif kind in ("text/plain", "text/html"):
            yield part
        elif not part.is_multipart() and kind.partition("/")[0] not in ("multipart", "text"):
            yield _attachment(part, kind, [])
    if waiting:
        yield "and more, which was not looked at"


def _best(children: list[Message]) -> Message:
    """Of parts that say the same, the plain text if it says anything, else the last: the richest."""
    plain = next((each for each in children if each.get_content_type() == "text/plain"), None)
    return plain if plain is not None and _content(plain).strip() else children[-1]


def _content(part: Message) -> bytes:
    """What a part holds, decoded; nothing where that cannot be done."""
    try:
        content = part.get_payload(decode=True)
    except Exception:  # noqa: BLE001 - what declares itself in a way that nobody thought of
        return b""
    return content if isinstance(content, bytes) else b""


def _file(part: Message) -> str:
    """The name a part has as a file, empty if it is none."""
    try:
        return part.get_filename() or ""
    except Exception:  # noqa: BLE001 - a name that cannot be decoded is none
        return ""


def _attachment(part: Message, kind: str, children: list[Message]) -> str:
    """An attachment in words: its name, kind and size."""
    name = _header_words(_file(part)) or (_header(children[0], "Subject") if children else "") or "without a name"
    content = _content(part)
    size = f", {len(content) / 1000:,.0f} kB" if len(content) > 1000 else ""
    return f"{name} ({clean_line(kind, 80)}{size})"


def _write_part(writer: Writer, part: Message) -> None:
    """A part that is text."""
    try:
        text = decode(_content(part), _charset(part))
    except NotTextError as error:
        writer.line(f"[a part of this mail could not be read: {error}]")
        return
    if part.get_content_type() == "text/html":
        _, text, _ = read_html(text)
    writer.gap()
    writer.lines(text)


def _charset(part: Message) -> str:
    """The encoding a part declares, empty if it does so in no way that is understood."""
    try:
        return part.get_content_charset() or ""
    except Exception:  # noqa: BLE001 - see _content
        return ""
