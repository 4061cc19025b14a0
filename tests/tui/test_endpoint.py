"""A model at a server, as the user meets it: options, doctor, status lines, and the guard."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.doctor import checks
from engine.protocol import Advised, Ask, Event, Failed, ModelLoaded, Policy
from engine.settings import Settings, load_settings
from tests.engine.model.serving import Served, completion, llama_server, openai
from tests.tui import fakes
from tui import cli
from tui.bridge import EngineProcess, OnEvent
from tui.fold import fold_all
from tui.state import AppState
from tui.widgets import status
from tui.widgets.detail import head

AT = replace(fakes.MODEL, cache="server", endpoint="gpu.lan:8000", estimated=True)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


def look(tmp_path: Path, **values: object) -> dict[str, tuple[bool | None, str, str]]:
    settings = load_settings({"data_dir": tmp_path, "config_file": tmp_path / "none.toml", **values}, env={})
    return {check.name: (check.ok, check.detail, check.fix) for check in checks(settings)}


def test_doctor_names_the_server_and_asks_it(served: Served, tmp_path: Path) -> None:
    llama_server(served, completion("x"))
    found = look(tmp_path, endpoint=served.url)
    assert found["model"] == (True, f"tiny-1.7B.gguf at {served.url}", "")
    assert found["memory"][0] is True and served.label in found["memory"][1]
    assert found["network"][1] == f"the web is off: nothing is reached but the model's server at {served.label}"
    assert served.label in look(tmp_path, endpoint=served.url, web="ask")["network"][1]
    wrong = look(tmp_path, endpoint=served.url, endpoint_model="gone")["model"]
    assert wrong[0] is False and "it has tiny-1.7B.gguf" in wrong[1] and "--endpoint-model" in wrong[2]
    served.close()
    away = look(tmp_path, endpoint=served.url)["model"]
    assert away[0] is False and served.label in away[1] and away[2]


def test_the_lines_that_are_always_there_say_where_the_model_is_and_what_is_estimated() -> None:
    here = fold_all([*fakes.READY, *fakes.RUNNING])
    assert here.run is not None
    there = replace(here, model=AT, run=replace(here.run, model=AT))
    assert "at gpu.lan:8000" in status.title(there, 160).plain
    assert "at " not in status.title(replace(here, run=None), 160).plain.partition("8k")[2]
    told, plain = (status.status(state, 220, fakes.START).plain for state in (there, here))
    assert "~" in told and "the server's" in told and "~" not in plain


def test_the_detail_has_the_advice() -> None:
    state = fold_all([*fakes.READY, *fakes.RUNNING])
    assert state.run is not None
    turn = state.run.turns[0]
    assert "advice" not in head(state.run, turn, None, None).plain
    advised = replace(state.run, advice="Masking is expected to help.")
    assert "Masking is expected" in head(advised, turn, None, None).plain


ADVISED = Advised("Masking is expected to help most: because.", "help", 4, session=fakes.SESSION, run=1)


class Asked:
    """A door that remembers what it was made with."""

    settings: Settings
    command: object

    def door(self, settings: Settings, receive: OnEvent) -> Asked:
        self.settings, self._receive = settings, receive
        return self

    def send(self, command: object) -> None:
        self.command = command
        for event in (fakes.RUN[0], ADVISED, *fakes.RUN[1:]):
            self._receive(event)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("given", "policy"),
    [(["--window", "auto"], Policy(auto=True)), (["--window", "3"], Policy(window=3)), ([], Policy(auto=True))],
)
def test_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], policy: Policy) -> None:
    for name in [name for name in os.environ if name.startswith("DEEPSEARCH_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config.toml"
    config.write_text('masking = "auto"\n')
    monkeypatch.setenv("DEEPSEARCH_CONFIG_FILE", str(config))
    asked = Asked()
    monkeypatch.setattr("tui.bridge.EngineProcess", asked.door)
    at = ["--endpoint", "http://gpu.lan:8000/v1", "--endpoint-model", "big"]
    done = CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "data"), *at, "ask", "why?", *given])
    assert done.exit_code == 0
    assert "advice  Masking is expected to help most: because." in done.stderr
    server = asked.settings.server
    assert server is not None and (server.url, asked.settings.endpoint_model) == ("http://gpu.lan:8000", "big")
    assert isinstance(asked.command, Ask) and asked.command.policy == policy == asked.settings.policy


def test_an_engine_process_reaches_its_server_through_its_guard(served: Served, tmp_path: Path) -> None:
    """The guard is up from the first line on, and the user's own server is its one exception."""
    openai(served, completion("x"))
    told: queue.SimpleQueue[Event] = queue.SimpleQueue()
    settings = load_settings({"data_dir": tmp_path / "data", "endpoint": served.url}, env={})
    door = EngineProcess(settings, told.put)
    try:
        while not isinstance(event := told.get(timeout=120), ModelLoaded | Failed):
            continue
    finally:
        door.close()
    assert isinstance(event, ModelLoaded), event
    assert event.model.endpoint == served.label and "tokens are assumed" in event.note
    assert fold_all([event], AppState()).model == event.model
