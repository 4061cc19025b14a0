"""The line of keys: it fits, it tells what the focused pane can do, and a click on a key does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot

from engine.protocol import AnswerNow
from engine.settings import Settings
from tests.tui import fakes
from tui import keys
from tui.app import DeepSearchApp
from tui.screens.help import Help
from tui.widgets.context_map import ContextMap
from tui.widgets.keybar import Entry, KeyBar, Placed, place, ranked


def bar_of(app: DeepSearchApp) -> KeyBar:
    return app.screen.query_one(KeyBar)


def reads(app: DeepSearchApp) -> str:
    """The line as it is drawn."""
    return bar_of(app).render_line(0).text.rstrip()


def entry_at(app: DeepSearchApp, what: str) -> Placed:
    return next(each for each in bar_of(app).shown if each.entry.what == what)


async def click(pilot: Pilot[None], app: DeepSearchApp, what: str) -> None:
    await pilot.click(KeyBar, offset=(entry_at(app, what).start, 0))


# ── room ─────────────────────────────────────────────────────────────────────────────────────────

names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
entries = st.builds(Entry, names, names, names, st.booleans(), st.integers(0, 99), names)
some = st.lists(entries, max_size=14, unique_by=lambda each: each.action)


@given(some, st.integers(0, 120))
def test_whole_keys_in_their_order_and_the_most_useful_ones(entries: list[Entry], width: int) -> None:
    placed = place(entries, width)
    assert [each.entry for each in placed] == [each for each in entries if each in [one.entry for one in placed]]
    end = -1
    for each in placed:
        assert each.start == end + 1 and each.end - each.start == each.entry.width
        end = each.end
    assert end <= width
    first = min(entries, key=lambda each: (not each.enabled, each.rank), default=None)
    assert first is None or first.width > width or first in [each.entry for each in placed]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
async def test_it_fits_whatever_has_the_focus_and_always_says_where_there_is_more(tmp_path: Path, width: int) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(width, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        for focused in ("turns", "context", "sources", "prompt"):
            await pilot.press({"turns": "1", "context": "2", "sources": "3", "prompt": "i"}[focused])
            await fakes.until_true(pilot, lambda focused=focused: getattr(app.screen.focused, "id", "") == focused)
            await fakes.until_true(pilot, lambda: reads(app) == fakes.key_bar(app))
            assert cell_len(reads(app)) <= width
            assert reads(app).endswith("Help ^p More")
            assert all(
                each.entry.what in [key.description for key in keys.every().values()] for each in bar_of(app).shown
            )
            if focused != "prompt":
                assert "esc Stop" in reads(app) and "a Answer" in reads(app)


async def test_where_not_all_fit_those_of_the_focused_pane_do(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(80, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        await pilot.press("2")
        await fakes.until_true(pilot, lambda: isinstance(app.screen.focused, ContextMap))
        assert "m Mask" not in reads(app)  # grey, as no row is selected: the first to give way
        await pilot.press("down")
        await fakes.until_true(pilot, lambda: "m Mask" in reads(app))
        assert "+ - Window" in reads(app) and "u Undo" not in reads(app)
        await pilot.press("i")
        await fakes.until_true(pilot, lambda: "m Mask" not in reads(app))


def test_the_way_to_more_gives_way_last_and_a_pane_s_own_keys_after_it() -> None:
    order = ranked([key.id for key in (*keys.SCREEN, *keys.APP)], "sources")
    assert order["app.help"] < order["app.palette"] < order["source.open"] < order["mask.undo"]
    assert ranked(["a", "b"], "nothing")["a"] < ranked(["a", "b"], "nothing")["b"]


async def test_a_key_that_would_be_typed_is_not_promised(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(80, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        app.screen.query_one("#prompt").focus()
        await fakes.until_true(pilot, lambda: "f1 Help" in reads(app))
        await pilot.press("escape")
        await fakes.until_true(pilot, lambda: "? Help" in reads(app))


async def test_names_of_a_keymap_however_odd(tmp_path: Path) -> None:
    given = {
        "copy": "left_square_bracket",
        "source.open": "\u0301",
        "mask.undo": "漢",
        "app.help": "ctrl+shift+alt+right_square_bracket",
        "app.palette": "ctrl+shift+alt+left_parenthesis",
        "prompt.view": "@",
        "run.answer": "]",
    }
    app = fakes.make_app(
        tmp_path, fakes.READY, fakes.RUN, settings=Settings(data_dir=tmp_path, keys=given, config_file=tmp_path / "c")
    )
    async with app.run_test(size=(160, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        app.screen.query_one("#context").focus()
        await fakes.until_true(pilot, lambda: "[ Copy" in reads(app))
        assert "漢 Undo" in reads(app) and "combining_acute… Open" in reads(app) and "@ View" in reads(app)
        assert cell_len(reads(app)) <= 160 and "Help" in reads(app) and "More" in reads(app)
        await pilot.resize_terminal(60, 40)
        await fakes.until_true(pilot, lambda: "Copy" not in reads(app))
        assert cell_len(reads(app)) <= 60 and "Help" in reads(app) and "More" in reads(app)


# ── the mouse ────────────────────────────────────────────────────────────────────────────────────


async def test_a_click_on_a_key_does_what_the_key_does(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(160, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        app.screen.query_one("#turns").focus()
        await fakes.until_true(pilot, lambda: "a Answer" in reads(app))
        await click(pilot, app, "Answer")
        door = app.door
        assert isinstance(door, fakes.ScriptedDoor)
        await fakes.until_true(pilot, lambda: AnswerNow() in door.commands)
        assert getattr(app.screen.focused, "id", "") == "turns"  # a click on the bar takes the focus from nobody
        await click(pilot, app, "Ask")
        await fakes.until_true(pilot, lambda: getattr(app.screen.focused, "id", "") == "prompt")
        await fakes.until_true(pilot, lambda: "f1 Help" in reads(app))
        await click(pilot, app, "Help")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Help))


async def test_a_grey_key_does_nothing_and_a_key_under_the_mouse_says_what_it_is_for(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "4")
        await fakes.until_true(pilot, lambda: "m Mask" in reads(app))
        assert not entry_at(app, "Mask").entry.enabled
        door = app.door
        assert isinstance(door, fakes.ScriptedDoor)
        before = list(door.commands)
        await click(pilot, app, "Mask")
        await pilot.pause()
        assert door.commands == before
        placed = entry_at(app, "Copy")
        await pilot.hover(KeyBar, offset=(placed.end - 1, 0))
        assert bar_of(app).tooltip == keys.every()["copy"].tooltip
        await pilot.hover(KeyBar, offset=(placed.end, 0))
        assert bar_of(app).tooltip is None


# ── when it is drawn ─────────────────────────────────────────────────────────────────────────────


async def test_it_stays_as_it_is_while_the_keys_are_the_same(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        app.screen.query_one("#context").focus()
        await pilot.press("down")
        await fakes.until_true(pilot, lambda: "m Mask" in reads(app) and entry_at(app, "Mask").entry.enabled)
        before = bar_of(app).shown
        await pilot.press("down", "up", "down")
        app.screen.refresh_bindings()
        await pilot.pause()
        assert bar_of(app).shown is before and not bar_of(app).children
