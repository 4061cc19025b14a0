"""The inspector's screens at three sizes, one of them light and one without colour. Look before accepting a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.protocol import Event
from tests.tui import fakes
from tests.tui.test_snapshots import SIZES, Compare
from tui.app import DeepSearchApp
from tui.screens.prompt import PromptView
from tui.widgets.folds import Folds

pytestmark = pytest.mark.snapshot

Ready = Callable[[DeepSearchApp], object]


def _offered(app: DeepSearchApp) -> object:
    return app.state.offer


def _viewed(app: DeepSearchApp) -> object:
    return isinstance(app.screen, PromptView) and app.screen.query_one(Folds).block


SCREENS: dict[str, tuple[Sequence[Event], tuple[str, ...], Ready]] = {
    "offer": (fakes.RUNNING, ("2", "end", "m"), _offered),
    "prompt": (fakes.RUN, ("escape", "1", "v"), _viewed),
}


async def _prepare(pilot: Pilot[None], app: DeepSearchApp, screen: str) -> None:
    told, keys, ready = SCREENS[screen]
    await fakes.settled(pilot, app, told)
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    await fakes.until_true(pilot, lambda: ready(app))
    await fakes.until_true(pilot, lambda: fakes.key_bar(app))
    await fakes.still(pilot, app)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(screen: str, size: str, snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    app = fakes.make_app(tmp_path, fakes.READY, SCREENS[screen][0])
    assert snap_compare(app, terminal_size=SIZES[size], run_before=lambda pilot: _prepare(pilot, app, screen))


@pytest.mark.parametrize("look", ["light", "no-color"])
def test_the_prompt_in_another_look(
    look: str, snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEXTUAL_THEME", raising=False)
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    if look == "light":
        app.theme = "textual-light"
    assert snap_compare(app, terminal_size=(120, 40), run_before=lambda pilot: _prepare(pilot, app, "prompt"))
