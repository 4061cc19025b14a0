"""Whole screens at three sizes. Look at them before accepting a change: ``pytest -m snapshot --snapshot-update``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest
from textual.app import App
from textual.pilot import Pilot

from engine.protocol import Event
from tests.tui import fakes

pytestmark = pytest.mark.snapshot

SIZES = {"narrow": (80, 24), "medium": (120, 40), "wide": (160, 50)}
SCREENS: dict[str, tuple[Sequence[Event], tuple[str, ...]]] = {
    "empty": ((), ()),
    "running": (fakes.RUNNING, ()),
    "masked": (fakes.RUN, ("escape", "2", "home", "enter")),
    "context": (fakes.RUNNING, ("2", "end", "p", "p", "plus", "plus")),
    "answered": (fakes.RUN, ()),
}


class Compare(Protocol):
    def __call__(self, app: App[None], *, terminal_size: tuple[int, int], run_before: object) -> bool: ...


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(screen: str, size: str, snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    told, keys = SCREENS[screen]
    app = fakes.make_app(tmp_path, fakes.READY, told)

    async def before(pilot: Pilot[None]) -> None:
        await fakes.settled(pilot, app, told)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        if "plus" in keys:
            await fakes.until_true(pilot, lambda: app.state.policy.window == 3)
        await fakes.still(pilot, app)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)
