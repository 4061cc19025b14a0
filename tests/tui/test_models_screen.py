"""The models screen: what it shows, what it hides, and how the app follows what the engine tells."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from engine.protocol import (
    CheckModel,
    EngineReady,
    ModelChecked,
    ModelChosen,
    ModelRemoved,
    ModelsListed,
    PullEnded,
    PullModel,
    PullProgress,
    UseModel,
)
from tests.tui import fakes
from tests.tui.models_told import LISTED, MODELS, PULLING
from tui.app import DeepSearchApp
from tui.safe import Plain
from tui.screens.models import Checked, Models
from tui.widgets.rows import RowList


def door(app: DeepSearchApp) -> fakes.ScriptedDoor:
    assert isinstance(app.door, fakes.ScriptedDoor)
    return app.door


async def opened(pilot: Pilot[None], app: DeepSearchApp) -> Models:
    await fakes.settled(pilot, app, ())
    await pilot.press("ctrl+o")
    await fakes.until_true(pilot, lambda: isinstance(app.screen, Models) and app.screen.selected is not None)
    assert isinstance(app.screen, Models)
    return app.screen


def shown(screen: Models, id: str) -> str:
    return str(screen.query_one(f"#{id}", Plain).visual)


async def test_it_shows_each_model_with_what_it_takes(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        rows = [row.content.plain for row in screen.query_one("#models-list", RowList).rows]
        assert "8.0 GB of 16.0 GB memory free" in shown(screen, "models-title")
        assert "in use" in rows[0] and "about 413 MB of memory with 8,192 tokens" in rows[0]
        assert "no more fits the memory that is free" in rows[1] and "a sliding window" in rows[1]
        assert "recommended" in rows[2] and "668 MB of 2.0 GB fetched" in rows[2] and "Apache-2.0" in rows[2]
        assert "✗ needs about 13.0 GB" in rows[3]
        assert not screen.query_one("#models-pull").display


async def test_enter_uses_what_is_here_and_asks_for_what_is_not(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await pilot.press("j", "enter")
        assert door(app).last() == UseModel("own.gguf")
        await pilot.press("j", "enter", "y")
        await fakes.until_true(pilot, lambda: door(app).last() == PullModel("granite-4.1-3b"))


async def test_the_progress_is_shown_until_the_end(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await opened(pilot, app)
        await pilot.press("j", "j")
        door(app).tell([PULLING])
        await fakes.until_true(pilot, lambda: screen.query_one("#models-pull").display)
        told = shown(screen, "models-pull")
        assert "45%" in told and "901 MB of 2.0 GB" in told and "12 MB/s" in told and "1m31s left" in told
        assert not screen.check_action("pull", ()), "one at a time"
        door(app).tell(
            [PullProgress("granite-4.1-3b", "download", 5, 10, note="the connection was lost; trying again")]
        )
        await fakes.until_true(pilot, lambda: "trying again" in shown(screen, "models-pull"))
        door(app).tell([PullProgress("granite-4.1-3b", "check", 5, 10)])
        await fakes.until_true(pilot, lambda: "looking whether all of it is right 50%" in shown(screen, "models-pull"))
        door(app).tell([PullEnded("granite-4.1-3b", "failed", "There is no room.", "Free some space.")])
        await fakes.until_true(pilot, lambda: not screen.query_one("#models-pull").display)
        [said] = app._notifications
        assert (said.message, said.severity) == ("There is no room. Free some space.", "error")


async def test_what_makes_no_sense_is_not_offered(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)

        def offered() -> set[str]:
            return {each for each in ("use", "pull", "check", "remove", "cancel") if screen.check_action(each, ())}

        assert offered() == {"check"}
        await pilot.press("j")
        assert offered() == {"use", "check", "remove"}
        await pilot.press("j")
        assert offered() == {"pull", "remove"}
        await pilot.press("j")
        assert offered() == {"pull"}


async def test_a_check_is_told_in_a_box(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await pilot.press("c")
        assert door(app).last() == CheckModel("starter")
        door(app).tell([ModelChecked("starter", ("reads 99 tokens a second [bold]", "after a mask: 71 taken out"))])
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Checked) and len(app.screen.query(Plain)) == 3)
        told = "\n".join(str(each.visual) for each in app.screen.query(Plain))
        assert "reads 99 tokens a second [bold]" in told
        await pilot.press("escape")
        assert isinstance(app.screen, Models)


async def test_a_list_that_changes_keeps_the_cursor_on_its_model(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await pilot.press("j")
        door(app).tell(
            [ModelRemoved("x", "x was deleted."), ModelsListed((MODELS[1], MODELS[0]), LISTED.free, LISTED.total)]
        )
        await fakes.until_true(pilot, lambda: len(screen.query_one("#models-list", RowList).rows) == 2)
        assert screen.selected == MODELS[1]


async def test_an_engine_that_starts_again_is_told_of_the_choice(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await fakes.settled(pilot, app, ())
        ready = EngineReady(protocol=1, version="0", pid=2)
        door(app).tell([ready])
        await pilot.pause()
        assert not any(isinstance(each, UseModel) for each in door(app).commands)
        door(app).tell([ModelChosen("own.gguf", "own.gguf is used from the next question on."), ready])
        await fakes.until_true(pilot, lambda: door(app).last() == UseModel("own.gguf", keep=False))
        door(app).tell([ModelChosen("own.gguf", "own.gguf is used from the next question on.")])
        await pilot.pause()
        assert len(app._notifications) == 1
