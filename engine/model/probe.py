"""What a model's cache can do, found out by trying: once for each model file, then remembered.

Flags are not to be trusted here. A model whose positions are scaled (YaRN) says that its cells can be moved and is
wrong after a few moves; a recurrent one says that it removed what it did not remove. So a short conversation is edited
in each way and compared with reading it all again, on the same words.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.context.segments import Message, Segment, View
from engine.model.edits import Mode, Span
from engine.model.llamacpp import LlamaCppModel
from engine.model.weights import USUAL, MemoryOptions, Weights

_CONTEXT = 2048
_MOVES, _FAR = 8, 37
_DRIFT = 0.1
"""Nats that next-word odds may differ by after so many moves that ought to change nothing (0.002 where they do not;
0.95 in a model with scaled positions)."""

_LOSS = 0.2
"""Nats that a carried cache may differ by, on average, from one read again (measured: 0.02 to 0.06)."""


@dataclass(frozen=True)
class Agreement:
    """How near a cache comes to one read again: mean divergence KL(read again || this) in nats over ``places`` next
    words, and at how many of them the likeliest word is the same.
    """

    divergence: float
    same: int
    places: int


@dataclass(frozen=True)
class Verdict:
    """What was found. ``moves``: how what stands behind a gap is brought on: ``shift``, ``gap`` (it stays where it is),
    or not at all. ``noise`` is reading the same again in other portions: no mode can agree better than that.
    ``window``: the sliding window's width, 0 for none; ``window_bytes``: what keeping all of its cells costs.
    """

    mode: Mode
    moves: Literal["shift", "gap", "none"]
    recurrent: bool
    can_shift: bool
    window: int
    window_bytes: int
    cache_bytes: int
    flash: bool
    kv: str
    drift: float
    noise: Agreement | None = None
    carry: Agreement | None = None
    repair: Agreement | None = None
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """The verdict in a sentence for a person."""
        if self.recurrent:
            return "this model's memory cannot lose anything from its middle: after a mask the rest is read again"
        if self.mode == "strict":
            return "editing this model's cache changes what it says too much: after a mask the rest is read again"
        found = self.repair if self.mode == "carry+repair" else self.carry
        told = f", same next word at {found.same} of {found.places} places" if found else ""
        noise = f" (reading again in other portions: {self.noise.same})" if self.noise else ""
        gap = "" if self.moves == "shift" else ", leaving gaps in the positions"
        return f"after a mask the rest is kept{gap}{told}{noise}"


def probe(weights: Weights, *, threads: int = 0, memory: MemoryOptions = USUAL) -> Verdict:
    """Try a model's cache. Takes about as long as reading a thousand tokens. Raises ModelError if it cannot be run."""
    began = time.monotonic()
    model = LlamaCppModel(weights, context=_CONTEXT, threads=threads, mode="carry", memory=memory, own=False)
    try:
        verdict = Verdict(
            "strict",
            "none",
            weights.recurrent,
            model.context.can_shift,
            weights.window,
            _window_bytes(model, threads),
            model.context.cache_bytes,
            model.context.flash,
            memory.kv,
            _drift(model) if model.cache.memory.shift else 0.0,
        )
        if not weights.recurrent:
            if model.cache.memory.shift and verdict.drift > _DRIFT:
                model.cache.memory = replace(model.cache.memory, shift=False)
            verdict = _compared(verdict, model)
    finally:
        model.close()
    return replace(verdict, seconds=time.monotonic() - began)


def _compared(verdict: Verdict, model: LlamaCppModel) -> Verdict:
    """The verdict with each way of following a mask compared, and the best that holds."""
    whole, masked = _talk(set()), _talk({1, 2})
    model.cache.clear()
    model.read(whole)
    model.read(masked)
    carry = _heard(model)
    model.cache.mode = "carry+repair"
    model.read(masked)
    repair = _heard(model)
    model.cache.mode = "strict"
    model.read(masked)
    exact = _heard(model)
    model.cache.clear()
    model.read(View(masked.messages[:4]))
    model.read(masked)
    noise = _heard(model)
    told = replace(
        verdict, noise=_agreement(exact, noise), carry=_agreement(exact, carry), repair=_agreement(exact, repair)
    )
    moves: Literal["shift", "gap"] = "shift" if model.cache.memory.shift else "gap"
    if told.repair and told.repair.divergence <= _LOSS:
        return replace(told, mode="carry+repair", moves=moves)
    return told


