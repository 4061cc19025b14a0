"""Measured figures written between two marks in a document, so that a run renews them and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def replace_block(path: Path, name: str, text: str) -> None:
    """Put ``text`` between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; at the end of the file where they are not."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    whole = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    block = f"{begin}\n\n{text.strip()}\n\n{end}"
    if begin in whole and end in whole:
        before, _, rest = whole.partition(begin)
        whole = before + block + rest.partition(end)[2]
    else:
        whole = f"{whole.rstrip()}\n\n{block}\n"
    path.write_text(whole, encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that also reads well in a terminal: the first column to the left, figures to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join((first, *others)) + " |"

    rule = "|-" + "-|-".join("-" * width for width in widths[:1]) + "-|"
    rule += "".join("-" * (width + 1) + ":|" for width in widths[1:])
    return "\n".join((line(head), rule, *(line(row) for row in rows)))
