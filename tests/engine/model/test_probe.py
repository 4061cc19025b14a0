"""What a model's cache can do, tried on every kind of memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.model.edits import MODES
from engine.model.loading import load
from engine.model.probe import Verdict, probe
from engine.model.verdicts import KnownModels
from engine.model.weights import USUAL, MemoryOptions, Weights
from engine.settings import load_settings
from tests.engine.model import tiny

pytestmark = pytest.mark.model


def tried(kind: tiny.Kind, folder: Path, memory: MemoryOptions = USUAL) -> Verdict:
    weights = Weights(tiny.write(folder / f"{kind}.gguf", kind, context=4096))
    try:
        return probe(weights, threads=1, memory=memory)
    finally:
        weights.close()


@pytest.mark.parametrize(
    ("kind", "mode", "moves"),
    [
        ("llama", "carry+repair", "shift"),
        ("qwen3", "carry+repair", "shift"),
        ("gemma3", "carry+repair", "shift"),
        ("llama-yarn", "carry+repair", "gap"),  # it says that it can be moved, and is wrong afterwards
        ("qwen2vl", "carry+repair", "gap"),  # it says that it cannot
        ("gpt2", "strict", "none"),  # its positions are learned: neither moving nor leaving gaps is right
        ("mamba", "strict", "none"),  # nothing can be taken out of a state
        ("lfm2", "strict", "none"),
        ("falcon-h1", "strict", "none"),
    ],
)
def test_the_best_way_that_holds_is_found(kind: tiny.Kind, mode: str, moves: str, tmp_path: Path) -> None:
    verdict = tried(kind, tmp_path)
    assert (verdict.mode, verdict.moves) == (mode, moves)
    assert verdict.recurrent == (kind in ("mamba", "lfm2", "falcon-h1"))
    assert (verdict.drift > 0.1) == (kind in ("llama-yarn", "gpt2"))
    assert (verdict.window > 0, verdict.window_bytes > 0) == (kind == "gemma3",) * 2
    if verdict.noise is not None:
        assert verdict.carry is not None and verdict.repair is not None
        assert verdict.noise.divergence < 0.01 < verdict.carry.divergence + 0.01
        assert verdict.repair.divergence <= verdict.carry.divergence
    assert ("is read again" in verdict.words) == (mode == "strict")
    assert ("gaps" in verdict.words) == (moves == "gap")


@pytest.mark.parametrize("memory", [MemoryOptions(flash=False), MemoryOptions(kv="q8_0", flash=True)])
def test_other_ways_to_keep_keys_and_values_are_tried_too(memory: MemoryOptions, tmp_path: Path) -> None:
    verdict = tried("llama", tmp_path, memory)
    assert (verdict.mode, verdict.kv, verdict.flash) == ("carry+repair", memory.kv, memory.flash)


def test_a_verdict_is_remembered_by_what_is_in_the_file(tmp_path: Path) -> None:
    asked = 0

    def find() -> Verdict:
        nonlocal asked
        asked += 1
        return first

    file = tiny.write(tmp_path / "a.gguf", "llama")
    known = KnownModels(tmp_path / "known" / "models.json")
    weights = Weights(file)
    first = replace(probe(weights, threads=1), seconds=1.5)
    assert [known.verdict(weights, find) for _ in range(3)] == [first] * 3
    assert asked == 1
    weights.close()
    copy = Weights(file.rename(tmp_path / "b.gguf"))
    known.verdict(copy, find)
    assert asked == 1, "the same file by another name"
    copy.close()
    other = Weights(tiny.write(tmp_path / "b.gguf", "llama", seed=1))
    known.verdict(other, find)
    assert asked == 2, "another file by the same name"
    other.close()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"files": {}, "verdicts": []}', '{"files": 1}'])
def test_a_damaged_memory_is_as_good_as_none(damage: str, tmp_path: Path) -> None:
    memory = tmp_path / "models.json"
    memory.write_text(damage)
    weights = Weights(tiny.write(tmp_path / "a.gguf", "llama"))
    verdict = probe(weights, threads=1)
    assert KnownModels(memory).verdict(weights, lambda: verdict) == verdict
    assert json.loads(memory.read_text())["verdicts"]
    for key in (known := json.loads(memory.read_text()))["verdicts"]:
        known["verdicts"][key] = {"mode": "carry"}  # of a program that knew less
    memory.write_text(json.dumps(known))
    assert KnownModels(memory).verdict(weights, lambda: verdict) == verdict
    weights.close()


@pytest.mark.parametrize("kind", ["llama", "llama-yarn", "mamba"])
@pytest.mark.parametrize("cache", ["auto", *MODES])
def test_the_settings_can_ask_for_a_mode_but_not_for_what_cannot_be(
    kind: tiny.Kind, cache: str, tmp_path: Path
) -> None:
    file = tiny.write(tmp_path / "a.gguf", kind, context=4096)
    settings = load_settings({"data_dir": tmp_path, "model": str(file), "cache": cache, "threads": 1}, env={})
    model = load(settings)
    wanted = "carry+repair" if cache == "auto" else cache
    assert model.info.cache == model.cache.mode == ("strict" if kind == "mamba" else wanted)
    assert model.info.cache_note
    assert model.cache.memory.shift == (kind == "llama" or (kind == "llama-yarn" and cache == "strict"))
    model.close()
