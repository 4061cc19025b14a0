"""``make screenshots``: pictures of the running app with the real engine and the starter model, into ``assets/``.

Each look (dark, light, without colour) is a process of its own, because Textual reads NO_COLOR when it starts.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engine.protocol import Ask, Policy
from engine.settings import load_settings
from tui.app import DeepSearchApp
from tui.bridge import EngineProcess
from tui.cli import EXAMPLES, GUIDE

ASSETS = Path(__file__).parent.parent / "assets"
SIZES = ((80, 24), (120, 40), (160, 50))
LOOKS = {
    "dark": {"TEXTUAL_THEME": "textual-dark"},
    "light": {"TEXTUAL_THEME": "textual-light"},
    "no-color": {"NO_COLOR": "1"},
}
_WEB_FONT = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)


async def shoot(look: str, home: str) -> None:
    config = Path(home) / "config.toml"
    settings = load_settings({"data_dir": home, "library": "guide", "config_file": config}, env={})
    settings.prepare()
    app = DeepSearchApp(
        partial(EngineProcess, settings), settings, paths=(str(GUIDE),), library="guide", questions=EXAMPLES
    )
    async with app.run_test(size=SIZES[1]) as pilot:

        async def until(what: str, true: Callable[[], Any]) -> None:
            for _ in range(3000):
                if true():
                    await pilot.pause(0.5)
                    return
                await pilot.pause(0.1)
            raise TimeoutError(f"never {what}")

        async def save(name: str, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
            for width, height in sizes:
                await pilot.resize_terminal(width, height)
                await pilot.pause(0.6)
                svg = _WEB_FONT.sub("", app.export_screenshot(title="deepsearch-tui"))
                svg = svg.replace(home, "/home/you".ljust(len(home)).replace(" ", "&#160;"))  # whose machine it was
                (ASSETS / f"{name}-{look}-{width}x{height}.svg").write_text(svg)

        await until("indexed", lambda: app.state.indexed is not None and app.state.model is not None)
        await save("start", SIZES[:1] if look == "dark" else ())
        await pilot.resize_terminal(*SIZES[1])
        assert app.door is not None
        app.door.send(Ask(EXAMPLES[0], library="guide", policy=Policy(window=2)))
        await until("masked", lambda: app.state.run is not None and app.state.run.masked_count >= 2)
        await save("running", SIZES[1:2] if look == "dark" else ())
        await until("ended", lambda: app.state.run is not None and app.state.run.ended)
        await save("answered")
        if look == "dark":
            for name, pressed, size in (
                ("sessions", ("ctrl+s", "slash", *"masked", "enter"), SIZES[1:2]),
                ("settings", ("f2",), SIZES[1:2]),
                ("doctor", ("f3",), SIZES[:1]),
                ("help", ("f1",), SIZES[:1]),
            ):
                await pilot.resize_terminal(*SIZES[1])
                await pilot.press("escape", "2", *pressed)
                await pilot.pause(4 if name == "doctor" else 2)
                await save(name, size)
                await pilot.press("escape")
                await pilot.pause(0.5)


def main() -> None:
    ASSETS.mkdir(exist_ok=True)
    if len(sys.argv) == 3:
        asyncio.run(shoot(*sys.argv[1:]))
        return
    with tempfile.TemporaryDirectory() as home:
        for look, environment in LOOKS.items():
            clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TEXTUAL_THEME")}
            subprocess.run([sys.executable, "-m", "tests.screenshots", look, home], check=True, env=clean | environment)


if __name__ == "__main__":
    main()
