"""How long a what-if over a long run takes: ``python -m tests.bench.whatif [TURNS]``. Prints, asserts nothing."""

from __future__ import annotations

import sys
import time

from engine.measure import measured
from engine.protocol import (
    CallStarted,
    Decided,
    Event,
    ModelInfo,
    Observation,
    Observed,
    Policy,
    RunStarted,
    SegmentTokens,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)
from engine.report import to_html
from engine.told import runs
from tests.engine.story import TIMINGS, stamped

WORDS = "lamp lighthouse burns oil keeper lights dusk every day year tower stone".split()  # noqa: SIM905


def long_run(turns: int) -> tuple[Event, ...]:
    """A run of so many turns, each opening a page of 250 words."""
    events: list[Event] = [RunStarted("Q", Policy(window=4), "guide", ModelInfo("m", context=1 << 20), turns, run=1)]
    segments = [SegmentTokens("system", 500), SegmentTokens("question", 20)]
    for turn in range(1, turns + 1):
        body = " ".join(f"{WORDS[(turn * n) % len(WORDS)]}{turn * n % 7}" for n in range(250))
        seen = Observation(
            turn, f"{turn}.1", "open", f"[{turn}] page", body, uri=f"/{turn % 50}.md", title=f"Page {turn}", cursor=turn,
            first=1, last=40, total_lines=80, header_tokens=20, body_tokens=400,
        )  # fmt: skip
        events += [
            TurnStarted(run=1, turn=turn),
            Decided((), run=1, turn=turn),
            ViewBuilt(tuple(segments), sum(each.tokens for each in segments), 1 << 20, 320, run=1, turn=turn),
            CallStarted(seen.call, "open", {"id": turn}, run=1, turn=turn),
            Observed(seen, run=1, turn=turn),
            TurnEnded(f"I open page {turn}.", "Next.", "stop", TIMINGS, run=1, turn=turn),
        ]
        segments += [SegmentTokens("call", 30), SegmentTokens("header", 20, turn), SegmentTokens("body", 400, turn)]
    return stamped(events)


def measure(turns: int = 200) -> None:
    events = long_run(turns)
    began = time.perf_counter()
    (told,) = runs(events)
    print(f"{turns} turns: the events gathered in {time.perf_counter() - began:.3f} s")
    began = time.perf_counter()
    uses = told.uses()
    print(f"what was used, in {time.perf_counter() - began:.3f} s: {len(uses)} uses")
    for policy in (Policy(4), Policy(4, batch_turns=4), Policy(0), Policy(4, stub="paper")):
        began = time.perf_counter()
        trial = told.under(policy, uses)
        print(f"{policy}: {time.perf_counter() - began:.3f} s, {trial.masked} masked, peak {trial.peak:,}")
    began = time.perf_counter()
    figures = measured(told)
    print(f"measured in {time.perf_counter() - began:.3f} s: {figures.turns} turns")
    began = time.perf_counter()
    page = to_html(events)
    print(f"the report in {time.perf_counter() - began:.3f} s: {len(page):,} characters")


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
