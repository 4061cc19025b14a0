"""Opening a document in the program that the system has for it. Only documents: nothing that would be run instead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

DOCUMENTS = frozenset(
    """.csv .doc .docx .eml .epub .htm .html .ipynb .json .jsonl .log .markdown .mbox .md .odt .pdf .pptx .rst .tex .text
    .tsv .txt .xhtml .xlsx .xml .yaml .yml""".split()  # noqa: SIM905 - easier to read
)
"""Endings of files that systems show. A script, a program or a file without an ending could be run by opening it."""


_SECONDS = 5
"""How long to wait for word of a failure."""


def path_of(uri: str) -> Path:
    """The file that a document of the library was read from."""
    if uri.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))
    return Path(uri)


def is_web(uri: str) -> bool:
    """Whether it is a plain address of the web, without a user name or a password in it."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and uri.isprintable()


def why_not(path: Path) -> str:
    """Why this file is not opened; empty where it can be."""
    if not path.is_absolute():
        return f"{path} is no file of this computer."
    try:
        if not path.is_file():
            return f"{path} is not there any more."
        real = path.resolve()
    except OSError as error:
        return f"{path}: {error.strerror}."
    if not {path.suffix.casefold(), real.suffix.casefold()} <= DOCUMENTS:
        return f"A file like {path.name} could be run by opening it. Its place: {path}"
    return ""


def command(target: str, platform: str = sys.platform) -> list[str]:
    """What is run to open a file; empty on Windows, which has a call for it."""
    if platform == "win32":
        return []
    return ["open", target] if platform == "darwin" else ["xdg-open", target]


def open_file(path: Path) -> str:
    """Open the file in the program that the system has for it. What went wrong, empty if nothing did.

    To be called away from the screen: some systems take a while.
    """
    if reason := why_not(path):
        return reason
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - a document, by its whole path
        return ""
    try:
        opener = subprocess.Popen(
            command(str(path)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what it opens outlives this program
        )
    except OSError:
        return f"This system has no program to open files with ({command('')[0]}). Its place: {path}"
    try:
        code = opener.wait(_SECONDS)
    except subprocess.TimeoutExpired:  # the viewer itself: it stays as long as the user looks at it
        threading.Thread(target=opener.wait, name="viewer", daemon=True).start()
        return ""
    return f"The system could not open it. Its place: {path}" if code else ""
