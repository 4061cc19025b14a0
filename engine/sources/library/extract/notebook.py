"""Jupyter notebooks: each cell is a page, with what it printed. Pictures and other bulk are named, not kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.clean import clean, clean_line
from engine.sources.library.extract.base import Extracted, Unreadable
from engine.sources.library.extract.decode import decode
from engine.sources.library.extract.html import read_html
from engine.sources.library.extract.markdown import find_headings
from engine.sources.library.extract.package import not_a
from engine.sources.library.extract.write import Writer

_MOST_OUTPUT = 10_000
"""Characters that are kept of what one cell printed."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def extract_notebook(data: bytes) -> Extracted:
    """Notebooks of format 3 and later. Headings are those of the Markdown cells."""
    text = decode(data)
    try:
        notebook = json.loads(text)
    except RecursionError as error:
        raise Unreadable("It is no Jupyter notebook: it is nested too deep.", "Leave it out.") from error
    except ValueError as error:
        raise not_a("Jupyter notebook", data) from error
    cells = list(_cells(notebook))
    if not cells and not (isinstance(notebook, dict) and "nbformat" in notebook):
        raise not_a("Jupyter notebook", b"")
    language = _language(notebook)
    writer = Writer()
    for cell in cells:
        writer.page()
        source = clean(_text(cell.get("source", cell.get("input"))).replace("\r\n", "\n").replace("\r", "\n"))
        match cell.get("cell_type"):
            case "code":
                _write_code(writer, source, language, cell.get("outputs"))
            case "heading":  # of format 3
                level = cell.get("level")
                writer.heading(level if isinstance(level, int) and 0 < level < 7 else 1, source)
            case _:
                writer.part(source, find_headings(source))
    return writer.finish()


def _cells(notebook: Any) -> Iterator[Mapping[str, Any]]:
    """The cells, wherever the format keeps them."""
    if isinstance(notebook, dict):
        holders = [notebook, *_list(notebook.get("worksheets"))]
        for holder in holders:
            if isinstance(holder, dict):
                yield from (each for each in _list(holder.get("cells")) if isinstance(each, dict))


def _write_code(writer: Writer, source: str, language: str, outputs: object) -> None:
    if source.strip():
        fence = "````" if "```" in source else "```"
        writer.line(f"{fence}{language}")
        writer.lines(source)
        writer.line(fence)
    shown, left_out = [], []
    for output in _list(outputs):
        if isinstance(output, dict):
            said, bulk = _output(output)
            shown.append(said.strip("\n"))
            left_out += bulk
    text = _COLOURS.sub("", "\n".join(each for each in shown if each))
    if len(text) > _MOST_OUTPUT:
        left_out.append(f"{len(text) - _MOST_OUTPUT:,} more characters")
        text = text[:_MOST_OUTPUT]
    if text or left_out:
        writer.gap()
        writer.line("Output:")
        writer.lines(text)
    if left_out:
        writer.line(f"[left out: {', '.join(left_out[:20])}]")


def _output(output: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What an output says in words, and what else there was of it that is left out."""
    if output.get("output_type") in ("error", "pyerr"):
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}", []
    if "text" in output and "data" not in output:
        return _text(output["text"]), []
    data = output.get("data")
    if not isinstance(data, dict):
        return "", []
    bulk = [
        f"{clean_line(kind, 60)} of {len(_text(value)) * 3 / 4 / 1000:,.0f} kB"
        for kind, value in data.items()
        if not kind.startswith("text/") and isinstance(value, str | list)
    ]
    plain, markup = _text(data.get("text/plain")), _text(data.get("text/html"))
    if "text/markdown" in data:
        plain = _text(data["text/markdown"])
    elif "<table" in markup[:2000]:
        plain = read_html(markup[: 10 * _MOST_OUTPUT])[1]
    return plain, bulk


def _language(notebook: Any) -> str:
    """The language of the code cells, if it is told."""
    metadata = notebook.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    language = kernel.get("language") if isinstance(kernel, dict) else None
    return clean_line(language, 20) if isinstance(language, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    """A text as notebooks have it: whole, or as a list of its lines."""
    return (
        "".join(each for each in value if isinstance(each, str))
        if isinstance(value, list)
        else value
        if isinstance(value, str)
        else ""
    )
