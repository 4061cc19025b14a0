"""The documents that were opened or cited."""

from __future__ import annotations

from tui.safe import line, lines, short
from tui.state import AppState, SourceRow
from tui.widgets import words
from tui.widgets.bars import count
from tui.widgets.rows import Row, RowList


class Sources(RowList):
    """One row for each document. The id of a row is the document's uri."""

    BORDER_TITLE = "3 Sources"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.add_class("pane")
        self._told: tuple[object, ...] = ()

    def refresh_from(self, state: AppState) -> None:
        run = state.run
        before, self._told = self._told, (run.observations, run.evidence, run.citations) if run is not None else (None,)
        if len(before) == len(self._told) and all(a is b for a, b in zip(before, self._told, strict=True)):
            return
        sources = state.run.sources() if state.run is not None else ()
        self.show([_row(source) for source in sources])


def _row(source: SourceRow) -> Row:
    pages = " ".join(f"[{cursor}]" for cursor in dict.fromkeys(source.cursors))
    first = line(
        ("✓ " if source.cited else "· ", "$success" if source.cited else "dim"),
        (short(source.title or source.uri), "bold"),
    )
    second = line(
        (
            f"  {words.where(source.path or source.uri)} · {pages} · {count(source.tokens)}{' · cited' if source.cited else ''}",
            "dim",
        )
    )
    return Row(source.uri, lines([first, second]))
