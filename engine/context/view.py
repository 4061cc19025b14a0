"""What the model reads: the transcript as messages, without the bodies of masked observations.

The order of everything is fixed by the transcript alone. A decision only takes one body segment out or puts it back,
and a note only comes after all else, so whatever the model's cache holds of the text before stays good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.context import reference
from engine.context.segments import Message, Segment, View
from engine.context.transcript import Transcript, Turn
from engine.protocol import Decision, Observation, Policy, Role, SegmentKind

NOTHING = "(no result)"
"""Stands where results would after a turn that has none: chat templates want user and assistant to alternate."""


def build(
    transcript: Transcript,
    decisions: Sequence[Decision],
    policy: Policy,
    *,
    system: str,
    note: str = "",
    opening: str = "",
) -> View:
    """The view of a transcript under ``decisions``; an observation without one is shown.

    ``system`` is the system message, ``note`` a last word to the model at the very end, ``opening`` the text its
    reply is made to begin with. Masked observations keep their header, or have the paper's placeholder instead
    if ``policy.stub`` says so. A turn's ``raw`` holds its thought already, so thoughts are not added.
    """
    masked = frozenset(decision.observation for decision in decisions if decision.state == "masked")
    messages = [_message("system", "system", system)]
    for exchange in transcript.history:
        messages.append(_message("user", "question", exchange.question))
        messages.append(_message("assistant", "answer", exchange.answer))
    messages.append(_message("user", "question", transcript.question))
    for turn in transcript.turns:
        messages.append(_message("assistant", "call", turn.raw))
        messages.append(Message("user", tuple(_results(turn, masked, policy)) or (Segment("note", NOTHING + "\n"),)))
    if note:
        messages[-1] = Message("user", (*messages[-1].segments, Segment("note", f"\n{note}")))
    return View(tuple(messages), opening)


def header_text(observation: Observation) -> str:
    """An observation's header as it stands in a view."""
    return observation.header + "\n"


def body_text(observation: Observation) -> str:
    """An observation's body as it stands in a view after the header; empty if it has none."""
    return observation.body + "\n" if observation.body else ""


def _message(role: Role, kind: SegmentKind, text: str) -> Message:
    return Message(role, (Segment(kind, text),))


def _results(turn: Turn, masked: frozenset[int], policy: Policy) -> Iterator[Segment]:
    """Everything a turn's calls returned, so that no call is ever separated from its observation."""
    for observation in turn.observations:
        number = observation.number
        if number in masked and policy.stub == "paper":
            yield Segment("header", _paper_stub(turn, observation), number)
            continue
        yield Segment("header", header_text(observation), number)
        if number not in masked and (body := body_text(observation)):
            yield Segment("body", body, number)


def _paper_stub(turn: Turn, observation: Observation) -> str:
    arguments = next((call.arguments for call in turn.calls if call.id == observation.call), None)
    return reference.placeholder(f"browser.{observation.tool}", arguments) + "\n"
