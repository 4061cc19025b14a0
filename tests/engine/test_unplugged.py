"""With the web off a run is the same in a machine that has no network at all, not even a loopback interface."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.protocol import Ask, EngineReady, LibraryOpened, RunEnded, Shutdown, decode_event, encode
from engine.settings import Settings
from tests.engine.running import QUESTION, settings_in, stock

HOST = """
import sys
import engine.engine, engine.host, engine.loaded
from engine.model.scripted import ScriptedModel
from tests.engine.running import STORY
from tests.engine.sources.library.hashing import HashEmbedder
engine.loaded.load = lambda settings, record: ScriptedModel(STORY)
engine.engine.embedder_of = lambda *_: HashEmbedder()
engine.host.main()
"""
UNPLUGGED = ("unshare", "-rn")


def available() -> bool:
    """Whether this system lets a user be without a network."""
    try:
        return subprocess.run([*UNPLUGGED, "true"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


def told(prefix: tuple[str, ...], settings: Settings) -> list[dict[str, Any]]:
    """What an engine process tells of a question, without what differs from run to run."""
    child = subprocess.Popen(
        [*prefix, sys.executable, "-c", HOST, "--settings", settings.to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(encode(Ask(QUESTION)) + "\n")
    child.stdin.flush()
    events = []
    for line in child.stdout:
        event = decode_event(line)
        if not isinstance(event, EngineReady | LibraryOpened):
            events.append(json.loads(line))
        if isinstance(event, RunEnded):
            break
    child.stdin.write(encode(Shutdown()) + "\n")
    child.stdin.close()
    assert child.wait(60) == 0
    child.stdout.close()
    return [_settled(event) for event in events if event["session"]]


def _settled(event: Any) -> Any:
    if isinstance(event, list):
        return [_settled(each) for each in event]
    if isinstance(event, dict):
        varying = ("at", "session", "seconds", "prefill_seconds", "decode_seconds", "tool_seconds")
        return {name: _settled(value) for name, value in event.items() if name not in varying}
    return event


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = settings_in(tmp_path)
    stock(settings, tmp_path / "notes")
    return settings


def test_a_run_is_the_same_without_any_network(settings: Settings) -> None:
    plugged = told((), settings)
    assert next(event for event in plugged if event["kind"] == "RunEnded")["why"] == "answered"
    assert told(UNPLUGGED if available() else (), settings) == plugged
