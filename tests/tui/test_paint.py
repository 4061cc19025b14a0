"""What is drawn again, and what is not: a key press or a word costs what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.screen import Screen

from engine.protocol import ThoughtDelta
from tests.tui import fakes
from tests.tui.test_safe import drawn
from tui.app import DeepSearchApp
from tui.safe import Plain, plain
from tui.screens.panes import at_size
from tui.widgets.context_map import ContextMap
from tui.widgets.rows import Row, RowList
from tui.widgets.turns import Turns

ROWS = tuple(Row(str(number), plain(f"row {number}")) for number in range(400))


class Small(App[None]):
    """One text over one list."""

    CSS = "RowList { height: 1fr; text-wrap: nowrap; }"

    def compose(self) -> ComposeResult:
        yield Plain("short words", id="text")
        yield Plain("below", id="below")
        yield RowList(id="rows")


@contextmanager
def layouts(screen: Screen[object]) -> Iterator[list[object]]:
    """Every time that the screen is laid out."""
    seen: list[object] = []
    screen.screen_layout_refresh_signal.subscribe(screen, seen.append, immediate=True)
    yield seen


async def test_a_text_of_as_many_lines_does_not_lay_the_screen_out() -> None:
    app = Small()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        text = app.query_one("#text", Plain)
        with layouts(app.screen) as seen:
            text.show("other words")
            await fakes.until_true(pilot, lambda: "other words" in drawn(app.screen))
            assert not seen
            text.show("one\ntwo")
            await fakes.until_true(pilot, lambda: app.query_one("#below").region.y == 2)
            assert seen


async def test_a_text_that_changed_is_measured_at_a_new_width() -> None:
    app = Small()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.resize_terminal(20, 12)  # the first text is measured at both widths
        await pilot.resize_terminal(40, 12)
        await fakes.until_true(pilot, lambda: app.query_one("#text").region.width == 40)
        app.query_one("#text", Plain).show("a line of words as long as forty cells")
        await fakes.until_true(pilot, lambda: "forty" in drawn(app.screen))
        assert app.query_one("#below").region.y == 1
        await pilot.resize_terminal(20, 12)
        await fakes.until_true(pilot, lambda: app.query_one("#below").region.y == 2)
        await pilot.resize_terminal(40, 12)
        await fakes.until_true(pilot, lambda: app.query_one("#below").region.y == 1)


async def test_a_row_that_reads_otherwise_is_drawn_so() -> None:
    app = Small()
    async with app.run_test(size=(40, 12)) as pilot:
        rows = app.query_one(RowList)
        rows.show(ROWS)
        await fakes.until_true(pilot, lambda: "row 3" in drawn(app.screen))
        changed = list(ROWS)
        changed[3] = replace(ROWS[3], content=plain("something else"))
        rows.show(changed)
        await fakes.until_true(pilot, lambda: "something else" in drawn(app.screen))
        assert "row 3" not in drawn(app.screen).split("row 40")[0] and "row 4" in drawn(app.screen)
        changed[3] = replace(ROWS[3], content=plain("two\nlines"))
        rows.show(changed)
        await fakes.until_true(pilot, lambda: "lines" in drawn(app.screen))
        assert rows.virtual_size.height == len(ROWS) + 1


async def test_the_mark_leaves_the_row_it_was_on() -> None:
    app = Small()
    async with app.run_test(size=(40, 12)) as pilot:
        rows = app.query_one(RowList)
        rows.show(ROWS)
        rows.focus()
        await fakes.until_true(pilot, lambda: "row 3" in drawn(app.screen))

        def marked() -> list[int]:
            styles = [
                next(segment.style and segment.style.bgcolor for segment in rows.render_line(y)) for y in range(8)
            ]
            return [y for y, style in enumerate(styles) if style != styles[-1]]

        await pilot.press("down", "down", "down")
        await fakes.until_true(pilot, lambda: rows.row == "2" and marked() == [2])
        await pilot.press("up")
        await fakes.until_true(pilot, lambda: rows.row == "1" and marked() == [1])
        svg = app.export_screenshot()  # what was painted, not what would be
        await pilot.press("down")
        await fakes.until_true(pilot, lambda: app.export_screenshot() != svg)
        await pilot.press("up")
        await fakes.until_true(pilot, lambda: app.export_screenshot() == svg)


async def streaming(tmp_path: Path) -> DeepSearchApp:
    return fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)


async def test_a_streamed_word_changes_one_row_and_lays_nothing_out(tmp_path: Path) -> None:
    app = await streaming(tmp_path)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        await fakes.still(pilot, app)
        door = app.door
        assert isinstance(door, fakes.ScriptedDoor)
        last = fakes.RUNNING[-1]
        map_before = app.screen.query_one(ContextMap).rows
        turns_before = app.screen.query_one(Turns).rows
        with layouts(app.screen) as seen:
            door.tell([ThoughtDelta(" so", session=last.session, run=1, turn=6, seq=last.seq + 1, at=last.at)])
            await fakes.until_true(pilot, lambda: app.screen.query_one(Turns).rows is not turns_before)
            await pilot.pause()
            assert not seen
        now = app.screen.query_one(Turns).rows
        assert sum(not a.content.is_same(b.content) for a, b in zip(turns_before, now, strict=True)) == 1
        assert app.screen.query_one(ContextMap).rows is map_before


@pytest.mark.parametrize("cells", range(0, 200, 7))
def test_a_screen_of_any_size_has_one_of_its_classes(cells: int) -> None:
    classes = at_size(cells, [(0, "a"), (60, "b"), (100, "c")])
    assert [name for name, on in classes.items() if on] == ["a" if cells < 60 else "b" if cells < 100 else "c"]


async def test_a_new_size_is_laid_out_with_its_own_classes_only(tmp_path: Path) -> None:
    app = await streaming(tmp_path)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        mixed: list[tuple[int, bool]] = []
        app.screen.screen_layout_refresh_signal.subscribe(
            app.screen,
            lambda screen: mixed.append((screen.app.size.width, screen.has_class("-narrow"))),
            immediate=True,
        )
        await pilot.resize_terminal(80, 50)
        await fakes.until_true(pilot, lambda: app.screen.size.width == 80 and app.screen.has_class("-narrow"))
        await fakes.still(pilot, app)
        assert (80, True) in mixed and (80, False) not in mixed
