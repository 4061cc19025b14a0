"""What a change to the masking would come to, in words, before it is made. Pure.

What it frees is known at once, from the sizes of the observations; what it costs the engine says a moment later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.protocol import Mark, Price, Priced, SetMark, SetMasking
from tui.fold import mark_words, with_pending
from tui.state import AppState, RunState


@dataclass(frozen=True)
class Offer:
    """A change that a key press has asked about; the same key again makes it. ``key`` is the key's name."""

    key: str
    command: SetMark | SetMasking

    def price(self) -> Price:
        """The question to the engine."""
        match self.command:
            case SetMark(observation, mark, also):
                return Price(observation, mark, also)
            case SetMasking(policy):
                return Price(policy=policy)

    def answered_by(self, priced: Priced | None) -> bool:
        """Whether this is the price that was asked for."""
        asked = self.price()
        return priced is not None and (priced.observation, priced.mark, priced.also, priced.policy) == (
            asked.observation,
            asked.mark,
            asked.also,
            asked.policy,
        )


def frees(run: RunState, offer: Offer) -> int:
    """Tokens of the next view that the change leaves out; negative where it puts some back."""
    match offer.command:
        case SetMark(observation, mark, also):
            marks: Mapping[int, Mark] = {**run.marks, **dict.fromkeys((observation, *also), mark)}
            after = replace(run, marks=marks)
        case SetMasking(policy):
            after = replace(run, next_policy=policy)
    return with_pending(after).hidden - run.hidden


def name(offer: Offer) -> str:
    """The change: ``mask 6``, ``window 3``, ``unmask all 5``."""
    match offer.command:
        case SetMark(observation, mark, also):
            return f"{mark} all {len(also) + 1}" if also else mark_words(mark, observation)
        case SetMasking(policy):
            return f"window {policy.window}" if policy.window else "window off"


def words(state: AppState, offer: Offer, width: int) -> tuple[str, str]:
    """The offer, as much as is known by now, and how to take it or leave it, in at most ``width`` cells if that can be."""
    run = state.run
    if run is None:
        return "", ""
    freed = frees(run, offer)
    long = f"{name(offer)}: {size(run, freed)}, {cost(state, run, offer)}"
    how = f"{offer.key} again does it · esc"
    if len(long) + len(how) + 2 <= width:
        return long, how
    return (
        f"{name(offer)}: {size(run, freed, brief=True)}, {cost(state, run, offer, brief=True)}",
        f"{offer.key}: do it · esc",
    )


def size(run: RunState, freed: int, *, brief: bool = False) -> str:
    """``frees 412 tokens (about 1.8 more turns of room)``."""
    if not freed:
        return "frees nothing"
    room = abs(freed) / run.growth if run.growth else 0.0
    turns = f"{room:.1f} turn{'' if f'{room:.1f}' == '1.0' else 's'}"
    does, more = ("frees", "more") if freed > 0 else ("takes", "less")
    if brief:
        return f"{does} {abs(freed):,}" + (f" ({turns})" if room else "")
    return f"{does} {abs(freed):,} tokens" + (f" (about {turns} {more} of room)" if room else "")


def cost(state: AppState, run: RunState, offer: Offer, *, brief: bool = False) -> str:
    """What it takes to read again, as the engine says; until then, that it is being asked."""
    if not run.running and not state.can_continue:
        return "no cost" if brief else "costs nothing: the run is over"
    priced = state.offer
    if priced is None or not offer.answered_by(priced):
        if state.connection == "ready":
            return "cost …"
        return "cost not known" if brief else "cost not known: the engine is not running"
    if not priced.exact:
        return "cost not known" if brief else "cost not known: no model is loaded, only tokens are counted"
    if priced.reads < 0:
        return f"spares reading {-priced.reads:,}"
    if priced.reads == 0:
        return "no cost" if brief else "costs no re-reading"
    if priced.seconds >= 0.05:
        return f"costs {priced.seconds:.1f} s" if brief else f"costs about {priced.seconds:.1f} s of re-reading"
    return f"reads {priced.reads:,} again"
