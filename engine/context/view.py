"""What the model reads: the transcript as messages, without the bodies of masked observations.

The order of everything is fixed by the transcript alone. A decision only takes one body segment out or puts it back,
and a note only comes after all else, so whatever the model's cache holds of the text before stays good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.context import reference
from engine.context.segments import Message, Segment, Tool, View
from engine.context.transcript import Transcript, Turn
from engine.protocol import Decision, Observation, Policy, Role, SegmentKind

NOTHING = "(no result)"
"""Stands where results would after a turn that has none: chat templates want user and assistant to alternate."""


class Manner(Protocol):
    """How a turn is shown back to the model that made it. Each model family has its own."""

    def answered(self, text: str) -> tuple[Segment, ...]:
        """An answer given to an earlier question."""
        ...

    def called(self, turn: Turn) -> tuple[Segment, ...]:
        """What the model wrote in a turn."""
        ...

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        """What came of it: at least one message. ``shown`` is what may be read of each of the turn's observations."""
        ...


class Plain:
    """As it was written; all results of a turn in one message."""

    def answered(self, text: str) -> tuple[Segment, ...]:
        return (Segment("answer", text),)

    def called(self, turn: Turn) -> tuple[Segment, ...]:
        return (Segment("call", turn.raw),)

    def returned(self, turn: Turn, shown: Sequence[tuple[Segment, ...]]) -> tuple[Message, ...]:
        del turn
        results = tuple(segment for segments in shown for segment in segments)
        return (Message("user", results or (Segment("note", NOTHING + "\n"),)),)


PLAIN = Plain()


def build(
    transcript: Transcript,
    decisions: Sequence[Decision],
    policy: Policy,
    *,
    system: str,
    note: str = "",
    opening: str = "",
    manner: Manner = PLAIN,
    tools: tuple[Tool, ...] = (),
) -> View:
    """The view of a transcript under ``decisions``; an observation without one is shown.

    ``system`` is the system message, ``note`` a last word to the model at the very end, ``opening`` the text its
    reply is made to begin with. Masked observations keep their header, or have the paper's placeholder instead
    if ``policy.stub`` says so. ``manner`` says how turns are shown: it decides about their thoughts, too.
    """
    masked = frozenset(decision.observation for decision in decisions if decision.state == "masked")
    messages = [_message("system", "system", system)]
    for exchange in transcript.history:
        messages.append(_message("user", "question", exchange.question))
        messages.append(Message("assistant", manner.answered(exchange.answer)))
    messages.append(_message("user", "question", transcript.question))
    for turn in transcript.turns:
        messages.append(Message("assistant", manner.called(turn)))
        messages += manner.returned(turn, [_shown(turn, each, masked, policy) for each in turn.observations])
    if note and messages[-1].role == "user":
        messages[-1] = Message("user", (*messages[-1].segments, Segment("note", f"\n{note}")))
    elif note:
        messages.append(_message("user", "note", note))
    return View(tuple(messages), opening, tools)


def header_text(observation: Observation) -> str:
    """An observation's header as it stands in a view."""
    return observation.header + "\n"


def body_text(observation: Observation) -> str:
    """An observation's body as it stands in a view after the header; empty if it has none."""
    return observation.body + "\n" if observation.body else ""


def _message(role: Role, kind: SegmentKind, text: str) -> Message:
    return Message(role, (Segment(kind, text),))


def _shown(turn: Turn, observation: Observation, masked: frozenset[int], policy: Policy) -> tuple[Segment, ...]:
    """What may be read of an observation."""
    number = observation.number
    if number in masked and policy.stub == "paper":
        return (Segment("header", _paper_stub(turn, observation), number),)
    header = Segment("header", header_text(observation), number)
    body = body_text(observation) if number not in masked else ""
    return (header, Segment("body", body, number)) if body else (header,)


def _paper_stub(turn: Turn, observation: Observation) -> str:
    arguments = next((call.arguments for call in turn.calls if call.id == observation.call), None)
    return reference.placeholder(f"browser.{observation.tool}", arguments) + "\n"
