"""One extractor for each kind of document."""

from __future__ import annotations

from collections.abc import Mapping

from engine.sources.library.extract.base import Extracted, Extractor, NotTextError, Section
from engine.sources.library.extract.html import extract_html
from engine.sources.library.extract.markdown import extract_markdown
from engine.sources.library.extract.rst import extract_rst
from engine.sources.library.extract.text import extract_code, extract_text

VERSION = 1
"""Raised when an extractor changes what it makes of the same bytes; documents are then read again."""

EXTRACTORS: Mapping[str, Extractor] = {
    "text": extract_text,
    "code": extract_code,
    "markdown": extract_markdown,
    "rst": extract_rst,
    "html": extract_html,
}

__all__ = ["EXTRACTORS", "VERSION", "Extracted", "Extractor", "NotTextError", "Section"]
