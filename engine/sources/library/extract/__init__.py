"""One extractor for each kind of document."""

from __future__ import annotations

from collections.abc import Mapping

from engine.sources.library.extract.base import (
    Extracted,
    Extractor,
    NotTextError,
    Section,
    Unreadable,
    page_at,
    paged,
)
from engine.sources.library.extract.csv import extract_csv
from engine.sources.library.extract.docx import extract_docx
from engine.sources.library.extract.epub import extract_epub
from engine.sources.library.extract.html import extract_html
from engine.sources.library.extract.json import extract_json, extract_jsonl
from engine.sources.library.extract.mail import extract_mail, extract_mbox
from engine.sources.library.extract.markdown import extract_markdown
from engine.sources.library.extract.notebook import extract_notebook
from engine.sources.library.extract.pdf import extract_pdf
from engine.sources.library.extract.pptx import extract_pptx
from engine.sources.library.extract.rst import extract_rst
from engine.sources.library.extract.text import extract_code, extract_text
from engine.sources.library.extract.xlsx import extract_xlsx

VERSION = 2
"""Raised when an extractor changes what it makes of the same bytes; documents are then read again."""

EXTRACTORS: Mapping[str, Extractor] = {
    "text": extract_text,
    "code": extract_code,
    "markdown": extract_markdown,
    "rst": extract_rst,
    "html": extract_html,
    "csv": extract_csv,
    "json": extract_json,
    "jsonl": extract_jsonl,
    "pdf": extract_pdf,
    "docx": extract_docx,
    "epub": extract_epub,
    "pptx": extract_pptx,
    "xlsx": extract_xlsx,
    "mail": extract_mail,
    "mbox": extract_mbox,
    "notebook": extract_notebook,
}

SUFFIXES: Mapping[str, str] = {
    suffix: kind
    for kind, suffixes in {
        "text": "txt text log org adoc asciidoc tex",
        "markdown": "md markdown mdown mkd mdx",
        "rst": "rst rest",
        "html": "html htm xhtml",
        "code": "py pyi pyx js mjs cjs jsx ts tsx java kt kts scala groovy c h cc cpp cxx hh hpp hxx m mm cs fs go rs "
        "swift rb php pl pm lua r jl hs ml mli ex exs erl clj cljs el lisp scm sh bash zsh fish ps1 sql proto graphql "
        "toml yaml yml ini cfg conf cmake mk gradle tf nix zig d dart v vhd vhdl vue svelte css scss less",
        "csv": "csv tsv tab",
        "json": "json geojson webmanifest",
        "jsonl": "jsonl ndjson",
        "pdf": "pdf",
        "docx": "docx docm dotx dotm",
        "epub": "epub",
        "pptx": "pptx pptm ppsx ppsm potx",
        "xlsx": "xlsx xlsm xltx xltm",
        "mail": "eml",
        "mbox": "mbox",
        "notebook": "ipynb",
    }.items()
    for suffix in suffixes.split()
}
"""The kind of a file by how its name ends, in lower case and without the dot."""

PAGES: Mapping[str, str] = {
    "pdf": "page",
    "pptx": "slide",
    "xlsx": "sheet",
    "mbox": "mail",
    "notebook": "cell",
}
"""What a page of a document of this kind is called. The other kinds have none."""

__all__ = [
    "EXTRACTORS",
    "PAGES",
    "SUFFIXES",
    "VERSION",
    "Extracted",
    "Extractor",
    "NotTextError",
    "Section",
    "Unreadable",
    "page_at",
    "paged",
]
