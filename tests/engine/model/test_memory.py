"""The estimate of a model's memory against what llama.cpp really reserves, and the context that is chosen from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelTooLarge
from engine.model import gpu, memory
from engine.model.catalogue import starter_model
from engine.model.header import Header, read_header
from engine.model.llamacpp import LlamaCppModel
from engine.model.loading import load
from engine.model.memory import AUTO, BESIDE, LEAST, SANE, estimate, fit
from engine.model.weights import USUAL, Weights, _native_notes
from engine.settings import Settings, load_settings
from tests.engine.model import tiny

GB = 1 << 30

BIG = Header(
    Path("big.gguf"),
    5 * GB,
    {
        "general.architecture": "llama",
        "llama.block_count": 36,
        "llama.context_length": 262_144,
        "llama.embedding_length": 2560,
        "llama.feed_forward_length": 9728,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.attention.key_length": 128,
        "llama.attention.value_length": 128,
    },
    {"tokenizer.ggml.tokens": 151_936},
    weights=5 * GB - (6 << 20),
)


# ── against llama.cpp ────────────────────────────────────────────────────────────────────────────


def _reserved(path: Path, context: int) -> tuple[int, int]:
    """Bytes of keys, values and states, and of the room to compute in, as llama.cpp tells them."""
    weights = Weights(path)
    made = weights.context(context, 1, lambda: False, USUAL)
    told = [
        (note, float(found[1])) for note in _native_notes if (found := re.search(r"buffer size = +([\d.]+) MiB", note))
    ]
    made.close()
    weights.close()
    cells = sum(size for note, size in told if "KV buffer" in note or "RS buffer" in note)
    return round(cells * 2**20), round(sum(size for note, size in told if "compute buffer" in note) * 2**20)


@pytest.mark.model
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_keys_and_values_are_told_exactly_and_the_room_to_compute_nearly(tmp_path: Path, kind: tiny.Kind) -> None:
    path = tiny.write(tmp_path / "tiny.gguf", kind, context=65_536)
    for context in (1024, 16_384):
        cells, compute = _reserved(path, context)
        found = estimate(read_header(path), context)
        assert abs(found.cells - cells) <= 2**16, "told to a hundredth of a MiB"
        assert compute - 2**20 < found.compute < 1.6 * compute + 2**20, "more by the scores that are written down twice"


@pytest.mark.model
def test_the_starter_model_takes_what_was_estimated() -> None:
    path = starter_model()
    assert path is not None
    cells, compute = _reserved(path, 8192)
    found = estimate(read_header(path), 8192)
    assert found.cells == cells == 180 << 20
    assert compute < found.compute < 1.8 * compute


# ── what is chosen ───────────────────────────────────────────────────────────────────────────────


def test_the_starter_model_gets_all_it_was_trained_for() -> None:
    path = starter_model()
    assert path is not None
    found = fit(read_header(path), AUTO, 4 * GB)
    assert (found.context, found.note) == (8192, "")


def test_auto_takes_what_is_sane_of_a_large_model_and_says_what_it_could_do() -> None:
    found = fit(BIG, AUTO, 64 * GB)
    assert found.context == SANE
    assert found.note == "32,768 tokens of context; it was trained for 262,144, set context for more"


def test_auto_takes_what_memory_allows_and_says_so() -> None:
    found = fit(BIG, AUTO, 8 * GB)
    assert LEAST < found.context < SANE and found.context % 1024 == 0
    assert found.estimate.total + BESIDE <= 8 * GB < estimate(BIG, found.context + 1024).total + BESIDE
    assert "no more fits the memory that is free (8.0 GB)" in found.note


def test_where_there_is_little_the_least_is_taken_and_nothing_is_left_aside() -> None:
    need = estimate(BIG, LEAST).total
    assert fit(BIG, AUTO, need).context == LEAST
    with pytest.raises(ModelTooLarge, match=r"big\.gguf does not fit: with 2,048 tokens") as caught:
        fit(BIG, AUTO, need - 1)
    assert "smollm3-3b" in caught.value.hint or "granite-4.1-3b" in caught.value.hint


def test_a_context_that_was_asked_for_is_given_or_refused_with_one_that_fits() -> None:
    assert fit(BIG, 16_384, 64 * GB).context == 16_384
    assert (
        fit(BIG, 1_000_000, 640 * GB).note
        == "262,144 tokens of context, all it was trained for; 1,000,000 were asked for"
    )
    with pytest.raises(ModelTooLarge, match=r"about \d+\.\d GB \(5\.0 GB weights, ") as caught:
        fit(BIG, 65_536, 8 * GB)
    smaller = int(re.search(r"A context of ([\d,]+) would fit", caught.value.hint)[1].replace(",", ""))
    assert fit(BIG, smaller, 8 * GB).context == smaller


def test_a_model_that_never_fits_names_others() -> None:
    with pytest.raises(ModelTooLarge) as caught:
        fit(BIG, 8192, 3 * GB)
    assert "granite-4.1-3b" in caught.value.hint and "gpt-oss-20b" not in caught.value.hint
    with pytest.raises(ModelTooLarge, match=r"100 MB are free") as caught:
        fit(BIG, AUTO, 100 << 20)
    assert "the starter model" in caught.value.hint


@given(st.integers(0, 64 * GB), st.sampled_from([AUTO, 512, 4096, 40_000]))
def test_what_is_chosen_always_fits(free: int, wanted: int) -> None:
    try:
        found = fit(BIG, wanted, free)
    except ModelTooLarge as error:
        assert error.hint
        assert estimate(BIG, wanted or LEAST).total > free
    else:
        assert found.estimate.total <= free and found.context <= (wanted or SANE)


def test_layers_without_cells_and_shared_ones_are_not_counted() -> None:
    whole = estimate(BIG, 8192).cells
    quarter = replace(BIG, values={**BIG.values, "llama.full_attention_interval": 4})
    assert estimate(quarter, 8192).cells == whole // 4
    shared = replace(BIG, values={**BIG.values, "llama.attention.shared_kv_layers": 18})
    assert estimate(shared, 8192).cells == whole // 2
    each = replace(BIG, values={**BIG.values, "llama.attention.head_count_kv": (8, 0, 0) * 12})
    assert estimate(each, 8192).cells == whole // 3


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    for name, text in (
        ("memory.max", f"{4 * GB}\n"),
        ("memory.current", f"{3 * GB}\n"),
        ("memory.stat", f"anon 1\ninactive_file {GB // 2}\n"),
    ):
        (tmp_path / name).write_text(text)
    assert memory._allowed(tmp_path) == 3 * GB // 2
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._allowed(tmp_path) is None
    assert 0 < memory.free_memory() <= memory.total_memory()


# ── loading ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tiny.write(tmp_path / "tiny.gguf", "llama", context=50_000)
    values = {"data_dir": tmp_path / "data", "config_file": tmp_path / "c.toml", "model": str(file), "threads": 1}
    made = load_settings({**values, "cache": "strict"}, env={})
    made.prepare()
    return made


@pytest.mark.model
def test_a_loaded_model_says_its_context_and_its_memory(settings: Settings) -> None:
    model = load(settings, free=lambda: 8 * GB)
    try:
        info = model.info
        assert (info.context, info.trained) == (32_768, 50_000)
        assert "it was trained for 50,000" in info.note
        assert info.memory == estimate(read_header(Path(info.path)), 32_768).total and info.gpu == ""
    finally:
        model.close()


@pytest.mark.model
def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> LlamaCppModel:
        raise AssertionError("it was loaded")

    monkeypatch.setattr("engine.model.loading.Weights", never)
    with pytest.raises(ModelTooLarge):
        load(settings, free=lambda: 1 << 20)


# ── graphics cards ───────────────────────────────────────────────────────────────────────────────

CARD = gpu.Card("a card", 8 * GB, 8 * GB, shared=False)


def test_as_much_goes_to_a_card_as_fits_there() -> None:
    whole = gpu.offload(BIG, 8192, (CARD,))
    assert (whole.layers, whole.words) == (gpu.ALL, "all layers on a card")
    some = gpu.offload(BIG, 8192, (replace(CARD, free=4 * GB),))
    assert 0 < some.layers < 36 and "of 37 layers on a card (3.5 GB free there)" in some.words
    assert gpu.offload(BIG, 8192, (replace(CARD, free=0),)).layers == 0
    assert gpu.offload(BIG, 8192, ()) == gpu.Offload(0, "")


def test_a_cards_own_memory_makes_room_and_a_shared_one_does_not() -> None:
    assert gpu.room(4 * GB, (CARD,)) == 4 * GB + 8 * GB - (512 << 20)
    assert gpu.room(4 * GB, (replace(CARD, shared=True),)) == 4 * GB


@pytest.mark.model
def test_the_devices_of_the_installed_llama_cpp_are_read() -> None:
    devices = gpu.devices()
    assert devices and all(card.name and card.total >= 0 for _, card in devices)
    assert bool(gpu.built_for()) or not gpu.cards()


@pytest.mark.parametrize(
    ("place", "switch"),
    [("proc/driver/nvidia/version", "GGML_CUDA"), ("dev/kfd", "GGML_HIP"), ("dev/dri/renderD128", "GGML_VULKAN")],
)
def test_the_build_for_a_card_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, switch: str
) -> None:
    monkeypatch.setattr(gpu.shutil, "which", lambda _: None)
    monkeypatch.setattr(gpu.sys, "platform", "linux")
    assert gpu._backend(tmp_path) == ""
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert gpu._backend(tmp_path) == switch


@pytest.fixture
def card_seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gpu, "_backend", lambda: "GGML_CUDA")
    yield


def test_the_command_that_builds_it_is_whole(card_seen: None) -> None:
    command = gpu.install_command()
    assert "CMAKE_ARGS" in command and "-DGGML_CUDA=on" in command and command.endswith("llama-cpp-python")
