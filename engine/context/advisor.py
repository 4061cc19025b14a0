"""Whether masking can be expected to help, and which window to try: by what the paper measured. Pure.

The paper ("Masking Stale Observations Helps Search Agents -- Until It Doesn't") plots what masking gained against the
accuracy that a model and a retriever reach together without it, and finds three regimes. Here nobody knows that accuracy,
so it is estimated from the size of the model and from how often the library finds what it holds; the run itself then
corrects the estimate: a model that opens again what was masked had needed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.context.transcript import Turn
from engine.protocol import Decision, Expectation

Regime = Literal["search", "middle", "saturated"]
"""``search``: the search finds too little, and that is what holds the model back. ``middle``: what it reads gets in its way.
``saturated``: it does well with everything in sight.
"""

BOTTLENECK, SATURATED = 0.40, 0.70
"""The paper's cut-offs: accuracy without masking, from 0 to 1. Below the first the search holds the model back, above the
second the model is saturated.
"""

_HOPELESS = 0.15
"""Below this there is nothing to gain: the lowest accuracy in the paper is 0.24, and masking raised that by 0.06."""

USUAL, WIDE, WIDEST = 4, 8, 16
"""Windows: the paper's own, the one for a saturated model, and the widest that is tried."""

OFTEN = 0.25
"""From this share of masked observations opened again the window is too narrow; two of them at least."""

RECALL, BEST = 0.74, 0.93
"""The paper's middle retriever, taken where nothing was measured, and its best: a library's own check is an easy one, and
counts for no more than that.
"""

_READS: tuple[tuple[float, float], ...] = ((2e9, 0.40), (6e9, 0.58), (12e9, 0.63), (24e9, 0.70), (70e9, 0.82))
"""Up to so many parameters, the share of what is found that a model makes a right answer of. Fitted to the paper's pairs."""

_READS_LARGE = 0.90


@dataclass(frozen=True)
class Reopened:
    """Of ``masked`` observations of pages, ``again`` were opened again after they were masked."""

    again: int = 0
    masked: int = 0

    @property
    def rate(self) -> float:
        return self.again / self.masked if self.masked else 0.0

    @property
    def often(self) -> bool:
        return self.again >= 2 and self.rate >= OFTEN


@dataclass(frozen=True)
class Advice:
    """``text`` is one sentence for a person; ``window`` the one to try, 0 to mask nothing."""

    expects: Expectation
    window: int
    text: str
    regime: Regime | None = None


def estimate(parameters: int, recall: float | None = None) -> float | None:
    """The accuracy to expect without masking, 0 to 1; None where the size of the model is not known."""
    if parameters <= 0:
        return None
    reads = next((share for most, share in _READS if parameters <= most), _READS_LARGE)
    return reads * (RECALL if recall is None else min(recall, BEST))


def regime(accuracy: float) -> Regime:
    """Where an accuracy without masking, 0 to 1, stands by the paper's cut-offs."""
    return "search" if accuracy < BOTTLENECK else "middle" if accuracy <= SATURATED else "saturated"


def advise(
    parameters: int,
    recall: float | None = None,
    *,
    accuracy: float | None = None,
    reopened: Reopened = Reopened(),
    window: int | None = None,
) -> Advice:
    """What to expect of masking, and the window to try.

    ``recall`` is the library's own check, 0 to 1, None where there was none. ``accuracy`` without masking is used instead
    of an estimate where somebody has measured it. ``window`` is the one in force in a run that is under way: it is only
    ever widened, because what is narrowed and widened in turn is read again each time.
    """
    known = estimate(parameters, recall) if accuracy is None else accuracy
    if known is None:
        return _in_force(Advice("unknown", USUAL, f"{_UNKNOWN}, so the paper's window is tried"), reopened, window)
    where = regime(known)
    why = _why(parameters, recall, accuracy)
    if where == "search" and known < _HOPELESS:
        advice = Advice("nothing", USUAL, f"Masking is expected to do nothing: {why}, which finds too little", where)
    elif where == "search":
        advice = Advice("help", USUAL, f"Masking is expected to help a little: {why}; better search helps more", where)
    elif where == "middle":
        advice = Advice("help", USUAL, f"Masking is expected to help most: {why}", where)
    elif reopened.often:
        advice = Advice("hurt", 0, f"Masking is expected to hurt: {why}, and it opens again what was masked", where)
    else:
        advice = Advice("nothing", WIDE, f"Masking is expected to do nothing, and may hurt: {why}", where)
    return _in_force(advice, reopened, window)


def reopened(turns: Sequence[Turn], decisions: Sequence[Decision], window: int) -> Reopened:
    """How much of what is masked now was opened again after it had left a window of so many turns."""
    masked = {decision.observation for decision in decisions if decision.state == "masked"}
    opened = [
        (turn.number, seen)
        for turn in turns
        for seen in turn.observations
        if seen.uri and seen.tool in ("open", "find") and not seen.error
    ]
    gone = [(number, seen) for number, seen in opened if seen.number in masked]
    again = sum(
        any(
            later > number + window and newer.uri == seen.uri and newer.first <= seen.last and seen.first <= newer.last
            for later, newer in opened
        )
        for number, seen in gone
    )
    return Reopened(again, len(gone))


def _in_force(advice: Advice, reopened: Reopened, window: int | None) -> Advice:
    """The advice to a run that has a window already."""
    if window is None or advice.expects == "hurt":
        return _told(advice)
    if window == 0:
        return _told(Advice(advice.expects, 0, advice.text, advice.regime))
    if reopened.often and window < WIDEST:
        wider = min(WIDEST, window * 2)
        text = f"{reopened.again} of {reopened.masked} masked pages were opened again, so the window is widened"
        return _told(Advice(advice.expects, wider, text, advice.regime))
    return _told(Advice(advice.expects, max(window, advice.window), advice.text, advice.regime))


def _told(advice: Advice) -> Advice:
    window = "off" if not advice.window else f"{advice.window} turns"
    return Advice(advice.expects, advice.window, f"{advice.text}; window: {window}.", advice.regime)


_UNKNOWN = "What masking will do is not known, because the model does not tell its size"


def _why(parameters: int, recall: float | None, accuracy: float | None) -> str:
    if accuracy is not None:
        return f"without it {accuracy:.0%} of the answers are right"
    size = f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"
    found = "a library whose search was not measured" if recall is None else f"a search that finds {recall:.0%}"
    return f"a model of {size} parameters and {found}"
