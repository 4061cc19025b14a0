"""What is fast stays fast: which libraries are loaded is checked, never the clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "lancedb", "torch", "numpy", "llama_cpp", "httpx", "pyarrow", "sentence_transformers", "sqlite_utils", "msgspec",
)  # fmt: skip


def loaded(program: str, *names: str) -> set[str]:
    """Which of ``names`` a fresh interpreter has loaded after ``program``."""
    show = f"\nimport sys\nprint('LOADED', *(set({names!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program + show], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_loads_nothing_heavy_and_no_screen() -> None:
    program = "from tui.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded(program, *HEAVY, "textual") == set()


@pytest.mark.parametrize("module", ["engine.engine", "engine.host", "tui.state", "tui.bridge", "tui.plain", "tui.cli"])
def test_modules_load_nothing_heavy(module: str) -> None:
    assert loaded(f"import {module}", *HEAVY, "textual") == set()


FIRST_FRAME = """
import asyncio, sys, tempfile
from pathlib import Path
from engine.settings import Settings
from tui.app import DeepSearchApp

class Silent:
    def __init__(self, receive): self.receive = receive
    def send(self, command): pass
    def close(self): pass

async def first_frame():
    with tempfile.TemporaryDirectory() as home:
        app = DeepSearchApp(Silent, Settings(data_dir=Path(home)))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert app.door is not None and app.focused is not None

asyncio.run(first_frame())
"""


def test_the_first_frame_loads_nothing_heavy() -> None:
    assert loaded(FIRST_FRAME, *HEAVY, "markdown_it", "engine.engine", "textual") == {"textual"}


def test_this_test_would_notice() -> None:
    assert loaded("import numpy", *HEAVY) == {"numpy"}
