from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from engine.doctor import Check, checks
from engine.sessions import Journal
from engine.settings import Settings, load_settings
from engine.sources.library import Library
from tests.engine.model import tiny
from tests.engine.story import FIRST, stamped


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"data_dir": tmp_path / "data", "config_file": tmp_path / "config.toml"}, env={})


def look(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in checks(settings)}


def test_everything_is_looked_at_and_what_is_wrong_says_what_to_do(settings: Settings) -> None:
    found = look(settings)
    assert list(found)[:3] == ["settings", "python", "data directory"] and list(found)[-1] == "downloads"
    assert all(check.detail for check in found.values())
    assert all(check.fix for check in found.values() if not check.ok)
    assert str(settings.config_file) in found["settings"].detail
    assert found["data directory"].detail == str(settings.data_dir)
    assert found["network"].detail == "the web is off: nothing opens a socket"
    assert found["llama.cpp"].ok and found["lancedb"].ok


def test_checks_are_made_one_by_one(settings: Settings) -> None:
    list(islice(checks(settings), 2))
    assert not settings.data_dir.exists(), "the data directory is looked at third"


def test_a_fresh_place_has_no_documents_and_no_sessions(settings: Settings) -> None:
    found = look(settings)
    assert found["library"].ok is None and "index PATH" in found["library"].fix
    assert (found["journal"].ok, found["journal"].detail) == (True, "no sessions yet")


def test_a_missing_model_and_a_file_that_is_none(settings: Settings, tmp_path: Path) -> None:
    missing = look(load_settings({"data_dir": settings.data_dir, "model": "nowhere.gguf"}, env={}))
    assert missing["model"].ok is False and missing["model"].fix
    assert missing["memory"].ok is False
    page = tmp_path / "page.gguf"
    page.write_text("<html>Not Found</html>")
    wrong = look(load_settings({"data_dir": settings.data_dir, "model": str(page)}, env={}))
    assert "no GGUF" in wrong["model"].detail and wrong["model"].fix


def test_the_memory_is_that_of_the_whole_context(settings: Settings, tmp_path: Path) -> None:
    found = look(settings)
    assert found["model"].detail.endswith("MB, llama")
    assert "for 8,192 tokens of context" in found["memory"].detail
    big = tmp_path / "big.gguf"
    tiny.write(big, "llama", context=1 << 21)
    large = look(replace(settings, model=str(big), context=1 << 21))["memory"]
    assert large.ok is True or (large.ok is None and large.fix)


def test_a_card_that_is_not_used_comes_with_the_command_that_builds_for_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.model.gpu.built_for", lambda: ())
    monkeypatch.setattr("engine.model.gpu._backend", lambda: "")
    assert look(settings)["graphics card"].detail.startswith("no card was found")
    monkeypatch.setattr("engine.model.gpu._backend", lambda: "GGML_VULKAN")
    unused = look(settings)["graphics card"]
    assert unused.ok is None and "-DGGML_VULKAN=on" in unused.fix
    monkeypatch.setattr("engine.model.gpu.built_for", lambda: ("CUDA",))
    assert look(settings)["graphics card"].detail.startswith("llama.cpp can use CUDA")


def test_sessions_are_counted_and_a_damaged_journal_is_noticed_and_left_alone(settings: Settings) -> None:
    journal = Journal(settings.journal)
    for event in stamped(FIRST, journal.create("Keepers")):
        journal.append(event)
    assert look(settings)["journal"].detail == "1 session", "also while the app is running"
    journal.close()
    settings.journal.write_bytes(settings.journal.read_bytes()[:9000])
    left = settings.journal.read_bytes()
    found = look(settings)["journal"]
    assert found.ok is False and "damaged" in found.detail and "sets the file aside" in found.fix
    assert settings.journal.read_bytes() == left


def test_a_data_directory_that_cannot_be_used_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = look(load_settings({"data_dir": tmp_path / "file"}, env={}))
    assert found["data directory"].ok is False and "--data-dir" in found["data directory"].fix
    assert "network" in found


def test_nothing_heavy_is_loaded(settings: Settings) -> None:
    code = (
        "import sys; from engine.doctor import checks; from engine.settings import settings_from_json\n"
        "list(checks(settings_from_json(sys.argv[1])))\n"
        "heavy = {'torch', 'lancedb', 'numpy', 'llama_cpp', 'pyarrow', 'sentence_transformers', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, settings.to_json()], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_feature_that_could_use_the_network_is_listed(settings: Settings) -> None:
    off = look(settings)
    assert (
        off["web search"].detail
        == "not used, the web is off: queries go to duckduckgo at html.duckduckgo.com, through ddgs"
    )
    assert off["web pages"].detail.startswith("not used") and off["downloads"].detail.startswith("none")
    on = look(replace(settings, web="ask", searxng="http://searx.lan:8888/"))
    assert "after asking" in on["network"].detail
    assert on["web search"].detail == "used: queries go to SearXNG at searx.lan:8888"
    assert look(replace(settings, search_engine="auto"))["web search"].ok is False


def test_the_reranker_is_named_or_what_is_wrong_with_it(settings: Settings, tmp_path: Path) -> None:
    assert look(settings)["reranker"] == Check("reranker", True, "none: hits stand as they were fused")
    missing = look(replace(settings, reranker=str(tmp_path / "nowhere")))["reranker"]
    assert missing.ok is None and "there is no folder" in missing.detail and "or leave it empty" in missing.fix
    folder = tmp_path / "ranker"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    (folder / "model.safetensors").write_bytes(b"weights")
    there = look(replace(settings, reranker=str(folder)))["reranker"]
    assert there == Check("reranker", True, f"ranker, a cross-encoder in {folder}")


def test_a_library_that_is_kept_elsewhere_is_named_with_its_host(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert look(settings)["library's place"] == Check("library's place", True, "on this computer")
    Library(settings.libraries_dir, settings.library).move("s3://shelves/mine")
    place, network = look(settings)["library's place"], look(settings)["network"]
    assert place.ok is False and "AWS_ACCESS_KEY_ID" in place.fix
    assert "s3://shelves/mine, reached at 127.0.0.1:1" in place.detail and "except for the library" in network.detail
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert look(settings)["library's place"].ok
