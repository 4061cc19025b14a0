"""``models`` on the command line, against a server on the loopback interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine import offline
from tests.engine.downloads.serving import FileServer, serving
from tests.engine.model import tiny
from tui import cli


@pytest.fixture(autouse=True)
def no_settings_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DEEPSEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(tmp_path / "config.toml"))


@pytest.fixture
def model_bytes(tmp_path: Path) -> bytes:
    return tiny.write(tmp_path / "made.gguf", "llama", context=4096).read_bytes()


def run(tmp_path: Path, *arguments: str, **options: object) -> Result:
    return CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "data"), "models", *arguments], **options)


def test_without_a_word_what_is_here_is_listed_and_what_could_be(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == 0
    here, _, offered = done.output.partition("Could be fetched")
    assert "memory are free" in here and "* starter" in here and "in use" in here
    assert "trained for 8,192 tokens" in here and " MB of memory with 8,192 of them" in here
    assert "granite-4.1-3b" in offered and "Apache-2.0" in offered and "a download is checked by SHA-256" in offered
    rows = [json.loads(line) for line in run(tmp_path, "list", "--json").stdout.splitlines()]
    assert rows[0]["name"] == "starter" and rows[0]["in_use"] and all("memory" in row for row in rows)


def test_a_model_is_fetched_used_listed_and_removed(tmp_path: Path, model_bytes: bytes) -> None:
    config = tmp_path / "config.toml"
    config.write_text("# mine\n")
    with serving(model_bytes, cuts=[90_000]) as server:
        pulled = run(tmp_path, "pull", server.url)
    assert pulled.exit_code == 0, pulled.output
    assert "To use it: deepsearch-tui models use small.gguf" in pulled.stdout
    assert (
        "127.0.0.1 (127.0.0.1): read" in pulled.stderr and "trying again" in pulled.stderr and "100%" in pulled.stderr
    )
    assert not offline.is_forbidden()
    used = run(tmp_path, "use", "small")
    assert used.exit_code == 0 and str(config) in used.output
    assert config.read_text() == '# mine\nmodel = "small.gguf"\n'
    assert run(tmp_path).output.index("* small.gguf") > 0
    refused = run(tmp_path, "remove", "small", "--yes")
    assert (refused.exit_code, "is in use" in refused.stderr, "models use starter" in refused.stderr) == (1, True, True)
    assert run(tmp_path, "use", "starter").exit_code == 0
    assert config.read_text() == "# mine\n"
    assert run(tmp_path, "remove", "small", input="n\n").exit_code == 1
    removed = run(tmp_path, "remove", "small", input="y\n")
    assert removed.exit_code == 0 and "small.gguf was deleted" in removed.output
    assert not (tmp_path / "data" / "models" / "small.gguf").exists()


def test_an_environment_variable_that_wins_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_bytes: bytes
) -> None:
    (tmp_path / "data" / "models").mkdir(parents=True)
    (tmp_path / "data" / "models" / "small.gguf").write_bytes(model_bytes)
    monkeypatch.setenv("DEEPSEARCH_MODEL", "other.gguf")
    assert "DEEPSEARCH_MODEL is set, and wins: other.gguf" in run(tmp_path, "use", "small").stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing-70b", "no nothing-70b in the catalogue"), ("https://example.org/page.html", "name of a .gguf file")],
)
def test_what_cannot_be_fetched_is_an_error_and_sends_nothing(tmp_path: Path, name: str, said: str) -> None:
    done = run(tmp_path, "pull", name)
    assert done.exit_code == 1 and said in done.stderr and "hint:" in done.stderr
    assert not (tmp_path / "data" / "logs" / "downloads.jsonl").exists()


def test_there_is_nothing_to_remove(tmp_path: Path) -> None:
    done = run(tmp_path, "remove", "none.gguf", "--yes")
    assert done.exit_code == 1 and "no model file none.gguf" in done.stderr


@pytest.mark.fault
def test_interrupted_it_keeps_what_came_and_goes_on_with_it(tmp_path: Path, model_bytes: bytes) -> None:
    """As a user does it: ctrl+c in a process of its own, then the same command again."""
    hold, begun = threading.Event(), threading.Event()

    def wait(server: FileServer) -> None:
        if len(server.asked) == 2:
            begun.set()
            hold.wait(30)

    with serving(model_bytes, cuts=[120_000], before=wait) as server:
        command = [sys.executable, "-m", "tui", "--data-dir", str(tmp_path / "data"), "models", "pull", server.url]
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # who runs the tests in the background has them ignore it, and so would their children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert begun.wait(60)
        part = tmp_path / "data" / "models" / "small.gguf.part"
        until = time.monotonic() + 30
        while part.stat().st_size < 120_000:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        hold.set()
        assert process.returncode == 130 and "What has come is kept" in errors
        assert part.stat().st_size == 120_000
        again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert server.asked[-1]["range"] == "bytes=120000-"
    assert (tmp_path / "data" / "models" / "small.gguf").read_bytes() == model_bytes
