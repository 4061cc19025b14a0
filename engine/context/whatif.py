"""A finished run under another policy: what would have been masked when, and what that would have cost. Arithmetic over
the transcript and the views that were built; no model is asked.

It holds the model's words fixed: it says what the model would not have seen of what it went on to use, not what the
model would have done then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from engine.context import masking
from engine.context.transcript import Turn
from engine.context.uses import Use, lost
from engine.protocol import Decision, Mark, Policy, SegmentTokens


@dataclass(frozen=True)
class Look:
    """One turn as it was: the policy and marks in force, the decisions, and the view's exact sizes in tokens.

    ``segments`` are empty, and ``limit`` is 0, where no view was told of.
    """

    turn: int
    policy: Policy
    marks: Mapping[int, Mark] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    segments: tuple[SegmentTokens, ...] = ()
    limit: int = 0
    reserved: int = 0

    @property
    def tokens(self) -> int:
        """The size of the view."""
        return sum(segment.tokens for segment in self.segments)


@dataclass(frozen=True)
class Reads:
    """Prompt tokens to read, at most, by how the model's cache follows a mask."""

    strict: int = 0
    carry: int = 0
    repair: int = 0

    def __add__(self, other: Reads) -> Reads:
        return Reads(self.strict + other.strict, self.carry + other.carry, self.repair + other.repair)


@dataclass(frozen=True)
class Step:
    """One turn under the policy. ``tokens``: its view. ``fits``: the reply has room, too."""

    turn: int
    decisions: tuple[Decision, ...]
    tokens: int
    reads: Reads
    fits: bool = True

    @cached_property
    def masked(self) -> frozenset[int]:
        """The observations that are out of view."""
        return frozenset(decision.observation for decision in self.decisions if decision.state == "masked")


@dataclass(frozen=True)
class Trial:
    """A run under one policy, turn by turn. ``regrets``: what was used while it would have been out of view."""

    policy: Policy
    steps: tuple[Step, ...]
    regrets: tuple[Use, ...]

    @property
    def peak(self) -> int:
        """Tokens of the largest view."""
        return max((step.tokens for step in self.steps), default=0)

    @property
    def viewed(self) -> int:
        """Tokens of all views together: what a model without a cache reads."""
        return sum(step.tokens for step in self.steps)

    @property
    def reads(self) -> Reads:
        return sum((step.reads for step in self.steps), Reads())

    @property
    def masked(self) -> int:
        """Observations that are out of view in any turn."""
        return len(frozenset().union(*(step.masked for step in self.steps)))

    @property
    def edits(self) -> int:
        """Turns at which something goes out of view or comes back."""
        return sum(
            before.masked != now.masked & {each.observation for each in before.decisions}
            for before, now in pairwise(self.steps)
        )

    @property
    def overflow(self) -> int:
        """The first turn whose view does not fit the context, 0 for none."""
        return next((step.turn for step in self.steps if not step.fits), 0)


def what_if(
    turns: Sequence[Turn], looks: Sequence[Look], policy: Policy | None = None, uses: Sequence[Use] = ()
) -> Trial:
    """The run under ``policy``, with the user's marks as they were; under the policies that were in force if None.

    With those it gives the recorded decisions. ``looks`` are the turns of which there are decisions, in order.
    """
    sizes = _Sizes(turns, looks)
    steps: list[Step] = []
    for place, look in enumerate(looks):
        before = steps[-1] if steps else None
        chosen = policy or look.policy
        seen = [turn for turn in turns if turn.number < look.turn]
        decisions, tokens = _fitted(seen, look, chosen, sizes)
        reads = sizes.reads(look, looks[place - 1] if place else None, before, decisions, tokens, chosen)
        fits = not look.limit or tokens + look.reserved <= look.limit
        steps.append(Step(look.turn, decisions, tokens, reads, fits))
    at = {step.turn: step.masked for step in steps}
    regrets = tuple(use for use in uses if use.turn in at and lost(use, at[use.turn]))
    used = policy or (looks[-1].policy if looks else Policy())
    return Trial(used, tuple(steps), regrets)


def _fitted(turns: Sequence[Turn], look: Look, policy: Policy, sizes: _Sizes) -> tuple[tuple[Decision, ...], int]:
    """Decisions and the size of their view, with more masked, oldest first, where it would not fit: as the run does."""
    known: dict[int, int] | None = None
    room: int | None = None
    before: tuple[Decision, ...] | None = None
    while True:
        decisions = masking.decide(turns, policy, look.marks, sizes=known, room=room)
        tokens = sizes.view(look, decisions, policy)
        excess = tokens + look.reserved - look.limit
        if not look.limit or excess <= 0 or decisions == before:
            return decisions, tokens
        before = decisions
        live = {each.observation: sizes.body[each.observation] for each in decisions if each.state != "masked"}
        known = live | (known or {})
        room = max(0, sum(live.values()) - excess)


