"""The screens of the web: the question whether something may be sent, and the list of what was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.protocol import ApprovalNeeded, NetworkEntry
from engine.protocol import Network as NetworkEvent
from tests.tui import fakes
from tests.tui.test_snapshots import SIZES, Compare
from tui.screens.network import Approval, Network

pytestmark = pytest.mark.snapshot

QUERY = ApprovalNeeded(
    session=fakes.SESSION, run=1, request="7", what="query", text="keeper [of] the lamp", host="searx.lan"
)
SENT = [
    NetworkEntry(
        fakes.START, "query", "GET", "http://searx.lan/search?q=keeper", "searx.lan", "192.168.7.7", 200, 8_120
    ),
    NetworkEntry(
        fakes.START + 2, "page", "GET", "http://site.test/[b]x", "site.test", "93.184.215.14", 200, 1_234, 0.5, "read"
    ),
    NetworkEntry(
        fakes.START + 3, "page", "GET", "http://inner.test/", "inner.test", "", 0, -1, 0.1, "refused: a private address"
    ),
]


@pytest.fixture(autouse=True)
def anywhere() -> Iterator[None]:
    """The same terminal and the same clock on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "TEXTUAL_THEME"):
            patch.delenv(name, raising=False)
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("size", SIZES)
def test_the_question(size: str, snap_compare: Compare, tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)

    async def before(pilot: Pilot[None]) -> None:
        await fakes.settled(pilot, app, fakes.RUNNING)
        assert isinstance(app.door, fakes.ScriptedDoor)
        app.door.tell([QUERY])
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Approval))
        await fakes.still(pilot, app)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_the_list(size: str, snap_compare: Compare, tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)

    async def before(pilot: Pilot[None]) -> None:
        await fakes.settled(pilot, app, fakes.RUN)
        assert isinstance(app.door, fakes.ScriptedDoor)
        app.door.tell([NetworkEvent(entry, session=fakes.SESSION, run=1) for entry in SENT])
        await fakes.until_true(pilot, lambda: len(app.state.network) == len(SENT))
        await pilot.press("escape", "n")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Network))
        await fakes.still(pilot, app)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)
