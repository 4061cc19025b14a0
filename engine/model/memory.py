"""How much memory a model will take, told from its header before it is loaded, and the context that fits.

Three things grow: the weights with the file, keys and values with the context, and the room to compute in with both.
The formulas are those of llama.cpp's own reservations (checked against them and against what the process really takes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelTooLarge
from engine.model.catalogue import entries
from engine.model.header import Header
from engine.model.kv import CHUNK, SEQUENCES

AUTO = 0
"""As a context: as many tokens as there is memory for, up to :data:`SANE` and to what the model was trained for."""

SANE = 32_768
"""Tokens that auto takes at most. More is read slowly on a laptop, and masking keeps a run far below it."""

UNKNOWN = 8_192
"""Tokens that auto takes where a file does not say what it was trained for."""

LEAST = 2_048
"""Tokens below which a run makes no sense: auto refuses rather than choose less."""

BESIDE = 768 << 20
"""Bytes that auto leaves free for the embedding model, the libraries around it and other programs."""

_STEP = 1_024
_VOCABULARY = 160
"""Bytes for each token of the vocabulary, its text and its place in the tables (measured: 150 to 160)."""

_SAMPLER = 400
"""Bytes for each token of the vocabulary while a reply is held to a grammar (measured: 340 to 400)."""

_LIBRARY = 24 << 20
"""llama.cpp itself, its buffers for output, and what is kept of the prompt on this side of it."""


@dataclass(frozen=True)
class Estimate:
    """Bytes that a model takes at a ``context``: ``weights``, keys and values in ``cells``, and room to ``compute``."""

    context: int
    weights: int
    cells: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.cells + self.compute


@dataclass(frozen=True)
class Fit:
    """The context to use and what it will take. ``note`` says why it is less than the model could do; may be empty."""

    estimate: Estimate
    note: str = ""

    @property
    def context(self) -> int:
        return self.estimate.context


def estimate(header: Header, context: int, *, fused: bool = False) -> Estimate:
    """What a model takes with so many tokens of context, keys and values in 16 bit.

    ``fused``: attention is computed in one go, as on graphics cards, and needs no table of scores.
    """
    cells = -(-max(context, 1) // 256) * 256  # llama.cpp rounds up to that
    layers = max(0, min(header.number("block_count"), 10_000))
    heads = header.each("attention.head_count", layers)
    width = header.number("embedding_length")
    most_heads = max(heads, default=0)
    head = width // most_heads if most_heads > 0 else 0
    key, value = header.number("attention.key_length", head), header.number("attention.value_length", head)
    kv = sum(attending * (key + value) * 2 for attending in _kv_heads(header, layers, most_heads)) * cells
    weights = (header.weights or header.size) + header.vocabulary * _VOCABULARY + _LIBRARY
    return Estimate(context, weights, max(0, kv) + _states(header, layers), _compute(header, cells, most_heads, fused))


def _kv_heads(header: Header, layers: int, heads: int) -> Iterator[int]:
    """The heads whose keys and values each layer keeps: none in layers with a running state or with another's cells."""
    if not heads or header.architecture in ("mamba", "mamba2", "rwkv6", "rwkv7"):
        return
    every = header.number("full_attention_interval")
    shared = header.number("attention.shared_kv_layers")
    for layer, kept in enumerate(header.each("attention.head_count_kv", layers, heads)):
        if layer < layers - shared and (every < 2 or (layer + 1) % every == 0):
            yield max(0, kept)


def _states(header: Header, layers: int) -> int:
    """The running state of recurrent layers, as if every layer had one."""
    inner, state = header.number("ssm.inner_size"), header.number("ssm.state_size")
    groups, kernel = header.number("ssm.group_count"), header.number("ssm.conv_kernel")
    convolved = max(0, kernel - 1) * (inner + 2 * groups * state)
    shortened = max(0, header.number("shortconv.l_cache") - 1) * header.number("embedding_length")
    return max(0, (convolved + state * inner + shortened) * 4 * layers * SEQUENCES)


