"""What is fast stays fast: which libraries are loaded is checked, never the clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("lancedb", "torch", "numpy", "llama_cpp", "httpx", "pyarrow", "sentence_transformers", "sqlite_utils")


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


def test_this_test_would_notice() -> None:
    assert loaded("import numpy", *HEAVY) == {"numpy"}
