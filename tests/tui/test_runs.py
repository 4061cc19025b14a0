"""What-if, compare and fork in the app: over a real journal, behind a door that plays the recorded run."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from engine.protocol import Fork, Forked, ModelInfo, Policy, RunStarted
from tests.engine.test_report import about
from tests.tui import fakes, kept
from tests.tui.test_safe import drawn
from tui.app import DeepSearchApp
from tui.fold import fold_all
from tui.screens.compare import Choose
from tui.screens.compare import Compare as CompareScreen
from tui.screens.fork import ForkForm
from tui.screens.sessions import Sessions
from tui.screens.whatif import WhatIf
from tui.widgets.rows import RowList


@pytest.fixture
def data(tmp_path: Path) -> Path:
    kept.keep(tmp_path, fakes.SESSION, fakes.RUN)
    kept.keep(tmp_path, kept.OTHER, tuple(kept.unmasked()), "The same without masking")
    return tmp_path


async def begin(pilot: Pilot[None], app: DeepSearchApp, *press: str) -> None:
    await fakes.settled(pilot, app, fakes.RUN)
    await pilot.press("escape", "1", *press)
    await pilot.pause()


def text(app: App[None]) -> str:
    return drawn(app.screen)


async def what_if(pilot: Pilot[None], app: DeepSearchApp) -> WhatIf:
    await begin(pilot, app, "x")
    await fakes.until_true(pilot, lambda: isinstance(app.screen, WhatIf) and app.screen.both is not None)
    assert isinstance(app.screen, WhatIf)
    return app.screen


# ── what if ──────────────────────────────────────────────────────────────────────────────────────


async def test_scrubbing_windows_shows_what_each_would_have_masked(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await what_if(pilot, app)
        assert (screen.windows, screen.window) == ((1, 2, 3, 4, 5, 0), 2)
        assert screen.both is not None and screen.both.tried.masked == screen.both.ran.masked == 3
        await pilot.press("left")
        assert screen.window == 1 and screen.both.tried.masked == 4, "all that is old but the pinned one and the error"
        await pilot.press("left")
        assert screen.window == 1, "there is none narrower"
        await pilot.press("right", "right", "l", "l", "l")
        assert screen.window == 0 and screen.both.tried.regrets == ()
        assert screen.both.tried.masked == 1, "not for its age: there was no room for it at the end"
        await pilot.press("right", "h")
        assert screen.window == 5
        await fakes.until_true(pilot, lambda: "window 5" in text(app) and "used out of view" in text(app))
        await pilot.press("escape")
        assert not isinstance(app.screen, WhatIf)


async def test_the_row_under_the_cursor_says_when_and_why(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        screen = await what_if(pilot, app)
        rows = screen.query_one("#whatif-grid", RowList)
        rows.select("2")
        await pilot.press("k", "j")
        assert rows.row == "2"
        await fakes.until_true(
            pilot, lambda: "2 open Masking · window 2: masked at turn 6, older than 2 turns" in text(app)
        )
        assert "cited at turn 7" in text(app)


@pytest.mark.parametrize(("session", "said"), [("s9", "there is no session 's9'"), ("empty", "no finished turn")])
async def test_a_run_that_cannot_be_read_is_said(data: Path, session: str, said: str) -> None:
    kept.keep(data, "empty", fakes.RUN[:2])
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        app.push_screen(WhatIf(data / "sessions.db", session, 1))
        await fakes.until_true(pilot, lambda: said in text(app))
        await pilot.press("right", "escape")
        assert not isinstance(app.screen, WhatIf)


# ── compare ──────────────────────────────────────────────────────────────────────────────────────


async def test_two_sessions_side_by_side_from_the_run_and_from_the_list(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await begin(pilot, app, "b")
        await fakes.until_true(
            pilot, lambda: isinstance(app.screen, Choose) and app.screen.query_one(RowList).row == "s2"
        )
        await pilot.press("enter")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.measures)
        assert isinstance(app.screen, CompareScreen)
        one, two = app.screen.measures
        assert (one.session, two.session, one.policy.window, two.policy.window) == ("s1", "s2", 2, 0)
        assert (one.verified, two.verified, one.masked, two.masked) == (2, 3, 3, 0) and one.peak < two.peak
        shown = text(app)
        assert "≠ citations verified" in shown and "2 of 3" in shown and "3 of 3" in shown
        assert "Nothing is lost." in shown and "Nothing is ever deleted." in shown
        await pilot.press("escape", "ctrl+s")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Sessions) and app.screen.query_one(RowList).row)
        await pilot.press("b")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("escape")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Sessions))


async def test_alone_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    kept.keep(tmp_path, fakes.SESSION, fakes.RUN)
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(80, 24)) as pilot:
        await begin(pilot, app, "b")
        await fakes.until_true(pilot, lambda: "There is no other session to compare with." in text(app))
        await pilot.press("enter", "escape")
        await fakes.until_true(pilot, lambda: not isinstance(app.screen, Choose | CompareScreen))


@pytest.mark.parametrize("bad", ["\x1b]52;c;aGk=\x07[bold red]", "\u202eback[/]", "[@click=app.quit]x[/]"])
async def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path, bad: str) -> None:
    kept.keep(tmp_path, fakes.SESSION, about(bad), bad)
    kept.keep(tmp_path, kept.OTHER, about(bad + bad), bad)
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        await what_if(pilot, app)
        shown = text(app)
        await pilot.press("escape", "b")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Choose) and app.screen.query_one(RowList).row)
        shown += text(app)
        await pilot.press("enter")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.measures)
        shown += text(app)
        assert not set(shown) & {"\x1b", "\x07", "\u202e"}


# ── fork ─────────────────────────────────────────────────────────────────────────────────────────


async def form(pilot: Pilot[None], app: DeepSearchApp, *press: str) -> ForkForm:
    await begin(pilot, app, *press, "f")
    assert isinstance(app.screen, ForkForm)
    return app.screen


async def test_a_fork_from_the_selected_turn_with_what_was_changed(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await form(pilot, app, "g", "j")
        assert screen.query_one("#fork-question", Input).value == fakes.QUESTION
        window = screen.query_one("#fork-window", Input)
        window.value = "many"
        await pilot.press("enter")
        assert app.screen is screen, "and it says why"
        window.value = "off"
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.door, fakes.ScriptedDoor)
        assert app.door.last() == Fork(fakes.SESSION, 2, 1, "", Policy(window=0))


async def test_a_fork_that_changes_only_the_question(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot, app, "g")
        screen.query_one("#fork-question", Input).value = "And how do I pin one?"
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert isinstance(app.door, fakes.ScriptedDoor)
        assert app.door.last() == Fork(fakes.SESSION, 1, 1, "And how do I pin one?", None)


async def test_after_the_answer_a_fork_wants_a_follow_up_and_esc_wants_none(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await form(pilot, app, "G")
        await pilot.press("enter")
        assert app.screen is screen
        assert isinstance(app.door, fakes.ScriptedDoor)
        sent = len(app.door.commands)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, ForkForm) and len(app.door.commands) == sent


def test_the_screen_of_a_fork_is_the_run_so_far_under_its_new_question_and_policy() -> None:
    upto = fakes.until(type(fakes.RUN[-2]), 3)
    forked = Forked("s1", 3, "Another?", Policy(window=5), session="s1", run=1, turn=3, at=fakes.START + 9)
    state = fold_all([*upto, forked])
    assert state.run is not None and (state.run.question, state.run.next_policy.window) == ("Another?", 5)
    resumed = RunStarted("Another?", Policy(window=5), "default", ModelInfo("m"), 12, resumed=True, session="s1", run=1)
    run = fold_all([resumed], state).run
    assert run is not None and (run.question, run.policy.window, len(run.turns)) == ("Another?", 5, 3)
    assert run.started_at == fakes.START + 9 and state.title == "Another?"
