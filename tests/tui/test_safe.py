"""What comes from outside is shown as it stands and never obeyed, in every kind of widget that shows it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.content import Content
from textual.screen import Screen

from engine.protocol import (
    AnswerReady,
    CallStarted,
    CitationChecked,
    EngineStopped,
    Event,
    Failed,
    IndexProgress,
    LibraryOpened,
    Observed,
    RunEnded,
    RunStarted,
    ThoughtDelta,
    TurnEnded,
)
from tests.tui import fakes
from tui import safe
from tui.screens.reader import Reader
from tui.widgets.document import Document
from tui.widgets.rows import Row, RowList

BRACKETS = "[/tmp/x] [link] x[/] [bold]b[/bold] [@click=app.quit]q[/]"
CONTROLS = "\x1b]52;c;SEFDSw==\x07\x1b[31mred\x9b2J\x7f\u202egnp.exe\u2066"
FORBIDDEN = set("\x1b\x07\x9b\x7f\u202e\u2066")


def drawn(screen: Screen[object]) -> str:
    """What reaches the terminal, without its styles."""
    strips = screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def hostile(text: str) -> tuple[Event, ...]:
    """The recorded run with every text from outside replaced."""

    def changed(event: Event) -> Event:
        match event:
            case RunStarted():
                model = dataclasses.replace(event.model, name=text)
                return dataclasses.replace(event, question=text, model=model)
            case ThoughtDelta():
                return dataclasses.replace(event, text=text)
            case TurnEnded():
                return dataclasses.replace(event, thought=text, raw=text)
            case CallStarted():
                return dataclasses.replace(event, tool=text, arguments={"query": text, text: text})
            case Observed(seen):
                new = dataclasses.replace(seen, tool=text, header=text, body=f"{text}\n{text}", title=text, uri=text)
                return dataclasses.replace(event, observation=new)
            case CitationChecked(citation):
                new_citation = dataclasses.replace(citation, uri=text, title=text, quote=text)
                return dataclasses.replace(event, citation=new_citation)
            case AnswerReady():
                return dataclasses.replace(
                    event, text=f"{text}\n\n- {text}\n\n```\n{text}\n```\n\n| {text} |\n|---|\n| {text} |\n"
                )
        return event

    return tuple(changed(event) for event in fakes.RUN)


def test_plain_keeps_brackets_and_shows_controls() -> None:
    assert safe.plain(BRACKETS).plain == BRACKETS
    assert not set(safe.plain(CONTROLS).plain) & FORBIDDEN
    assert safe.plain("\x1b[0m").plain == "␛[0m"


@given(st.text())
def test_any_text_is_safe_in_a_line_and_keeps_its_length(text: str) -> None:
    for content in (safe.plain(text), safe.line(text), safe.line((text, "bold")), safe.line(safe.plain(text))):
        assert len(content.plain) == len(text)
        assert not any(ord(character) < 0x20 and character not in "\n\t" for character in content.plain)
        assert not set(content.plain) & FORBIDDEN
    assert "\n" not in safe.line(text).plain


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)])
@pytest.mark.parametrize("text", [BRACKETS, CONTROLS + BRACKETS], ids=["brackets", "controls"])
async def test_the_main_screen(text: str, size: tuple[int, int], tmp_path: Path) -> None:
    told = hostile(text)
    app = fakes.make_app(tmp_path, fakes.READY, told, questions=(text,))
    async with app.run_test(size=size, notifications=True) as pilot:
        await fakes.until_true(pilot, lambda: app.state.run is not None and not app.state.run.running)
        seen = ""
        for keys in (("escape",), ("4",), ("1", "home", "enter"), ("2", "home"), ("3",), ("f1",), ("escape",)):
            await pilot.press(*keys)
            await pilot.pause()
            seen += drawn(app.screen)
        assert not set(seen) & FORBIDDEN
        assert "[/tmp/x]" in seen


async def test_banner_failure_empty_state_and_toast(tmp_path: Path) -> None:
    both = CONTROLS + BRACKETS
    told = (
        LibraryOpened(library=both, documents=1, chunks=1, embedded=1),
        IndexProgress(library=both, phase="read", done=1, total=2, path=both),
        Failed(error="X", message=BRACKETS, hint=both),
        EngineStopped(reason=both),
    )
    app = fakes.make_app(tmp_path, told, questions=(BRACKETS, both))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await fakes.until_true(pilot, lambda: app.state.connection == "lost")
        await fakes.until_true(pilot, lambda: app.screen.query("Toast"))
        seen = drawn(app.screen)
        assert not set(seen) & FORBIDDEN
        assert seen.count("[/tmp/x]") >= 3


class Kinds(App[None]):
    """One of each kind of widget that is handed outside text."""

    CSS_PATH = Path(safe.__file__).with_name("styles") / "app.tcss"

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield safe.Plain(self._text)
        yield RowList()
        yield Document(self._text)

    def on_mount(self) -> None:
        self.query_one(RowList).show([Row(self._text, safe.line(self._text))])


@pytest.mark.parametrize("text", [BRACKETS, CONTROLS + BRACKETS], ids=["brackets", "controls"])
async def test_each_kind_of_widget(text: str) -> None:
    app = Kinds(text)
    async with app.run_test(size=(140, 20)) as pilot:
        await pilot.pause()
        seen = drawn(app.screen)
        assert seen.count(BRACKETS) == 3
        assert not set(seen) & FORBIDDEN


@pytest.mark.parametrize("text", [BRACKETS, CONTROLS + BRACKETS], ids=["brackets", "controls"])
async def test_the_reader(text: str, tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(140, 24), notifications=True) as pilot:
        await fakes.settled(pilot, app, ())
        app.push_screen(Reader(text, text, f"{text}\n{text}", 1, [(1, 1)]))
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Reader) and fakes.key_bar(app))
        await pilot.press("slash", *"[/", "enter")
        await pilot.pause()
        seen = drawn(app.screen)
        assert not set(seen) & FORBIDDEN
        assert seen.count(BRACKETS) >= 3
        await pilot.press("escape", "y")
        assert not set(app.clipboard) & FORBIDDEN


async def test_plain_redraws_only_when_something_changed() -> None:
    app = Kinds("x")
    async with app.run_test():
        widget = app.query_one(safe.Plain)
        first = widget.visual
        widget.show("x")
        assert widget.visual is first
        widget.show(Content.styled("x", "bold"))
        assert widget.visual is not first


def test_the_end_of_a_run_is_known_to_the_hostile_run() -> None:
    assert isinstance(hostile(BRACKETS)[-1], RunEnded)
