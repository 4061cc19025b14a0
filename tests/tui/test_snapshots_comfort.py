"""The settings, the doctor and the sessions at three sizes, and the settings and the main screen in every theme."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from engine import config_file, doctor
from engine.doctor import Check
from engine.sessions import Journal
from engine.settings import Settings
from tests.tui import fakes
from tests.tui.test_snapshots import SIZES, Compare
from tui import themes
from tui.screens.doctor import Doctor
from tui.screens.sessions import Sessions
from tui.screens.settings import SettingsScreen
from tui.widgets.rows import RowList

pytestmark = pytest.mark.snapshot

SETTINGS = Settings(data_dir=Path("/data"), config_file=Path("/data/config.toml"), window=6)
NAMES = ("model", "context", "library", "web", "window", "theme", "notify", "keys", "data_dir")
"""Some settings, so that a new one does not change every picture."""

CHECKS = (
    Check("settings", True, "/data/config.toml"),
    Check("disk", True, "68.0 GB free"),
    Check("model", False, "there is no file m.gguf", "Name another with --model."),
    Check("library", None, "default holds no documents", "Index some: deepsearch-tui index PATH"),
)


class NoCaches:
    def forget(self, session: str) -> None: ...


@pytest.fixture(autouse=True)
def alike(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same on every machine: its clock's zone, its colours, what its doctor finds."""
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(config_file, "names", lambda: NAMES)
    monkeypatch.setattr(doctor, "checks", lambda settings: iter(CHECKS))
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


def screen_of(name: str, data: Path) -> Screen[object]:
    if name == "settings":
        return SettingsScreen(SETTINGS, lambda change: None)
    if name == "doctor":
        return Doctor(SETTINGS)
    journal = Journal(data / "sessions.db")
    for number, (title, told, tags) in enumerate(
        ((fakes.QUESTION, fakes.RUN, ["masking", "paper"]), ("Which files can be indexed?", fakes.RUNNING, []))
    ):
        session = journal.create(title)
        for event in told:
            journal.append(dataclasses.replace(event, session=session, at=event.at + 3600 * number))
        journal.tag(session, tags)
    journal.close()
    return Sessions(data / "sessions.db", NoCaches(), data)


CASES = [(name, size, "dark") for name in ("settings", "doctor", "sessions") for size in SIZES]
CASES += [(name, "narrow", theme) for name in ("settings", "main") for theme in themes.CHOICES[1:]]


@pytest.mark.parametrize(("name", "size", "theme"), CASES)
def test_screen(name: str, size: str, theme: str, snap_compare: Compare, tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)

    async def before(pilot: Pilot[None]) -> None:
        await fakes.settled(pilot, app, fakes.RUN)
        app.theme = themes.resolve(theme)
        if name == "main":
            await pilot.press("escape", "2")
        else:
            app.push_screen(screen_of(name, tmp_path))
            rows = f"#{name}-list"
            wanted = {"settings": len(NAMES), "doctor": len(CHECKS), "sessions": 2}[name]
            await fakes.until_true(
                pilot, lambda: app.screen.query(rows) and len(app.screen.query_one(rows, RowList).rows) >= wanted
            )
        if name == "sessions":
            await pilot.press("slash", *"transcript", "enter")
            await fakes.until_true(pilot, lambda: "read: " in app.screen.query_one(RowList).rows[0].content.plain)
        await fakes.still(pilot, app)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)
