"""What planning costs by itself: the time for a long run, and the memory of the mirror it plans on."""

from __future__ import annotations

import time
import tracemalloc

from engine.model.edits import MODES, Held, Mode, Span, plan

SPANS, TOKENS = 1000, 40


def _run() -> list[Span]:
    """A long run: replies, headers and bodies in turn, each with tokens of its own."""
    return [Span(tuple(range(n, n + TOKENS)), body=n if n % 3 == 2 else 0, reply=n % 3 == 0) for n in range(SPANS)]


def _held(run: list[Span]) -> list[Held]:
    return [Held(span, n * TOKENS) for n, span in enumerate(run)]


def milliseconds(mode: Mode) -> float:
    """The best of twenty plans that mask half of the bodies."""
    run = _run()
    held, wanted = _held(run), [span for span in run if not span.body or span.body > SPANS // 2]

    def once() -> float:
        began = time.perf_counter()
        plan(held, wanted, mode)
        return time.perf_counter() - began

    return min(once() for _ in range(20)) * 1000


def mirror_bytes() -> int:
    """What the mirror of that run takes, tokens included."""
    tracemalloc.start()
    held = _held(_run())
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held
    return size


def told() -> str:
    """Both in a sentence."""
    times = ", ".join(f"{milliseconds(mode):.2f} ms {mode}" for mode in MODES)
    return f"planning an edit over {SPANS:,} segments: {times}; their mirror takes {mirror_bytes() / 2**20:.1f} MB"
