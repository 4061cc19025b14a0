"""Models as an engine has them: what is told, fetched, used, tried out and removed, through its commands and events."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import models as shelf
from engine.downloads.download import Cancelled, Downloader, Patience
from engine.downloads.part import Part
from engine.errors import DownloadFailed, ModelError, ModelMissing
from engine.inventory import inventory, recommended
from engine.model import catalogue
from engine.model.catalogue import Entry, entries, find, starter_model
from engine.protocol import (
    Ask,
    CancelPull,
    CheckModel,
    Failed,
    ListModels,
    ModelChecked,
    ModelChosen,
    ModelLoaded,
    ModelRemoved,
    ModelRow,
    ModelsListed,
    Network,
    PullEnded,
    PullModel,
    PullProgress,
    RemoveModel,
    RunEnded,
    UseModel,
)
from engine.settings import Settings, load_settings
from tests.engine.downloads.serving import FileServer, serving
from tests.engine.model import tiny
from tests.engine.running import STORY, Paced, Talk, settings_in, stock

GB = 1 << 30


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = settings_in(tmp_path, threads=1)
    made.prepare()
    return made


@pytest.fixture
def model_bytes(tmp_path: Path) -> bytes:
    return tiny.write(tmp_path / "made.gguf", "llama", context=4096).read_bytes()


@pytest.fixture
def talk(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    made: list[Talk] = []

    def begin(*args: object, **options: object) -> Talk:
        made.append(Talk(settings, *args, **options))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def rows(settings: Settings, free: int = 20 * GB, total: int = 24 * GB) -> dict[str, ModelRow]:
    return {row.name: row for row in inventory(settings, free, total)}


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────


def test_every_entry_is_whole_and_the_first_choices_can_be_edited() -> None:
    assert len({entry.name for entry in entries()}) == len({entry.file for entry in entries()}) == len(entries())
    for entry in entries():
        assert entry.url.startswith("https://") and entry.url.endswith(f"/{entry.file}")
        assert "/resolve/main/" not in entry.url, "a revision is named, so that size and checksum stay true"
        assert entry.bytes > GB and entry.context >= 65_536 and entry.licence and entry.good_at and entry.format
        assert entry.sha256 == "" or len(bytes.fromhex(entry.sha256)) == 32
        assert (entry.memory_gb << 30) > entry.bytes and entry.cell_bytes % 1024 == 0
        assert isinstance(entry.memory_gb, int) and isinstance(entry.bytes, int)
    first = {entry.memory_gb: entry for entry in reversed(entries())}
    assert [first[tier].attention for tier in (8, 16)] == ["full", "full"]


def test_an_entry_is_found_by_its_name_and_by_its_file() -> None:
    assert find("Granite-4.1-3B") == find("granite-4.1-3b-Q4_K_M.gguf") == entries()[0]
    assert find("granite") is None and find("") is None


@pytest.mark.parametrize(
    ("free", "total", "name"),
    [
        (20, 24, "granite-4.1-8b"),
        (7, 16, "granite-4.1-3b"),
        (6, 7.6, "granite-4.1-3b"),
        (100, 128, "granite-4.1-8b"),
        (1, 4, ""),
    ],
)
def test_what_is_recommended_is_the_largest_that_fits_and_can_be_edited(free: float, total: float, name: str) -> None:
    found = recommended(round(free * GB), round(total * GB))
    assert (found[0].name if found else "") == name
    assert found is None or "its cache can be edited after a mask" in found[1]


# ── what is here ─────────────────────────────────────────────────────────────────────────────────


def test_the_starter_is_in_use_until_another_is(settings: Settings, model_bytes: bytes) -> None:
    told = inventory(settings, 20 * GB, 24 * GB)
    assert (told[0].name, told[0].kind, told[0].in_use, told[0].context) == ("starter", "starter", True, 8192)
    assert 300 << 20 < told[0].memory < 600 << 20
    assert [row.name for row in told if row.recommended] == ["granite-4.1-8b"] == [told[1].name]
    (settings.models_dir / "own.gguf").write_bytes(model_bytes)
    found = rows(replace(settings, model="own.gguf"))
    assert next(iter(found)) == "own.gguf" and found["own.gguf"].in_use and not found["starter"].in_use
    assert (found["own.gguf"].kind, found["own.gguf"].trained, found["own.gguf"].attention) == ("file", 4096, "full")


def test_a_file_elsewhere_a_damaged_one_and_one_that_is_gone_are_told(
    settings: Settings, model_bytes: bytes, tmp_path: Path
) -> None:
    (settings.models_dir / "half.gguf").write_bytes(model_bytes[: len(model_bytes) // 2])
    far = tmp_path / "far.gguf"
    far.write_bytes(model_bytes)
    found = rows(replace(settings, model=str(far)))
    assert found[str(far)].in_use and found[str(far)].kind == "path"
    assert not found["half.gguf"].fits and "cut short" in found["half.gguf"].note
    gone = rows(replace(settings, model="gone.gguf"))
    assert gone["gone.gguf"].in_use and not gone["gone.gguf"].here


def test_what_does_not_fit_says_what_it_would_need(settings: Settings) -> None:
    found = rows(settings, free=GB // 8)
    assert not found["starter"].fits and "and 128 MB are free" in found["starter"].note
    assert not found["granite-4.1-3b"].fits and "needs about 2." in found["granite-4.1-3b"].note


@pytest.mark.parametrize(
    ("kind", "told"), [("mamba", "hybrid"), ("lfm2", "hybrid"), ("gemma3", "window"), ("qwen3", "full")]
)
def test_what_the_layers_see_is_read_from_the_header(settings: Settings, kind: tiny.Kind, told: str) -> None:
    tiny.write(settings.models_dir / "own.gguf", kind)
    assert rows(settings)["own.gguf"].attention == told


def test_a_model_of_the_catalogue_that_is_here_goes_by_its_name(settings: Settings, model_bytes: bytes) -> None:
    entry = entries()[0]
    (settings.models_dir / entry.file).write_bytes(model_bytes)
    found = rows(settings)
    assert found[entry.name].kind == "file" and found[entry.name].licence == "Apache-2.0"
    assert shelf.choose(settings, entry.name) == entry.file


# ── getting one ──────────────────────────────────────────────────────────────────────────────────


def test_a_model_is_fetched_told_listed_and_written_down(
    settings: Settings, talk: Callable[..., Talk], model_bytes: bytes
) -> None:
    one = talk()
    with serving(model_bytes) as server:
        ended = one.ask(PullModel(server.url), PullEnded)
    assert ended.why == "done" and "checked by its GGUF header only" in ended.message
    assert "models use small.gguf" in ended.message
    assert (settings.models_dir / "small.gguf").read_bytes() == model_bytes
    assert one.of(PullProgress)[-1].done == len(model_bytes) and one.of(PullProgress)[-1].name == server.url
    assert [event.entry.purpose for event in one.of(Network)] == ["model"] and one.of(Network)[0].session == ""
    [line] = (settings.log_dir / "downloads.jsonl").read_text().splitlines()
    assert json.loads(line)["url"] == server.url
    listed = one.until(ModelsListed)
    assert [row.name for row in listed.models if row.kind == "file"] == ["small.gguf"] and listed.free > 0


def test_fetching_can_be_stopped_and_gone_on_with(
    settings: Settings, talk: Callable[..., Talk], model_bytes: bytes
) -> None:
    one, hold = talk(), threading.Event()

    def wait(server: FileServer) -> None:
        if len(server.asked) == 2:
            hold.wait(20)

    with serving(model_bytes, cuts=[50_000], before=wait) as server:
        one.send(PullModel(server.url))
        while "trying again" not in one.until(PullProgress).note:
            pass
        one.send(PullModel("granite-4.1-3b"))
        assert one.until(Failed).message == "A model is being fetched."
        one.send(CancelPull())
        assert one.until(PullEnded).why == "cancelled"
        hold.set()
        assert one.ask(PullModel(server.url), PullEnded).why == "done"
        assert server.asked[-1]["range"] == "bytes=50000-"


def test_an_engine_that_closes_stops_fetching(settings: Settings, model_bytes: bytes) -> None:
    one, hold = Talk(settings), threading.Event()
    with serving(model_bytes, before=lambda _: hold.wait(20)) as server:
        one.send(PullModel(server.url))
        one.close()
        hold.set()
    assert one.of(PullEnded)[0].why == "cancelled"


def test_what_cannot_be_fetched_is_told_in_words(
    settings: Settings, talk: Callable[..., Talk], model_bytes: bytes
) -> None:
    one = talk()
    with serving(b"<html>not a model</html>" * 9) as server:
        page = one.ask(PullModel(server.url), PullEnded)
        server.statuses.append(404)
        gone = one.ask(PullModel(server.url), PullEnded)
    assert page.why == gone.why == "failed"
    assert "is no model" in page.message and "It was deleted" in page.message
    assert "404 Not Found" in gone.message
    unknown = one.ask(PullModel("nothing-70b"), PullEnded)
    assert "no nothing-70b in the catalogue" in unknown.message and "granite-4.1-3b" in unknown.hint
    (settings.models_dir / "small.gguf").write_bytes(model_bytes)
    assert "is here already" in one.ask(PullModel("http://127.0.0.1:9/small.gguf"), PullEnded).message


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, model_bytes: bytes) -> Entry:
    """A catalogue of one small model."""
    sha = hashlib.sha256(model_bytes).hexdigest()
    url = "http://models.example.org/tiny.gguf"
    entry = Entry("tiny", "tiny.gguf", url, len(model_bytes), "MIT", 8, 4096, "full", "guided", "tests", sha)
    monkeypatch.setattr(catalogue, "entries", lambda: (entry,))
    return entry


def _pull(settings: Settings, name: str, server: FileServer, address: str = "93.184.216.34") -> str:
    from engine.sources.web import wire

    made = Downloader(
        patience=Patience(5, 5, 0.001, 2),
        resolve=lambda host, port: [address],
        dial=lambda to, port: wire.dial("127.0.0.1", server.port),
    )
    return shelf.pull(
        settings, name, record=lambda _: None, progress=lambda _: None, cancelled=lambda: False, downloader=made
    )


def test_a_model_of_the_catalogue_is_checked_by_its_checksum(
    settings: Settings, listed: Entry, model_bytes: bytes
) -> None:
    with serving(model_bytes) as server:
        said = _pull(settings, "tiny", server)
    assert "checked by SHA-256. To use it: deepsearch-tui models use tiny" in said
    assert (settings.models_dir / "tiny.gguf").read_bytes() == model_bytes


def test_the_catalogue_is_never_fetched_from_a_private_place(
    settings: Settings, listed: Entry, model_bytes: bytes
) -> None:
    with serving(model_bytes) as server, pytest.raises(DownloadFailed, match="a loopback address"):
        _pull(settings, "tiny", server, "127.0.0.1")
    assert server.asked == []


# ── using one ────────────────────────────────────────────────────────────────────────────────────


def test_another_model_is_written_down_and_used_for_the_next_question(
    settings: Settings, talk: Callable[..., Talk], model_bytes: bytes, tmp_path: Path
) -> None:
    stock(settings, tmp_path / "documents")
    settings.config_file.write_text("# mine\nwindow = 4\n")
    (settings.models_dir / "own.gguf").write_bytes(model_bytes)
    paced = Paced(STORY)
    one = talk(paced)
    one.send(Ask("Who was the first keeper?"))
    paced.reached()
    chosen = one.ask(UseModel("own.gguf"), ModelChosen)
    assert (chosen.model, chosen.message) == ("own.gguf", "own.gguf is used from the next question on.")
    assert settings.config_file.read_text() == '# mine\nwindow = 4\nmodel = "own.gguf"\n'
    assert one.loads == [""], "the run under way keeps its model"
    paced.go(3)
    one.until(RunEnded)
    one.send(Ask("And then?"))
    one.until(ModelLoaded)
    assert one.loads == ["", "own.gguf"]
    assert one.ask(ListModels(), ModelsListed).models[0].in_use
    paced.go()
    one.until(RunEnded)
    one.ask(UseModel("starter"), ModelsListed)
    assert settings.config_file.read_text() == "# mine\nwindow = 4\n"


def test_a_choice_may_be_only_for_now(settings: Settings, talk: Callable[..., Talk], model_bytes: bytes) -> None:
    (settings.models_dir / "own.gguf").write_bytes(model_bytes)
    one = talk()
    one.ask(UseModel("own", keep=False), ModelLoaded)
    assert not settings.config_file.exists()


def test_what_is_no_model_is_not_used(settings: Settings, talk: Callable[..., Talk], tmp_path: Path) -> None:
    page = tmp_path / "page.gguf"
    page.write_text("<html>" * 9)
    one = talk()
    assert "no GGUF" in one.ask(UseModel(str(page)), Failed).message
    assert one.ask(UseModel("gone.gguf"), Failed).error == "ModelMissing"
    assert "models pull granite-4.1-3b" in one.ask(UseModel("granite-4.1-3b"), Failed).hint
    assert not settings.config_file.exists()


# ── trying one out ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.model
def test_a_model_is_tried_out_and_told_in_lines(
    settings: Settings, talk: Callable[..., Talk], model_bytes: bytes
) -> None:
    (settings.models_dir / "own.gguf").write_bytes(model_bytes)
    one = talk()
    checked = one.ask(CheckModel("own"), ModelChecked)
    told = "\n".join(checked.lines)
    assert "4,096 tokens of context" in told and '{"do":"search","query":' in told
    assert "tokens a second" in told and "after a mask:" in told and "cache: carry+repair" in told


def test_a_model_is_not_tried_out_beside_a_question(
    settings: Settings, talk: Callable[..., Talk], tmp_path: Path
) -> None:
    stock(settings, tmp_path / "documents")
    paced = Paced(STORY)
    one = talk(paced)
    one.send(Ask("Who was the first keeper?"))
    paced.reached()
    assert one.ask(CheckModel("starter"), Failed).error == "Busy"
    paced.go(3)
    one.until(RunEnded)


# ── removing one ─────────────────────────────────────────────────────────────────────────────────


def test_a_file_of_the_models_folder_is_removed(
    settings: Settings, talk: Callable[..., Talk], model_bytes: bytes
) -> None:
    (settings.models_dir / "own.gguf").write_bytes(model_bytes)
    one = talk()
    removed = one.ask(RemoveModel("own.gguf"), ModelRemoved)
    assert "own.gguf was deleted" in removed.message
    assert list(settings.models_dir.glob("*.gguf")) == []


def test_what_came_of_a_download_is_removed(settings: Settings) -> None:
    file = settings.models_dir / entries()[0].file
    Part(file).path.write_bytes(b"half")
    assert rows(settings)[entries()[0].name].part == 4
    assert "was deleted" in shelf.remove(settings, entries()[0].name)
    assert not Part(file).path.exists()


@pytest.mark.parametrize("name", ["starter", "path", "far", "in use", "link"])
def test_the_starter_files_elsewhere_and_the_one_in_use_stay(
    settings: Settings, model_bytes: bytes, tmp_path: Path, name: str
) -> None:
    starter = starter_model()
    assert starter is not None
    far = tmp_path / "far.gguf"
    far.write_bytes(model_bytes)
    used = settings.models_dir / "used.gguf"
    used.write_bytes(model_bytes)
    (settings.models_dir / "sub").mkdir()
    named = {"starter": "starter", "path": str(starter), "far": str(far), "in use": "used.gguf", "link": "../far.gguf"}
    with pytest.raises(ModelError):
        shelf.remove(replace(settings, model="used.gguf"), named[name])
    assert far.exists() and used.exists() and starter.exists()


def test_a_model_that_is_not_here_cannot_be_removed(settings: Settings) -> None:
    with pytest.raises(ModelMissing):
        shelf.remove(settings, "none.gguf")


def test_a_cancel_is_an_error_of_its_own(settings: Settings, model_bytes: bytes) -> None:
    with serving(model_bytes) as server, pytest.raises(Cancelled):
        shelf.pull(
            load_settings({"data_dir": settings.data_dir}, env={}),
            server.url,
            record=lambda _: None,
            progress=lambda _: None,
            cancelled=lambda: True,
        )