def _drift(model: LlamaCppModel) -> float:
    """How much the odds change when all is moved on by some positions, several times: it should be nothing."""
    words = model.weights.tokens(_TEXT, False)[:96]
    spans = [Span(words[:-1]), Span(words[-1:])]
    _follow(model, spans)
    before = model.logits()
    for _ in range(_MOVES):
        model.cache.move_all(_FAR)
        _follow(model, spans)
    return divergence(before, model.logits())


def _follow(model: LlamaCppModel, spans: list[Span]) -> None:
    for _ in model.cache.follow(spans):
        pass


def _window_bytes(model: LlamaCppModel, threads: int) -> int:
    """What it costs that a sliding window's layers keep all cells, in a context of this size."""
    if not model.weights.window or not model.context.options.whole_window:
        return 0
    small = LlamaCppModel(
        model.weights,
        context=_CONTEXT,
        threads=threads,
        memory=replace(model.context.options, whole_window=False),
        own=False,
    )
    try:
        return max(0, model.context.cache_bytes - small.context.cache_bytes)
    finally:
        small.close()


# ── what is read and said ────────────────────────────────────────────────────────────────────────

_TEXT = (
    "The ferry to the island leaves at six in the morning and at noon, in winter only at noon. Tickets are sold on board. "
    "Dogs travel free, bicycles cost two crowns. When the red flag is up the crossing takes the long way round the reef and "
    "an hour more. The last boat back leaves at nine; whoever misses it sleeps at the lighthouse, where the keeper rents "
    "three rooms and cooks what was caught that day. The lamp was electrified late, and its lens still turns on mercury."
)

_PAGES = (
    (
        "Ferry",
        "The ferry leaves at six and at noon, in winter only at noon. Dogs travel free, bicycles cost two crowns.",
    ),
    ("Reef", "When the red flag is up the crossing takes the long way round the reef, and an hour more than usual."),
    ("Lighthouse", "The keeper of the lighthouse rents three rooms and cooks whatever was caught on that day."),
    ("Lens", "The lamp was electrified late. Its lens of four hundred kilograms still turns on a bath of mercury."),
)

_REPLIES = (
    "The ferry page tells when it leaves; next I look at what delays it.",
    "The red flag means one hour more. Now where could one sleep there?",
    "The keeper rents three rooms. Last I read about the lens of the lamp.",
)

_SAID = (
    "The keeper rents three rooms and cooks what was caught. The ferry leaves at six and at noon; dogs travel free, "
    "and with the red flag up the crossing takes an hour more."
)
"""Said of all pages, those masked too: there the trace of what was removed shows most."""


def _talk(hidden: set[int]) -> View:
    messages = [
        Message("system", (Segment("system", "You read pages and tell what they say."),)),
        Message("user", (Segment("question", "How do I get to the island, and where can I stay?"),)),
    ]
    for number, (title, text) in enumerate(_PAGES, 1):
        reply = f"open page {number}" if number == 1 else _REPLIES[number - 2]
        segments = [Segment("header", f"[{number}] {title}\n", number)]
        if number not in hidden:
            segments.append(Segment("body", text + "\n", number))
        messages += [Message("assistant", (Segment("call", reply),)), Message("user", tuple(segments))]
    return View(tuple(messages))


def _heard(model: LlamaCppModel) -> list[Any]:
    """The odds of each word of what is said next."""
    heard: list[Any] = []
    model.force(_SAID, lambda: heard.append(model.logits()))
    return heard


def _agreement(exact: list[Any], other: list[Any]) -> Agreement:
    pairs = list(zip(exact, other, strict=True))
    return Agreement(
        sum(divergence(a, b) for a, b in pairs) / len(pairs),
        sum(int(a.argmax() == b.argmax()) for a, b in pairs),
        len(pairs),
    )


def divergence(exact: Any, other: Any) -> float:
    """KL(exact || other) in nats of two rows of logits."""
    import numpy as np

    def logs(row: Any) -> Any:
        moved = row.astype(np.float64) - row.max()
        return moved - np.log(np.exp(moved).sum())

    p, q = logs(exact), logs(other)
    return max(0.0, float((np.exp(p) * (p - q)).sum()))
