"""``models check``: what was found out about a model's cache, as lines a person can read."""

from __future__ import annotations

import json as json_form
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.settings import Settings

if TYPE_CHECKING:
    from engine.model.probe import Agreement, Verdict


def check(settings: Settings, *, every: bool, json: bool, out: Callable[[str], None]) -> None:
    """Try a model out, remember what was found, and tell it. Raises ModelError."""
    from engine.model.catalogue import resolve_model
    from engine.model.loading import known
    from engine.model.probe import probe
    from engine.model.verdicts import KnownModels
    from engine.model.weights import MemoryOptions, Weights

    weights = Weights(resolve_model(settings.model, settings.models_dir))
    try:
        digest = KnownModels(settings.known_models).digest(weights.path)
        found = [("as used", known(settings, weights))]
        if every:
            others = {"attention fused": MemoryOptions(flash=True)}
            if weights.head % 64 == 0:  # others end the process when such cells are moved
                others["keys and values in q8_0"] = MemoryOptions(kv="q8_0", flash=True)
            found += [(name, probe(weights, threads=settings.threads, memory=way)) for name, way in others.items()]
        if json:
            for name, verdict in found:
                told = {
                    "model": weights.path.name,
                    "sha256": digest,
                    "way": name,
                    "words": verdict.words,
                    **asdict(verdict),
                }
                out(json_form.dumps(told))
            return
        out(f"{weights.path.name}  sha256 {digest[:16]}…  {weights.parameters / 1e6:,.0f}M parameters")
        out(
            f"trained for {weights.trained:,} tokens; a context of {min(settings.context, weights.trained or settings.context):,} is used"
        )
        for line in _memory(found[0][1]):
            out(line)
        for name, verdict in found:
            out("")
            out(f"{name}: {verdict.mode}")
            for line in _table(verdict):
                out(line)
    finally:
        weights.close()
    out("")
    out(found[0][1].words[:1].upper() + found[0][1].words[1:] + ".")


def _memory(verdict: Verdict) -> Iterator[str]:
    if verdict.recurrent:
        yield "memory: recurrent or hybrid; nothing can be taken out of its middle"
    elif verdict.window:
        cost = f", keeping all its cells costs {verdict.window_bytes / 2**20:,.1f} MB more in a context of 2,048"
        yield f"memory: a sliding window of {verdict.window:,} tokens{cost if verdict.window_bytes else ''}"
    else:
        yield "memory: every layer sees all tokens"
    yield f"cells can be moved: {_moved(verdict)}"


def _moved(verdict: Verdict) -> str:
    if not verdict.can_shift:
        return "no"
    return f"{'yes' if verdict.moves == 'shift' else 'not rightly'} (odds differ by {verdict.drift:.4f} nats after eight moves)"


def _table(verdict: Verdict) -> Iterator[str]:
    """How each way agrees with reading all again, best first."""
    rows: list[tuple[str, Agreement | None]] = [
        ("read again in other portions", verdict.noise),
        ("carry+repair", verdict.repair),
        ("carry", verdict.carry),
    ]
    for name, found in rows:
        if found is not None:
            yield f"  {name:<30} KL {found.divergence:.4f} nats   same next word {found.same} of {found.places}"
