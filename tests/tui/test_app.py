"""The app behind a scripted door: what it sends, what it shows, and what it never does."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownBlock

import tui
from engine.protocol import (
    AnswerDelta,
    AnswerReady,
    Ask,
    CacheEdited,
    CancelIndex,
    Continue,
    EngineReady,
    EngineStopped,
    Event,
    Failed,
    IndexPaths,
    IndexProgress,
    LibraryOpened,
    OpenSession,
    RunEnded,
    SessionOpened,
    Stop,
    TurnEnded,
    Unknown,
)
from engine.settings import Settings
from tests.tui import fakes
from tests.tui.test_safe import drawn
from tui.app import DeepSearchApp
from tui.fold import fold_all
from tui.screens.reader import Reader
from tui.screens.research import Research
from tui.screens.sessions import Chosen
from tui.widgets.answer import numbered
from tui.widgets.context_map import ContextMap
from tui.widgets.detail import Detail
from tui.widgets.document import Document
from tui.widgets.empty import library_line
from tui.widgets.prompt import Prompt
from tui.widgets.turns import Turns


def door_of(app: DeepSearchApp) -> fakes.ScriptedDoor:
    assert isinstance(app.door, fakes.ScriptedDoor)
    return app.door


def answer_text(app: DeepSearchApp) -> str:
    """The Markdown of the answer as far as it is written; empty before there is any."""
    return "".join(text.source or "" for text in app.screen.query(Markdown))


async def ready(pilot: Pilot[None], app: DeepSearchApp) -> fakes.ScriptedDoor:
    await fakes.settled(pilot, app, ())
    return door_of(app)


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


async def test_one_question_from_the_prompt_to_the_answer(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(160, 50)) as pilot:
        door = await ready(pilot, app)
        assert isinstance(app.screen.focused, Prompt)
        door.plays = fakes.RUNNING
        await pilot.press(*"how?", "enter")
        assert door.commands == [Ask("how?")]
        await fakes.until_true(pilot, lambda: isinstance(app.screen.focused, Turns))
        assert app.screen.query_one(Prompt).text == ""
        assert "turn 6 thinking" in drawn(app.screen)
        door.tell(fakes.RUN[len(fakes.RUNNING) :])
        await fakes.until_true(pilot, lambda: isinstance(app.screen.focused, Prompt))
        assert "answered in 7 turns" in drawn(app.screen)
        assert app.state == fold_all([*fakes.READY, *fakes.RUN])


async def test_what_is_asked_before_the_engine_is_there_is_asked_when_it_is(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    app.on_steer_wanted(Research.Wanted(Ask("early?")))
    app.on_steer_wanted(Research.Wanted(Stop()))
    async with app.run_test(size=(100, 30)) as pilot:
        door = await ready(pilot, app)
        assert door.commands == [Ask("early?"), Stop()]


async def test_a_follow_up_goes_to_the_same_session_and_keeps_the_first_answer_in_sight(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press(*"more", "enter")
        assert door_of(app).last() == Ask("more", session=fakes.SESSION)
        again = [dataclasses.replace(event, run=2, seq=event.seq + 1000) for event in fakes.RUN]
        door_of(app).tell(again)
        await fakes.until_true(pilot, lambda: len(app.state.earlier) == 1 and app.state.run and app.state.run.ended)
        await fakes.until_true(pilot, lambda: answer_text(app).count("To keep one:") == 2)


async def test_an_example_question_is_picked_with_the_keys_or_the_mouse(tmp_path: Path) -> None:
    for how in ("keys", "mouse"):
        app = fakes.make_app(tmp_path, fakes.READY)
        async with app.run_test(size=(100, 30)) as pilot:
            door = await ready(pilot, app)
            if how == "keys":
                await pilot.press("down", "down", "enter")
            else:
                await pilot.click("#examples", offset=(5, 1))
            await fakes.until_true(pilot, lambda: door.commands)  # noqa: B023 - called in this round
            assert door.commands == [Ask(fakes.QUESTIONS[1])]


async def test_a_second_question_during_a_run_is_refused_and_not_lost(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        await pilot.press("i", *"too soon", "enter")
        assert door_of(app).commands == []
        assert app.screen.query_one(Prompt).text == "too soon"


async def test_stop_puts_a_question_without_an_answer_back(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        door = await ready(pilot, app)
        door.plays = fakes.RUNNING
        await pilot.press(*"how?", "enter")
        await fakes.until_true(pilot, lambda: isinstance(app.screen.focused, Turns))
        await pilot.press("escape")
        assert door.last() == Stop()
        door.tell([RunEnded("stopped", 5, 9.0, session=fakes.SESSION, run=1)])
        await fakes.until_true(pilot, lambda: app.screen.query_one(Prompt).text == "how?")


async def test_paths_are_indexed_and_esc_cancels(tmp_path: Path) -> None:
    app = DeepSearchApp(fakes.ScriptedDoor, Settings(data_dir=tmp_path), paths=("docs",), library="mine")
    async with app.run_test(size=(80, 24)) as pilot:
        await fakes.until_true(pilot, lambda: app.door)
        door = door_of(app)
        assert door.commands == [IndexPaths(("docs",), "mine")]
        door.tell([*fakes.READY, fakes.INDEXING])
        await fakes.until_true(pilot, lambda: "120 of 480 passages embedded · 42s left" in drawn(app.screen))
        await pilot.press("escape")
        assert door.last() == CancelIndex()
        door.tell([fakes.INDEXED])
        await fakes.until_true(pilot, lambda: "9 documents, 212 passages" in drawn(app.screen))
        await pilot.press(*"hm", "enter")
        assert door.last() == Ask("hm", library="mine")


def test_both_states_of_the_library_are_told() -> None:
    reading = IndexProgress("default", "embed", 10, 40, files=3, chunks=40, embedded=10, eta=9.0)
    doing = library_line(fold_all([reading]))
    assert "10 of 40 passages embedded" in doing.plain
    assert "40 passages found by words, 10 by meaning too" in doing.plain
    there = library_line(fold_all([LibraryOpened("default", 3, 40, 30)]))
    assert "40 passages, 10 of them found by words alone" in there.plain
    assert "alone" not in library_line(fold_all([LibraryOpened("default", 3, 40, 40)])).plain


async def test_while_the_model_loads_one_can_type(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.LOADING)
    async with app.run_test(size=(80, 24)) as pilot:
        await fakes.until_true(pilot, lambda: "loading the model qwen3-4b-instruct" in drawn(app.screen))
        await pilot.press(*"now", "enter")
        assert door_of(app).last() == Ask("now")


# ── when things go wrong ─────────────────────────────────────────────────────────────────────────


async def test_a_lost_engine_is_said_and_the_run_can_be_continued(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        door_of(app).tell([EngineStopped(reason="killed by signal 9", restarting=True)])
        await fakes.until_true(pilot, lambda: "The engine stopped: killed by signal 9." in drawn(app.screen))
        assert "It is starting again." in drawn(app.screen)
        door_of(app).tell([EngineReady(protocol=1, version="0", pid=2)])
        await fakes.until_true(pilot, lambda: "finished turn is kept.  c goes on from" in drawn(app.screen))
        await pilot.press("c")
        assert door_of(app).last() == Continue(fakes.SESSION)


async def test_what_failed_is_said_with_what_helps(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await fakes.until_true(pilot, lambda: app.door)
        door_of(app).tell([Failed("ModelMissing", "No model was found at m.gguf.", "Install the starter model.")])
        await fakes.until_true(pilot, lambda: app.screen.query("Toast"))
        assert drawn(app.screen).count("Install the starter model.") == 2


async def test_events_of_a_newer_engine_are_shown_raw(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, (*fakes.RUNNING, Unknown(name="Sparkled", data={"stars": 3})))
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.until_true(pilot, lambda: "? Sparkled {'stars': 3}" in drawn(app.screen))


@pytest.mark.parametrize("size", [(59, 40), (100, 15), (20, 5)])
async def test_a_window_that_is_too_small_says_so(size: tuple[int, int], tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=size) as pilot:
        await fakes.until_true(pilot, lambda: app.state.run)
        words = drawn(app.screen).split()
        assert " ".join(words) == "This needs a window of at least 60 columns and 16 lines."


# ── what is seen where ───────────────────────────────────────────────────────────────────────────


async def test_panes_at_each_width(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)

    def panes() -> set[str]:
        return {str(pane.id) for pane in app.screen.query("#body > .pane") if pane.display}

    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        assert panes() == {"turns", "main", "context", "sources"}
        await pilot.resize_terminal(120, 40)
        await fakes.until_true(pilot, lambda: panes() == {"turns", "main", "context"})
        await pilot.press("escape", "3")
        assert panes() == {"turns", "main", "sources"}
        await pilot.press("2")
        assert panes() == {"turns", "main", "context"}
        await pilot.resize_terminal(80, 24)
        for key, pane in (("1", "turns"), ("2", "context"), ("3", "sources"), ("4", "main")):
            await pilot.press(key)
            await fakes.until_true(pilot, lambda: panes() == {pane})  # noqa: B023 - called in this round


async def test_the_map_tells_live_masked_pinned_and_kept_apart_without_colour(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        rows = [row.content.plain for row in app.screen.query_one(ContextMap).rows]
        state = {row.split()[0]: row for row in rows}
        assert "░░░" in state["1"]
        assert state["1"].split()[-4:] == ["⊘", "1.9k→18", "6t", "“"]
        assert state["3"].split()[-3:] == ["!", "41", "4t"]
        assert "█" in state["4"]
        assert state["4"].split()[-4:-2] == ["^", "706"]
        assert state["7"].split()[-3:] == ["1.1k", "1t", "✓"]
        shown = [row.split()[0] for row in rows]
        assert shown == ["tokens", "system", "thoughts", "1", "2", "3", "4", "5", "──", "6", "7", "──", "read", "2.8s"]
        longest = max(rows, key=lambda row: row.count("░") + row.count("█"))
        assert longest.split()[0] == "2"


async def test_the_detail_shows_what_is_seen_beside_what_was_kept(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "2", "home")
        screen = drawn(app.screen)
        for said in (
            "what the model sees now",
            "what was kept",
            "older than 2 turns",
            "1,922 → 18",
            "masked since turn 5",
        ):
            assert said in screen
        app.screen.query_one(ContextMap).highlighted = 10
        await fakes.until_true(pilot, lambda: app.screen.query_one(Detail).number == 7)
        assert "what was kept" not in drawn(app.screen)
        assert app.screen.query_one(Turns).selected == (1, 6, 0)


async def test_the_answer_streams_in_and_ends_as_if_it_had_come_whole(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        door = await ready(pilot, app)
        for event in fakes.RUN:
            door.tell([event])
            if isinstance(event, AnswerDelta):
                await fakes.until_true(pilot, lambda: app.state.run and answer_text(app) == app.state.run.answer)
        await fakes.until_true(pilot, lambda: answer_text(app) == numbered(fakes.ANSWER, fakes.CITATIONS))
        text = app.screen.query_one(Markdown)
        streamed = [type(block) for block in text.query(MarkdownBlock)]
        await text.update(numbered(fakes.ANSWER, fakes.CITATIONS))
        assert [type(block) for block in text.query(MarkdownBlock)] == streamed
        await fakes.until_true(pilot, lambda: "[1✓]" in drawn(app.screen))
        assert text.region.y == app.screen.query_one("#answer-scroll").region.y
        assert "the lines support it only in part" in drawn(app.screen)


async def test_a_long_answer_is_followed_until_the_user_scrolls_up(tmp_path: Path) -> None:
    def piece(number: int) -> AnswerDelta:
        return AnswerDelta(f"Paragraph {number}.\n\n", session=fakes.SESSION, run=1, turn=7)

    app = fakes.make_app(tmp_path, fakes.READY, fakes.until(CacheEdited, 7))
    async with app.run_test(size=(120, 24)) as pilot:
        await fakes.settled(pilot, app, fakes.until(CacheEdited, 7))
        scroll = app.screen.query_one("#answer-scroll")
        for number in range(40):
            door_of(app).tell([piece(number)])
            if number in (0, 20):
                await fakes.until_true(pilot, lambda: f"Paragraph {number}." in drawn(app.screen))  # noqa: B023 - called in this round
        await fakes.until_true(pilot, lambda: "Paragraph 39." in drawn(app.screen))
        await pilot.press("4", "k", "k", "k", "k")
        await fakes.until_true(pilot, lambda: "↓ more" in drawn(app.screen))
        top = scroll.scroll_y
        door_of(app).tell([piece(40)])
        await fakes.until_true(pilot, lambda: "Paragraph 40." in answer_text(app))
        await fakes.until_true(pilot, lambda: "↓ new below" in drawn(app.screen))
        assert scroll.scroll_y == top
        await pilot.click("#more")
        await fakes.until_true(pilot, lambda: scroll.scroll_y == scroll.max_scroll_y > top)


async def test_more_is_said_of_an_answer_as_long_as_there_is_more(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        for height, more in ((17, True), (50, False), (17, True)):
            await pilot.resize_terminal(120, height)
            await fakes.still(pilot, app)
            scroll = app.screen.query_one("#answer-scroll")
            assert ("↓ more" in drawn(app.screen)) is (scroll.max_scroll_y > 0) is more


async def test_an_answer_that_the_documents_do_not_give(tmp_path: Path) -> None:
    def untold() -> list[Event]:
        return [
            dataclasses.replace(event, told=False) if isinstance(event, AnswerReady) else event
            for event in fakes.RUN
            if not isinstance(event, RunEnded)
        ]

    told = (*untold(), RunEnded("not_told", 7, 58.0, session=fakes.SESSION, run=1))
    app = fakes.make_app(tmp_path, fakes.READY, told)
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.until_true(pilot, lambda: "The documents do not tell." in drawn(app.screen))
        assert "not in the documents" in drawn(app.screen)


async def test_a_citation_opens_the_document_at_its_lines(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 24)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "4", "tab", "home", "down", "enter")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Reader) and app.screen.query(Document))
        assert "cited: L17-L18, 2 of 2" in drawn(app.screen)
        await pilot.press("escape")
        assert not isinstance(app.screen, Reader)


async def test_enter_opens_the_first_row_of_a_list_where_none_was_gone_to(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 24)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "4", "tab", "enter")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Reader) and app.screen.query(Document))
        assert ", 1 of 2" in drawn(app.screen)


async def test_following_stops_when_the_user_moves_up(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.until(TurnEnded, 5))
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.until(TurnEnded, 5))
        turns = app.screen.query_one(Turns)
        await fakes.until_true(pilot, lambda: isinstance(app.screen.focused, Turns))
        await pilot.press("g")
        door_of(app).tell(fakes.RUN[len(fakes.until(TurnEnded, 5)) : -2])
        await fakes.until_true(pilot, lambda: app.state.run and len(app.state.run.turns) == 7)
        assert turns.selected == (1, 1, 0)
        assert app.screen.query_one("#main").has_class("-detail")
        await pilot.press("G")
        assert turns.selected == (1, 7, 0)


async def test_a_saved_session_is_told_again_to_the_same_state(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    opened = (*fakes.RUN, SessionOpened("a title", False, session=fakes.SESSION))
    async with app.run_test(size=(120, 40)) as pilot:
        door = await ready(pilot, app)
        door.plays = opened
        app._open_session(Chosen(fakes.SESSION))
        assert door.last() == OpenSession(fakes.SESSION)
        await fakes.until_true(pilot, lambda: app.state.title == "a title")
        assert app.state == fold_all([*fakes.READY, *opened])
        await fakes.until_true(pilot, lambda: "answered in 7 turns" in drawn(app.screen))


async def test_a_session_that_was_cut_off_can_be_continued(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        door = await ready(pilot, app)
        door.plays = (*fakes.RUNNING, SessionOpened("a title", True, session=fakes.SESSION))
        app._open_session(Chosen(fakes.SESSION))
        await fakes.until_true(pilot, lambda: "This run is not finished." in drawn(app.screen))
        assert "turn 6 thinking" not in drawn(app.screen)
        door.plays = ()
        await pilot.press("escape", "c")
        assert door.last() == Continue(fakes.SESSION)


# ── what it may not do ───────────────────────────────────────────────────────────────────────────

FIRST_FRAME = """
import asyncio, sys, tempfile, pathlib
from engine.settings import Settings
from tui.app import DeepSearchApp

class Door:
    def __init__(self, receive): pass
    def send(self, command): pass
    def close(self): pass

async def main():
    app = DeepSearchApp(Door, Settings(data_dir=pathlib.Path(tempfile.mkdtemp())), questions=("a?",))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        heavy = ("lancedb", "torch", "numpy", "llama_cpp", "httpx", "sqlite_utils", "pyarrow", "sentence_transformers")
        print([name for name in heavy if name in sys.modules])

asyncio.run(main())
"""


def test_the_first_frame_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_FRAME], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_modules_stay_small() -> None:
    root = Path(tui.__file__).parent
    lengths = {
        path.name: len(path.read_text().splitlines())
        for path in (*root.glob("screens/*.py"), *root.glob("widgets/*.py"))
    }
    assert {name: length for name, length in lengths.items() if length >= 300} == {}
    assert len((root / "app.py").read_text().splitlines()) < 250
