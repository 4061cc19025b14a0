"""How late the event loop runs while the real engine process streams an answer, beside the same app idle."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from engine.protocol import Ask
from engine.settings import load_settings
from tui.app import DeepSearchApp
from tui.bridge import EngineProcess

TICK = 0.01
DOCS = Path(__file__).parents[2] / "docs"


def measure() -> None:
    with tempfile.TemporaryDirectory() as home:
        idle, streaming = asyncio.run(_run(home))
    base = _p99(idle)
    for label, lags in (("idle", idle), ("streaming", streaming)):
        print(
            f"{label:<10} p50 {statistics.median(lags) * 1000:6.1f} ms   p99 {_p99(lags) * 1000:6.1f} ms"
            f"   max {max(lags) * 1000:6.1f} ms   p99 against idle {_p99(lags) / base:.1f}   ({len(lags)} ticks)"
        )


def _p99(lags: list[float]) -> float:
    return sorted(lags)[int(len(lags) * 0.99)]


async def _run(home: str) -> tuple[list[float], list[float]]:
    settings = load_settings({"data_dir": home, "library": "guide"})
    settings.prepare()
    app = DeepSearchApp(partial(EngineProcess, settings), settings, paths=(str(DOCS),), library="guide")
    async with app.run_test(size=(120, 40)) as pilot:
        while app.door is None or app.state.indexed is None:
            await pilot.pause(0.1)
        await pilot.pause(1)
        idle = await _ticks(lambda: False, 3)
        app.door.send(Ask("What happens to errors when old results are masked?", library="guide"))
        streaming = await _ticks(lambda: app.state.run is not None and app.state.run.ended != "", 120)
    return idle, streaming


async def _ticks(done: object, seconds: float) -> list[float]:
    assert callable(done)
    lags = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not done():
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        lags.append(time.perf_counter() - began - TICK)
    return lags
