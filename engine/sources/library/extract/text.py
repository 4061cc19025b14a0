"""Plain text, and source code with its definitions as sections."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.clean import clean_line
from engine.sources.library.extract.base import Extracted, Heading, build
from engine.sources.library.extract.decode import decode

_DEFINITION = re.compile(
    r"^(?P<indent>[ \t]{0,12})"
    r"(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|internal|abstract|final|static|async|unsafe"
    r"|override|open|sealed|data)[ \t]+)*"
    r"(?P<word>class|def|fn|func|fun|function|struct|interface|trait|impl|enum|module|defmodule|namespace|object"
    r"|extension|protocol|type)"
    r"(?:[ \t]+|\*[ \t]*)(?:\([^)\n]{0,200}\)[ \t]*)?(?P<name>[A-Za-z_$][\w$]*(?:(?:\.|::)[\w$]+)*)",
    re.MULTILINE,
)
"""Most languages begin a definition with one of these words. A miss costs nothing but a heading."""

_HOLDERS = frozenset(
    [
        "class",
        "struct",
        "interface",
        "trait",
        "impl",
        "enum",
        "module",
        "defmodule",
        "namespace",
        "object",
        "extension",
        "protocol",
    ]
)
"""What holds definitions that people look for. What is defined in a function is a part of it."""


def extract_text(data: bytes) -> Extracted:
    """Prose without markup: one section, no title."""
    return build("", decode(data), ())


def extract_code(data: bytes) -> Extracted:
    """Source code. A definition begins a section; what precedes it (decorators, comments) stays with what is above."""
    text = decode(data)
    return build("", text, _definitions(text))


def _definitions(text: str) -> Iterator[Heading]:
    """Definitions at the top and those in what holds definitions, told by their indentation."""
    above: list[tuple[int, bool]] = []  # the indentation of those around the next one, and whether they hold others
    for match in _DEFINITION.finditer(text):
        indent = len(match["indent"].expandtabs(4))
        while above and above[-1][0] >= indent:
            above.pop()
        found = all(holds for _, holds in above) and (bool(above) or indent == 0)
        above.append((indent, found and match["word"] in _HOLDERS))
        if found:
            end = text.find("\n", match.end())
            yield Heading(match.start(), end if end >= 0 else len(text), len(above), clean_line(match["name"], 80))
