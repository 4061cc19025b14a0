"""A cache on disk: back as it was, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.model import saved
from engine.model.base import Keeper
from engine.model.llamacpp import LlamaCppModel
from engine.model.weights import MemoryOptions
from tests.engine.model import tiny
from tests.engine.model.cells import NOISE, divergence
from tests.engine.model.test_cache import Look, check
from tests.engine.model.views import message, reply, view

pytestmark = pytest.mark.model

MOST = 1 << 30


@pytest.fixture(params=["llama", "llama-yarn", "qwen3", "gemma3", "qwen2vl", "mamba", "lfm2"])
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., LlamaCppModel]]:
    """Loads one tiny model again and again."""
    kind: tiny.Kind = request.param
    path = tiny.write(tmp_path / f"{kind}.gguf", kind, context=4096)
    loaded: list[LlamaCppModel] = []

    def fresh(**options: object) -> LlamaCppModel:
        defaults = {"context": 4096, "threads": 1, "mode": "carry+repair", "shift": kind != "llama-yarn"}
        loaded.append(LlamaCppModel(path, **{**defaults, **options}))
        return loaded[-1]

    yield fresh
    for model in loaded:
        model.close()


def test_a_long_run_goes_on_without_reading_anything_again(load: Callable[..., LlamaCppModel], tmp_path: Path) -> None:
    model, file = load(), tmp_path / "caches" / "run.kv"
    assert isinstance(model, Keeper)
    for turns in range(1, 21):
        look = Look(turns, frozenset(range(1, turns - 3)))
        model.read(look.view())
    told = model.save(file, key="abc", most=MOST)
    assert (told.tokens, told.bytes) == (len(model.cache), file.stat().st_size)
    assert file.stat().st_mode & 0o077 == 0, "what was read is nobody else's business"
    held, before = model.cache.held, model.logits()
    model.close()
    again = load()
    assert again.restore(file, key="abc") == told.tokens
    assert again.cache.held == held
    check(again, look.view())
    cost = again.read(look.view())
    assert (cost.decoded, cost.reused) == ((1, told.tokens - 1) if again.cache.memory.edit else (told.tokens, 0))
    assert divergence(before, again.logits()) < NOISE


def test_moves_that_are_still_on_paper_are_made_before_it_is_written(
    load: Callable[..., LlamaCppModel], tmp_path: Path
) -> None:
    model, file = load(), tmp_path / "run.kv"
    if not model.cache.memory.edit:
        return
    model.read(Look(4).view())
    wanted = model.spans(Look(4, frozenset({1})).view())
    todo = model.cache.plan(wanted, "carry")
    place = next(n for n, held in enumerate(model.cache.held) if held.span.body == 1)
    model.cache._remove(place, todo.edits[place].close)
    check(model)
    model.save(file, key="abc", most=MOST)
    other = load()
    other.restore(file, key="abc")
    assert other.cache.held == model.cache.held
    ends = []
    for each in (model, other):
        each.read(Look(4, frozenset({1})).view())
        ends.append(each.logits())
    assert divergence(*ends) < NOISE


def test_the_tokens_of_replies_are_known_again(load: Callable[..., LlamaCppModel], tmp_path: Path) -> None:
    model, file = load(), tmp_path / "run.kv"
    first = view(message("user", "Say something."))
    written = reply(model, first, tokens=20, grammar='root ::= "t" "h" "e" "t" "h" [a-z]+')
    after = view(*first.messages, message("assistant", written, kind="call"), message("user", "More."))
    price = model.price(after)
    model.save(file, key="abc", most=MOST)
    again = load()
    again.restore(file, key="abc")
    assert again.price(after) == price


def test_a_cache_that_does_not_fit_is_refused_and_the_model_stays_usable(
    load: Callable[..., LlamaCppModel], tmp_path: Path
) -> None:
    model, file = load(), tmp_path / "run.kv"
    model.read(Look(3).view())
    model.save(file, key="abc", most=MOST)
    whole = file.read_bytes()
    magic, head, state = whole.split(b"\n", 2)
    other = json.loads(head)
    broken = {
        "cut short": whole[: len(whole) // 2],
        "a bit turned": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        "no head": state,
        "nothing": b"",
        "another head": b"\n".join([magic, b"[]", state]),
        "no spans": b"\n".join([magic, json.dumps({**other, "held": None}).encode(), state]),
        "other spans": b"\n".join([magic, json.dumps({**other, "held": other["held"][:-1]}).encode(), state]),
        "an older program's": whole.replace(b"cache 1", b"cache 0"),
        "of another llama.cpp": b"\n".join(
            [magic, json.dumps({**other, "fit": {**other["fit"], "llama": "0.0.1"}}).encode(), state]
        ),
    }
    fresh = load()
    for why, data in broken.items():
        file.write_bytes(data)
        assert fresh.restore(file, key="abc") == 0, why
        check(fresh)
        fresh.read(Look(1).view())
        check(fresh, Look(1).view())
    file.write_bytes(whole)
    assert fresh.restore(file, key="other") == 0, "another model's"
    assert fresh.restore(tmp_path / "none.kv", key="abc") == 0
    assert load(context=512).restore(file, key="abc") == 0, "too long for this context"
    if fresh.cache.memory.edit and not fresh.cache.memory.window:
        assert load(memory=MemoryOptions(flash=True)).restore(file, key="abc") == 0
    assert fresh.restore(file, key="abc") > 0


def test_what_is_too_large_is_not_written(load: Callable[..., LlamaCppModel], tmp_path: Path) -> None:
    model, file = load(), tmp_path / "run.kv"
    model.read(Look(3).view())
    assert model.save(file, key="abc", most=100).bytes == 0
    assert not file.exists()


def test_the_oldest_caches_make_room(tmp_path: Path) -> None:
    import os

    for number in range(5):
        file = tmp_path / f"{number}.kv"
        file.write_bytes(b"x" * 100)
        os.utime(file, (number, number))
    (tmp_path / "other.txt").write_bytes(b"x" * 1000)
    saved.tidy(tmp_path, most=250)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3.kv", "4.kv", "other.txt"]
