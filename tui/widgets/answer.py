"""The answer as it streams in, then the lines it cites, each with what checking them found."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message

from engine.clean import clean
from engine.protocol import Citation
from tui import keys
from tui.safe import Plain, line, lines, short
from tui.state import AppState, RunState
from tui.widgets import words
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from textual.widgets import Markdown
    from textual.widgets.markdown import MarkdownStream

_QUOTED = 600
"""Characters of a quote shown under its citation; the reader shows the lines whole."""


class AnswerScroll(VerticalScroll, can_focus=True):
    """Where the answer is read."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SCROLLS)

    class Resized(Message):
        """It shows more lines, or fewer."""

    def on_resize(self) -> None:
        self.post_message(self.Resized())


class More(Plain):
    """Says that there is more below; a click goes there."""

    class Wanted(Message):
        """Go there."""

    def on_click(self) -> None:
        self.post_message(self.Wanted())


class Answer(Vertical):
    """Markdown and its citations. Links in it are not followed: a citation opens with enter or ``o``."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._stream: MarkdownStream | None = None
        self._shown = ""
        self._wanted = ""
        self._final = True
        self._at_end = True
        self._read: tuple[object, ...] = ()
        self._new = False  # something was written below while one looks at what is above

    def compose(self) -> ComposeResult:
        with AnswerScroll(id="answer-scroll"):
            yield Plain(id="answer-note")
        yield More("↓ more", id="more")
        yield RowList(id="citations")

    def on_mount(self) -> None:
        scroll = self.query_one(AnswerScroll)
        self.watch(scroll, "scroll_y", self._scrolled, init=False)
        self.watch(scroll, "virtual_size", self._grown, init=False)

    def refresh_from(self, state: AppState) -> None:
        run = state.run
        before, self._read = self._read, _read_of(state)
        if len(before) == len(self._read) and all(a is b for a, b in zip(before, self._read, strict=True)):
            return  # most of what comes is about turns
        note = self.query_one("#answer-note", Plain)
        note.show(_note(run) if run is not None else Content())
        note.set_class(not note.visual, "-off")
        citations = cited(run) if run is not None else ()
        listed = self.query_one("#citations", RowList)
        self.set_class(bool(citations), "-cited")
        listed.show([Row(str(index), citation_row(index, each)) for index, each in enumerate(citations)])
        earlier = "".join(_told(past, numbered(past.answer, past.citations)) for past in state.earlier)
        self._final = run is None or run.answer_final or not run.running
        text = "" if run is None else numbered(run.answer, run.citations) if self._final else run.answer
        heading = f"## {short(run.question)}\n\n" if run is not None and state.earlier else ""
        wanted = clean(earlier + heading + text)
        if wanted != self._wanted:
            self._wanted = wanted
            self.call_later(self._write)

    async def _write(self) -> None:
        """Bring the Markdown up to what is wanted: a growing answer is streamed, anything else replaced."""
        if self._wanted == self._shown:
            return
        text = await self._text()
        wanted = self._wanted
        grows = bool(self._shown) and wanted.startswith(self._shown) and not self._final
        if not grows:
            if self._stream is not None:
                await self._stream.stop()
                self._stream = None
            await text.update(wanted)
        else:
            if self._stream is None:
                self._stream = text.get_stream(text)
                self._at_end = True
            self._new = not self._at_end
            await self._stream.write(wanted[len(self._shown) :])
        self._shown = wanted

    async def _text(self) -> Markdown:
        """Where the answer stands. Made for the first one: what it needs takes longer to load than the first frame."""
        from textual.widgets import Markdown

        scroll = self.query_one(AnswerScroll)
        for text in scroll.query(Markdown):
            return text
        text = Markdown(id="answer-text", open_links=False)
        await scroll.mount(text)
        return text

    # Textual's own anchor pushes text that is shorter than its pane down to the bottom.

    def _grown(self) -> None:
        scroll = self.query_one(AnswerScroll)
        if self._at_end and self._stream is not None and scroll.max_scroll_y > 0:
            scroll.scroll_end(animate=False)
        else:
            self._scrolled()

    def on_answer_scroll_resized(self) -> None:
        self._grown()

    def _scrolled(self) -> None:
        scroll = self.query_one(AnswerScroll)
        self._at_end = scroll.max_scroll_y - scroll.scroll_y <= 1
        more = self.query_one("#more", More)
        self._new = self._new and not self._at_end
        more.show("↓ new below" if self._new else "↓ more")
        more.set_class(not self._at_end, "-on")

    def on_more_wanted(self) -> None:
        self.query_one(AnswerScroll).scroll_end(animate=False)

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        self.notify(f"Links in an answer are not opened: {short(event.href, 80)}", markup=False)


def _read_of(state: AppState) -> tuple[object, ...]:
    """All of the state that the answer and its note are made from."""
    run = state.run
    if run is None:
        return (state.earlier,)
    turn = run.turn.number if run.turn is not None else 0
    told = (run.question, run.answer, run.answer_final, run.told, run.running, run.citations, run.evidence)
    return (state.earlier, turn, *told)


def cited(run: RunState) -> tuple[Citation, ...]:
    """The citations; before they are checked, the evidence the answer is written from."""
    return run.citations or run.evidence


def numbered(answer: str, citations: tuple[Citation, ...]) -> str:
    """The answer with each citation as its number in the list below it and its sign."""
    for index, citation in enumerate(citations, 1):
        if citation.marker:
            answer = answer.replace(citation.marker, f"[{index}{words.CITED[citation.state]}]")
    return answer


def citation_row(index: int, citation: Citation) -> Content:
    """Where it points, how well it holds, and what it says there."""
    style = words.CITED_STYLE[citation.state]
    first = line(
        (f"{words.CITED[citation.state]} ", f"bold {style}"),
        (f"{index + 1} {words.place(citation)}", "bold"),
        (f"  {words.CITED_WORD[citation.state]}", style),
    )
    quote = short(citation.quote, _QUOTED)
    return lines([first, line((f"“{quote}”", "dim"))]) if quote else first


def _told(run: RunState, answer: str) -> str:
    return f"## {short(run.question)}\n\n{answer or '*no answer*'}\n\n---\n\n"


def _note(run: RunState) -> Content:
    if not run.told:
        return line(("~ The documents do not tell. ", "bold $warning"), "What was found nearest is below.")
    if run.answer:
        return Content()
    if run.running:
        turn = run.turn.number if run.turn is not None else 0
        return line(
            (
                f"No answer yet: turn {turn} is under way. 1 shows the turns, a asks for an answer now.",
                "dim",
            )
        )
    return line(("There is no answer: the run ended before it. c goes on with it.", "dim"))
