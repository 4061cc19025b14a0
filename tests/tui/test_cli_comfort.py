"""``sessions rename``, ``sessions tag`` and ``config``, through the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from engine.export import FORMS
from tests.tui.test_cli import run


def test_a_session_is_named_and_found_by_its_name(tmp_path: Path, kept: str) -> None:
    assert run(tmp_path, "sessions", "rename", "last", "The\x1b[31m keepers").stdout == f"{kept}  The␛[31m keepers\n"
    assert "keepers" in run(tmp_path, "sessions").stdout
    assert run(tmp_path, "sessions", "rename", kept, " ").exit_code == 2
    assert run(tmp_path, "sessions", "rename", "nope", "x").exit_code == 1


def test_tags_are_given_shown_searched_and_taken_away(tmp_path: Path, kept: str) -> None:
    assert run(tmp_path, "sessions", "tag", kept).stdout == f"{kept}  no tags\n"
    assert run(tmp_path, "sessions", "tag", kept, "#Lamp", "oil").stdout == f"{kept}  #lamp #oil\n"
    assert run(tmp_path, "sessions", "tag", kept, "work").stdout == f"{kept}  #lamp #oil #work\n"
    assert "#lamp #oil #work" in run(tmp_path, "sessions", "list").stdout
    assert run(tmp_path, "sessions", "search", "quill #oil").stdout.startswith(kept)
    assert run(tmp_path, "sessions", "search", "quill #nope").stdout == ""
    assert run(tmp_path, "sessions", "tag", kept, "--remove", "oil").stdout == f"{kept}  #lamp #work\n"
    assert run(tmp_path, "sessions", "tag", kept, "--remove").stdout == f"{kept}  no tags\n"
    assert run(tmp_path, "sessions", "tag", kept, "!?").exit_code == 2


@pytest.mark.parametrize("form", FORMS)
def test_every_format_of_the_table_can_be_asked_for(tmp_path: Path, kept: str, form: str) -> None:
    done = run(tmp_path, "sessions", "export", kept, "--format", form)
    assert done.exit_code == 0 and "Who was the first keeper?" in done.stdout


def test_the_settings_file_is_told_made_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine" / "config.toml"
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(file))
    assert run(tmp_path, "config").stdout == f"{file}\n"
    assert not file.exists()
    assert run(tmp_path, "config", "--init").exit_code == 0
    assert tomllib.loads(file.read_text()) == {} and '# "mask.pin" = "f8"' in file.read_text()
    file.write_text("window = 6")
    again = run(tmp_path, "config", "--init")
    assert (again.exit_code, "nothing was changed" in again.stderr) == (1, True)
    shown = run(tmp_path, "config", "--show").stdout.splitlines()
    assert any(line.split() == ["window", "6", "file"] for line in shown)
    file.write_text("windw = 6")
    assert run(tmp_path, "config").exit_code == 0, "to be mended, it must be found"
    broken = run(tmp_path, "config", "--show")
    assert broken.exit_code == 1 and "Did you mean window?" in broken.stderr


def test_the_app_opens_in_a_browser_as_textual_serves_it(tmp_path: Path) -> None:
    served = {
        "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
        "DEEPSEARCH_DATA_DIR": str(tmp_path),
        "DEEPSEARCH_CONFIG_FILE": str(tmp_path / "none.toml"),
        "COLUMNS": "100",
        "ROWS": "30",
    }
    app = subprocess.Popen(
        [sys.executable, "-m", "tui"],
        env=os.environ | served,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert app.stdin is not None and app.stdout is not None
    seen = b""
    try:
        while b"Ask" not in seen and (piece := app.stdout.read(1)):
            seen += piece
    finally:
        app.kill()
        app.wait()
        app.stdin.close()
        app.stdout.close()
    assert seen.startswith(b"__GANGLION__") and b"Ask" in seen
