"""Which windows the question at hand is asked again under, before the runs are compared."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from engine.protocol import Policy
from tui import again
from tui.safe import Plain, line, lines, short
from tui.state import RunState
from tui.widgets.rows import Row, RowList


class AskAgain(ModalScreen[tuple[Policy, ...]]):
    """Ends with the policies that are marked, or the one under the cursor where none is; with none for esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back"),
        Binding("space", "mark", "Mark"),
    ]

    def __init__(self, run: RunState) -> None:
        super().__init__()
        self._question = run.question
        self._choices = again.choices(run.policy)
        self._marked: set[str] = set()

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm", classes="-choose"):
            yield Plain(line(("Ask again, then compare", "bold $primary")))
            yield Plain(line(short(self._question, 300)))
            yield RowList(id="choices")
            yield Plain(
                line(
                    ("enter", "bold"), " asks   ", ("space", "bold"), " marks several   ", ("esc", "bold"), " does not"
                ),
                id="again-said",
            )

    def on_mount(self) -> None:
        self._show()
        listed = self.query_one(RowList)
        listed.focus()
        listed.action_first()

    def _show(self) -> None:
        rows = [
            Row(name, lines([line(self._sign(name), (name, "bold")), line((f"    {about}", "dim"))]))
            for name, about, _ in self._choices
        ]
        self.query_one(RowList).show(rows)

    def _sign(self, name: str) -> str:
        return "[×] " if name in self._marked else "[ ] "

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take its mark away."""
        self._marked ^= {self.query_one(RowList).row}
        self._show()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        event.stop()
        wanted = self._marked or {event.row}
        self.dismiss(tuple(policy for name, _, policy in self._choices if name in wanted))

    def action_leave(self) -> None:
        self.dismiss(())