class _Sizes:
    """The pieces of a run's views in tokens: as they were measured, or where a piece was never in a view, as counted."""

    def __init__(self, turns: Sequence[Turn], looks: Sequence[Look]) -> None:
        observations = [observation for turn in turns for observation in turn.observations]
        self.header = {each.number: each.header_tokens for each in observations}
        self.body = {each.number: each.body_tokens for each in observations}
        self.placeholder: dict[int, int] = {}
        self.before: dict[int, int] = {}  # tokens that stand before an observation and belong to none
        self.fixed: dict[int, int] = {}  # by turn: all that belongs to no observation
        self.notes: dict[int, int] = {}  # by turn: of those, what is there for this turn alone
        self.reply: dict[int, int] = {}  # by a turn's number: its reply, as it is read in later turns
        self.turn_of = {each.number: turn.number for turn in turns for each in turn.observations}
        self.next = {turn.number: later.number for turn, later in pairwise(turns)}
        for look in looks:
            self._measure(look, turns)

    def _measure(self, look: Look, turns: Sequence[Turn]) -> None:
        paper = {each.observation for each in look.decisions if each.state == "masked" and look.policy.stub == "paper"}
        fixed = replies = 0
        for segment in look.segments:
            number = segment.observation
            if segment.kind == "body":
                self.body[number] = segment.tokens
            elif number in paper:
                self.placeholder[number] = segment.tokens
            elif number:
                self.header[number] = segment.tokens
            if number:
                self.before[number] = fixed
                continue
            fixed += segment.tokens
            if segment.kind == "call" and replies < len(turns):
                self.reply[turns[replies].number] = segment.tokens
                replies += 1
        self.fixed[look.turn] = fixed
        last = look.segments[-2:]  # a template piece may stand behind it
        self.notes[look.turn] = sum(each.tokens for each in last if each.kind == "note")

    def shown(self, number: int, masked: bool, policy: Policy) -> int:
        """Tokens of an observation in a view."""
        if not masked:
            return self.header[number] + self.body[number]
        return self.placeholder.get(number, self.header[number]) if policy.stub == "paper" else self.header[number]

    def view(self, look: Look, decisions: Sequence[Decision], policy: Policy) -> int:
        return self.fixed.get(look.turn, 0) + sum(
            self.shown(each.observation, each.state == "masked", policy) for each in decisions
        )

    def reads(
        self,
        look: Look,
        last: Look | None,
        before: Step | None,
        decisions: Sequence[Decision],
        tokens: int,
        policy: Policy,
    ) -> Reads:
        """What there is to read of this view when the cache holds the one before, with none of the reply to it."""
        if before is None or last is None:
            return Reads(tokens, tokens, tokens)
        held = {each.observation for each in before.decisions}
        new = self.fixed.get(look.turn, 0) - self.fixed.get(last.turn, 0) + self.notes.get(last.turn, 0)
        new += sum(
            self.shown(d.observation, d.state == "masked", policy) for d in decisions if d.observation not in held
        )
        changed = [
            each.observation
            for each in decisions
            if each.observation in held
            and (each.state == "masked") != (each.observation in before.masked)
            and (self.body[each.observation] or policy.stub == "paper")
        ]
        if not changed:
            return Reads(new, new, new)
        strict = max(new, tokens - self._place(changed[0], decisions, policy))
        if policy.stub == "paper":  # other words in its place: no cache can carry what stands behind
            return Reads(strict, strict, strict)
        masked = {each.observation for each in decisions if each.state == "masked"}
        carry = new + sum(self.body[number] for number in changed if number not in masked)
        readers = {self.next.get(self.turn_of[number], 0) for number in changed}
        repair = carry + sum(self.reply.get(turn, 0) for turn in readers if 0 < turn < last.turn)
        return Reads(strict, min(carry, strict), min(repair, strict))

    def _place(self, number: int, decisions: Sequence[Decision], policy: Policy) -> int:
        """How many tokens stand before what changes with an observation's state."""
        place = self.before.get(number, 0) + (self.header[number] if policy.stub == "header" else 0)
        for each in decisions:
            if each.observation == number:
                break
            place += self.shown(each.observation, each.state == "masked", policy)
        return place
