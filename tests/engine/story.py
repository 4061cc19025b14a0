"""A session told by hand: two questions, parallel calls, an error, masking, a cut-off turn, an answer with citations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.protocol import (
    AnswerReady,
    CallStarted,
    Citation,
    CitationChecked,
    Decided,
    Decision,
    Event,
    Link,
    Marked,
    ModelInfo,
    Observation,
    Observed,
    Policy,
    PolicySet,
    RunEnded,
    RunStarted,
    SegmentTokens,
    ThoughtDelta,
    Timings,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)

SESSION = "20260102-bcdf"
MODEL = ModelInfo(name="tiny-instruct", context=2048)
TIMINGS = Timings(prompt_tokens=100, reused_tokens=60, generated_tokens=10, prefill_seconds=0.5, decode_seconds=0.25)
SEARCH = Observation(
    1, "1.1", "search", "[0] search: first keeper", "(0) Keepers", cursor=0, links=(Link(0, "Keepers", "/k.md", 3, 4),)
)
FAILED = Observation(2, "1.2", "open", "error: there is no page [7]", "", error=True)
OPENED = Observation(
    3,
    "2.1",
    "open",
    "[1] Keepers (/k.md) L1-L4",
    "L1: Ada Quill kept the lamp.",
    cursor=1,
    uri="/k.md",
    first=1,
    last=4,
)
CITED = Citation(
    "[1:L1]",
    "The first keeper was Ada Quill.",
    1,
    1,
    1,
    "/k.md",
    "Keepers",
    "Ada Quill kept the lamp.",
    "verified",
    1.0,
)

FIRST: tuple[Event, ...] = (
    RunStarted("Who was the first keeper?", Policy(window=1), "guide", MODEL, 6, run=1),
    TurnStarted(run=1, turn=1),
    Decided((), run=1, turn=1),
    ThoughtDelta("Look", run=1, turn=1),
    CallStarted("1.1", "search", {"query": "first keeper"}, run=1, turn=1),
    CallStarted("1.2", "open", {"cursor": 7}, run=1, turn=1),
    Observed(SEARCH, run=1, turn=1),
    Observed(FAILED, run=1, turn=1),
    TurnEnded('{"do":"search"}', "Look it up.", "stop", TIMINGS, run=1, turn=1),
    Marked(1, "pin", run=1, turn=1),
    TurnStarted(run=1, turn=2),
    Decided((Decision(1, "pinned", "pinned by you"), Decision(2, "kept", "error, kept")), run=1, turn=2),
    CallStarted("2.1", "open", {"id": 0}, run=1, turn=2),
    Observed(OPENED, run=1, turn=2),
    TurnEnded('{"do":"open"}', "Read it.", "stop", TIMINGS, run=1, turn=2),
    Marked(1, "none", run=1, turn=2),
    TurnStarted(run=1, turn=3),
    Decided(
        (
            Decision(1, "masked", "older than 1 turn"),
            Decision(2, "kept", "error, kept"),
            Decision(3, "live", "within the last 1 turn"),
        ),
        run=1,
        turn=3,
    ),
    ViewBuilt((SegmentTokens("body", 90),), 100, 2048, 320, run=1, turn=3),
    AnswerReady("The first keeper was Ada Quill [1:L1].", run=1, turn=3),
    CitationChecked(CITED, run=1, turn=3),
    TurnEnded('{"do":"answer"}', "Done.", "stop", TIMINGS, run=1, turn=3),
    RunEnded("answered", 3, 9.0, run=1, turn=3),
)

SECOND: tuple[Event, ...] = (
    RunStarted("And the second?", Policy(window=2), "guide", MODEL, 5, run=2),
    TurnStarted(run=2, turn=1),
    Decided((), run=2, turn=1),
    CallStarted("1.1", "search", {"query": "second keeper"}, run=2, turn=1),
    Observed(replace(SEARCH, number=4, cursor=2), run=2, turn=1),
    TurnEnded('{"do":"search"}', "Again.", "stop", TIMINGS, run=2, turn=1),
    PolicySet(Policy(window=9), run=2, turn=1),
    TurnStarted(run=2, turn=2),
    CallStarted("2.1", "open", {"id": 0}, run=2, turn=2),
    Observed(replace(OPENED, number=5, cursor=3), run=2, turn=2),
)
"""Cut off by a kill in its second turn."""


def stamped(events: Sequence[Event], session: str = SESSION) -> tuple[Event, ...]:
    """``events`` with a session, a number and a time, as a recorder gives them."""
    return tuple(
        replace(each, session=session, seq=n, at=1_790_000_000.0 + n) for n, each in enumerate(events, start=1)
    )


WHOLE = stamped((*FIRST, *SECOND))