def _compute(header: Header, cells: int, heads: int, fused: bool) -> int:
    """The largest of the steps of one portion of tokens, which is the attention of a layer.

    A processor writes down the scores of every head, and once more in 16 bit. A card reserves in earnest what a
    processor only sets aside: room for the odds of every next token, of which the last alone are wanted here.
    """
    width = header.number("embedding_length")
    feed = header.number("feed_forward_length")
    experts = header.number("expert_used_count") * header.number("expert_feed_forward_length")
    masks = 2 if header.number("attention.sliding_window") else 1
    hidden = 3 * width + max(feed, experts)
    if fused:
        return max(0, max(cells * masks // 2 + hidden, header.vocabulary + 2 * width) * CHUNK * 4)
    scores = cells * (-(-heads * 3 // 2) + masks) if heads else 0
    return max(0, (scores + hidden) * CHUNK * 4) + header.vocabulary * _SAMPLER


def free_memory() -> int:
    """Bytes that programs may still take: what the system has, or what the group this process runs in is allowed."""
    import psutil

    free = int(psutil.virtual_memory().available)
    allowed = _allowed()
    return free if allowed is None else max(0, min(free, allowed))


def total_memory() -> int:
    """Bytes of memory of this machine."""
    import psutil

    return int(psutil.virtual_memory().total)


_GROUP = Path("/sys/fs/cgroup")


def _allowed(group: Path = _GROUP) -> int | None:
    """Bytes left to a container; None where there is no limit. What only caches files counts as free."""
    try:
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        told = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return most - used + int(told.get("inactive_file", 0))
    except (OSError, ValueError):  # no such file, or "max"
        return None


def fit(header: Header, wanted: int, free: int, *, fused: bool = False) -> Fit:
    """The context for a model of which ``wanted`` tokens are wanted (:data:`AUTO`: choose) and ``free`` bytes are there.

    Raises ModelTooLarge where what is wanted, or the least that makes sense, does not fit.
    """
    trained = header.trained
    if wanted != AUTO:
        context = min(wanted, trained or wanted)
        found = estimate(header, context, fused=fused)
        if found.total > free:
            raise _too_large(header, found, free, fused)
        note = f"{context:,} tokens of context, all it was trained for; {wanted:,} were asked for"
        return Fit(found, note if context < wanted else "")
    most = min(trained or UNKNOWN, SANE)
    context = _largest(header, most, free - BESIDE, fused) or _largest(header, min(most, LEAST), free, fused)
    if not context:
        raise _too_large(header, estimate(header, min(most, LEAST), fused=fused), free, fused)
    found = estimate(header, context, fused=fused)
    if context < most:
        return Fit(found, f"{context:,} tokens of context: no more fits the memory that is free ({size(free)})")
    if context < trained:
        return Fit(found, f"{context:,} tokens of context; it was trained for {trained:,}, set context for more")
    return Fit(found)


def _largest(header: Header, most: int, free: int, fused: bool) -> int:
    """The largest context up to ``most`` that fits, in whole steps; 0 where not even the least does."""
    steps = [most, *range((most - 1) // _STEP * _STEP, LEAST - 1, -_STEP)]
    return next((context for context in steps if estimate(header, context, fused=fused).total <= free), 0)


def _too_large(header: Header, found: Estimate, free: int, fused: bool) -> ModelTooLarge:
    smaller = _largest(header, found.context - 1, free, fused) if found.context > LEAST else 0
    if smaller:
        hint = f"A context of {smaller:,} would fit; with context = 0 the program chooses."
    else:
        hint = f"Close other programs, or use a smaller model{_others(free, found.total)}."
    return ModelTooLarge(
        f"{header.path.name} does not fit: with {found.context:,} tokens of context it needs about {size(found.total)}"
        f" ({size(found.weights)} weights, {size(found.cells)} keys and values, {size(found.compute)} to compute in),"
        f" and {size(free)} are free",
        hint,
    )


def _others(free: int, than: int) -> str:
    """The models of the catalogue that would fit instead, in words; empty where there are none."""
    fitting = [each.name for each in entries() if each.bytes + BESIDE < min(free, than)]
    return f": {', '.join(fitting[:3])} (deepsearch-tui models)" if fitting else ", such as the starter model"


def size(count: int) -> str:
    """Bytes in words for a person."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{max(0, count) / (1 << 20):,.0f} MB"
