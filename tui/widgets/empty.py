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
        return line(("! ", "$warning"), f"The library {state.library.library} is empty.")
    documents = f"{state.library.documents:,} document{'s' if state.library.documents != 1 else ''}"
    words_alone = state.library.chunks - state.library.embedded
    left = f", {words_alone:,} of them found by words alone" if words_alone else ""
    told = f"Library {state.library.library}: {documents}, {state.library.chunks:,} passages{left}"
    return line(("✓ ", "$success"), told)


_START = {
    "index": ("Index a folder of yours…", "deepsearch-tui FOLDER does the same"),
    "demo": ("Try it on the guide of this program", "deepsearch-tui demo does the same"),
    "doctor": ("Look at what a question needs", "f3"),
    "settings": ("Settings: model, library, web, looks", "f2"),
}
"""What to do where there is nothing to ask yet."""


def is_new(state: AppState) -> bool:
    """Whether there is nothing to ask: the library holds nothing, and nothing is being put into it."""
    return state.library is not None and not state.library.documents and state.indexing is None and state.web == "off"


class Empty(Vertical):
    """The empty state. What it offers is picked with the mouse, or with up, down and enter from the prompt."""

    class Chosen(Message):
        """The user picked an example question."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    class Start(Message):
        """The user picked something to begin with: index, demo, doctor or settings."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def __init__(self, questions: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._questions = tuple(questions)

    def compose(self) -> ComposeResult:
        with Vertical(id="empty-box"):
            yield Plain(_TEXT, id="empty-text")
            yield Plain(id="empty-library")
            yield Plain(id="examples-label")
            yield RowList(id="examples")

    def on_mount(self) -> None:
        self.query_one(RowList).can_focus = False
        self._offer(new=False)

    def ask_these(self, questions: Sequence[str]) -> None:
        """Offer these questions from now on."""
        self._questions = tuple(questions)

    def refresh_from(self, state: AppState) -> None:
        self.query_one("#empty-library", Plain).show(library_line(state))
        self._offer(new=is_new(state))

    def _offer(self, *, new: bool) -> None:
        """Questions to try, or where there is nothing to ask what to begin with."""
        rows = [Row(f"ask:{text}", line(("› ", "bold $primary"), short(text))) for text in self._questions]
        label = "Or try one: ↓ and enter, or a click." if rows else ""
        if new:
            label = "Begin with one of these: ↓ and enter, or a click."
            rows = [
                Row(f"start:{what}", line(("› ", "bold $primary"), text, (f"   {hint}", "dim")))
                for what, (text, hint) in _START.items()
            ]
        self.query_one("#examples-label", Plain).show(line((label, "dim")))
        self.query_one("#examples-label").display = bool(rows)
        self.query_one(RowList).show(rows)

    def browse(self, step: int) -> None:
        """Move the mark among the example questions."""
        examples = self.query_one(RowList)
        if examples.highlighted is None:
            examples.highlighted = 0 if step > 0 else len(examples.rows) - 1 if examples.rows else None
        elif step > 0:
            examples.action_cursor_down()
        else:
            examples.action_cursor_up()

    def choose(self) -> None:
        """Pick the marked question, if one is marked."""
        kind, _, what = self.query_one(RowList).row.partition(":")
        if kind:
            self.post_message(self.Chosen(what) if kind == "ask" else self.Start(what))

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        event.stop()
        self.choose()
