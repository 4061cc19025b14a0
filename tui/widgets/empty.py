"""What is there before the first question: what to do, in three lines, and questions to try."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from tui.safe import Plain, line, lines, short
from tui.state import AppState
from tui.widgets.bars import duration
from tui.widgets.rows import Row, RowList

_TEXT = lines(
    [
        line(("Ask a question about your documents.", "bold")),
        line("A local model searches and reads them, and answers with citations to check."),
        line("The context map shows what it still sees, what was masked from it, and why."),
    ]
)


def library_line(state: AppState) -> Content:
    """What can be searched now, or what is being done about it."""
    if (doing := state.indexing) is not None:
        amount = f"{doing.done:,} of {doing.total:,}" if doing.total else f"{doing.done:,}"
        what = {"scan": "files found", "read": "files read", "embed": "passages embedded"}[doing.phase]
        speed = f" · {doing.speed:,.0f} chunks/s" if doing.speed else ""
        left = f" · {duration(doing.eta)} left" if doing.eta >= 0 else ""
        left = " · paused, ctrl+t goes on" if state.index_paused else f"{speed}{left}"
        found = (
            f" · {doing.chunks:,} passages found by words, {doing.embedded:,} by meaning too" if doing.chunks else ""
        )
        told = f"Indexing {doing.library}: {amount} {what}{left}{found}"
        return line(("◌ ", "$primary"), told, ("  esc cancels; ask already if you like", "dim"))
    if state.library is None:
        return line(("Opening the library…", "dim"))
    if not state.library.documents:
        return line(
            ("! ", "$warning"), "The library is empty. Start with a folder: ", ("deepsearch-tui FOLDER", "bold")
        )
    documents = f"{state.library.documents:,} document{'s' if state.library.documents != 1 else ''}"
    words_alone = state.library.chunks - state.library.embedded
    left = f", {words_alone:,} of them found by words alone" if words_alone else ""
    told = f"Library {state.library.library}: {documents}, {state.library.chunks:,} passages{left}"
    return line(("✓ ", "$success"), told)


class Empty(Vertical):
    """The empty state. Example questions are picked with the mouse, or with up, down and enter from the prompt."""

    class Chosen(Message):
        """The user picked an example question."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    def __init__(self, questions: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._questions = tuple(questions)

    def compose(self) -> ComposeResult:
        with Vertical(id="empty-box"):
            yield Plain(_TEXT, id="empty-text")
            yield Plain(id="empty-library")
            if self._questions:
                yield Plain(line(("Or try one: ↓ and enter, or a click.", "dim")), id="examples-label")
            yield RowList(id="examples")

    def on_mount(self) -> None:
        examples = self.query_one(RowList)
        examples.can_focus = False
        examples.show(
            [Row(str(i), line(("› ", "bold $primary"), short(text))) for i, text in enumerate(self._questions)]
        )

    def refresh_from(self, state: AppState) -> None:
        self.query_one("#empty-library", Plain).show(library_line(state))

    def browse(self, step: int) -> None:
        """Move the mark among the example questions."""
        examples = self.query_one(RowList)
        if examples.highlighted is None:
            examples.highlighted = 0 if step > 0 else len(self._questions) - 1 if self._questions else None
        elif step > 0:
            examples.action_cursor_down()
        else:
            examples.action_cursor_up()

    def choose(self) -> None:
        """Pick the marked question, if one is marked."""
        row = self.query_one(RowList).row
        if row:
            self.post_message(self.Chosen(self._questions[int(row)]))

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        event.stop()
        self.choose()
