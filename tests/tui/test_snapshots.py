"""Every screen at three sizes in four themes. Look at them before accepting a change: ``pytest -m snapshot --snapshot-update``.

A picture is kept of the dark theme. Of all four a short text of their colours is kept, beside the picture.
"""

from __future__ import annotations

import inspect
import pkgutil
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

import tui.screens
from engine import config_file, doctor
from tests.tui import looks, scenes
from tests.tui.scenes import SCENES, SIZES, Stage
from tui import themes

pytestmark = pytest.mark.snapshot

__all__ = ["SIZES", "Compare"]

CASES = [pytest.param(name, size, id=f"{name}-{size}") for name, scene in SCENES.items() for size in scene.sizes]


class Compare(Protocol):
    def __call__(self, app: App[None], *, terminal_size: tuple[int, int], run_before: object) -> bool: ...


class Text(SingleFileSnapshotExtension):
    """A text file for each snapshot."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: object, **options: object) -> str:
        return str(data)


@pytest.fixture(autouse=True)
def alike(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same on every machine: its clock's zone, its colours, what its doctor finds."""
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(config_file, "names", lambda: scenes.NAMES)
    monkeypatch.setattr(doctor, "checks", lambda settings: iter(scenes.CHECKS))
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


async def in_theme(stage: Stage, theme: str) -> looks.Grid:
    """The screen in a theme, once that has reached all of it."""
    name = themes.resolve(theme)
    old = looks.drawn(stage.app) if name != stage.app.theme else []
    stage.app.theme, before = name, old
    for _ in range(200):
        await stage.pilot.pause()
        stage.app.screen.refresh()  # what is behind a box is drawn with it, and does not tell when it has changed
        await stage.pilot.pause()
        now = looks.drawn(stage.app)
        if now == before and now != old:
            return looks.grid(stage.app)
        before = now
    raise AssertionError(f"the screen does not come to rest in {theme}")


def hard_to_read(app: App[None], theme: str, shown: looks.Grid) -> list[str]:
    """What has too little contrast in a theme of our own. The colours of ``ansi`` are the terminal's."""
    if theme == "ansi":
        return []
    colours = app.theme_variables
    least = looks.STRONG if theme == "high-contrast" else looks.ORDINARY
    inks = [colours[name] for name in ("foreground", "footer-key-foreground")]
    grounds = [colours[name] for name in ("background", "surface")]
    return [f"{theme}: {each}" for each in looks.weak(shown, inks, grounds, least)]


def is_covered(app: App[None]) -> bool:
    """Whether something lies over what has the focus: what is typed would not be seen."""
    focused = app.screen.focused
    if focused is None or not focused.region:
        return False
    return focused not in app.screen.get_widget_at(*focused.region.offset)[0].ancestors_with_self


@pytest.mark.parametrize(("name", "size"), CASES)
def test_screen(name: str, size: str, snap_compare: Compare, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    scene = SCENES[name]
    app = scenes.staged(scene, tmp_path)
    first, *others = (each for each in themes.CHOICES if each != "dark")
    app.theme = themes.resolve(first)
    shown: dict[str, looks.Grid] = {}
    unreadable: list[str] = []

    async def before(pilot: Pilot[None]) -> None:
        stage = Stage(app, pilot, tmp_path)
        await scenes.arrive(stage, scene)
        assert not is_covered(app)
        for theme in (first, *others, "dark"):  # the dark one last: a picture of it is taken then
            if scene.anew and theme != first:
                await stage.press("escape")
                app.theme = themes.resolve(theme)
                await scenes.go(stage, scene)
            shown[theme] = await in_theme(stage, theme)
            unreadable.extend(hard_to_read(app, theme, shown[theme]))

    assert snap_compare(app, terminal_size=scene.sizes[size], run_before=before)
    for theme in themes.CHOICES:
        assert looks.characters(shown[theme]) == looks.characters(shown["dark"]), theme
    assert looks.colours({theme: shown[theme] for theme in themes.CHOICES}) == snapshot.use_extension(Text)
    assert unreadable == []


def test_every_screen_is_in_the_table() -> None:
    there = set[type[Screen[object]]]()
    for module in pkgutil.iter_modules(tui.screens.__path__, "tui.screens."):
        for each in vars(import_module(module.name)).values():
            if inspect.isclass(each) and issubclass(each, Screen) and each.__module__ == module.name:
                there.add(each)
    made = {each for each in there if not any(other is not each and issubclass(other, each) for other in there)}
    assert made <= {scene.shows for scene in SCENES.values()}, "add a line to tests/tui/scenes.py"
    assert len(made) > 15
