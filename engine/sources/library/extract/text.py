"""Plain text, and source code with its top-level definitions as sections."""

from __future__ import annotations

import re

from engine.clean import clean_line
from engine.sources.library.extract.base import Extracted, Heading, build
from engine.sources.library.extract.decode import decode

_DEFINITION = re.compile(
    r"^(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|internal|abstract|final|static|async|unsafe)"
    r"[ \t]+)*"
    r"(?:class|def|fn|func|function|struct|interface|trait|impl|enum|module|namespace|type)"
    r"(?:[ \t]+|\*[ \t]*)(?:\([^)\n]*\)[ \t]*)?(?P<name>[A-Za-z_$][\w$]*(?:(?:\.|::)[\w$]+)*)",
    re.MULTILINE,
)
"""Most languages begin a definition with one of these words. A miss costs nothing but a heading."""


def extract_text(data: bytes) -> Extracted:
    """Prose without markup: one section, no title."""
    return build("", decode(data), ())


def extract_code(data: bytes) -> Extracted:
    """Source code. A definition begins a section; what precedes it (decorators, comments) stays with what is above."""
    text = decode(data)
    return build("", text, (_heading(match) for match in _DEFINITION.finditer(text)))


def _heading(match: re.Match[str]) -> Heading:
    return Heading(match.start(), match.end(), 1, clean_line(match["name"], 80))
