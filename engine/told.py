"""A session's events, question by question: what reports, exports, measures and what-ifs are all made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from engine import replay
from engine.context.ledger import Ledger
from engine.context.ledger import fold as fold_ledger
from engine.context.transcript import Transcript
from engine.context.uses import Proof, Use, uses
from engine.context.whatif import Look, Trial, what_if
from engine.protocol import (
    AnswerReady,
    CacheEdited,
    Citation,
    CitationChecked,
    Decided,
    Decision,
    Event,
    EvidenceChosen,
    Failed,
    Forked,
    Policy,
    RunEnded,
    RunStarted,
    Timings,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)


@dataclass
class Told:
    """What is said about one question, gathered while its events go by. Turns that were cut off are not in it."""

    started: RunStarted
    transcript: Transcript
    policy: Policy
    """In force at the last turn."""
    timings: list[Timings] = field(default_factory=list)
    decisions: dict[int, Decision] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)
    """For each observation, the turn from which on its state is what it is at the end."""
    looks: dict[int, Look] = field(default_factory=dict)
    """By turn: what was decided and shown."""
    ledger: Ledger = field(default_factory=Ledger)
    reading: float = 0.0
    """Seconds in which the model's cache was made to hold the views, those for the answer included."""
    proofs: list[Proof] = field(default_factory=list)
    answer: AnswerReady | None = None
    citations: list[Citation] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    forked: Forked | None = None
    ended: RunEnded | None = None
    seconds: float = 0.0
    """Of the whole run, also where it was stopped and went on."""

    def add(self, event: Event, past: replay.Past) -> None:
        """Take in one event; ``past`` is what was told up to it."""
        self.transcript = past.transcript
        self.ledger = fold_ledger(self.ledger, event)
        match event:
            case RunStarted():
                self.ended = None
            case Forked(question=question):
                self.forked = event
                if question:
                    self.started = replace(self.started, question=question)
                    self.answer, self.citations, self.proofs = None, [], []
            case TurnStarted():
                self.answer, self.citations, self.proofs = (
                    None,
                    [],
                    [],
                )  # of a turn that was cut off; this one tells its own
            case Decided(decisions):
                self.policy = past.policy
                self.looks[event.turn] = Look(event.turn, past.policy, dict(past.marks), decisions)
                for decision in decisions:
                    before = self.decisions.get(decision.observation)
                    if before is None or before.state != decision.state:
                        self.since[decision.observation] = event.turn
                    self.decisions[decision.observation] = decision
            case ViewBuilt(segments, _, limit, reserved, purpose="turn"):
                look = self.looks.get(event.turn)
                if look is not None and not look.segments:  # the first try at the turn is the one that was decided for
                    self.looks[event.turn] = replace(look, segments=segments, limit=limit, reserved=reserved)
            case CacheEdited(seconds=seconds):
                self.reading += seconds
            case EvidenceChosen(evidence):
                self.proofs += [Proof(event.turn, "evidence", each) for each in evidence]
            case AnswerReady():
                self.answer, self.citations = event, []
            case CitationChecked(citation):
                self.citations.append(citation)
                self.proofs.append(Proof(event.turn, "cited", citation))
            case TurnEnded(timings=timings):
                self.timings.append(timings)
            case Failed():
                self.failures.append(event)
            case RunEnded(seconds=seconds):
                self.ended = event
                self.seconds += seconds

    @property
    def shown(self) -> tuple[Look, ...]:
        """The looks of the finished turns, in order."""
        return tuple(self.looks[turn.number] for turn in self.transcript.turns if turn.number in self.looks)

    def uses(self) -> tuple[Use, ...]:
        """What the model used of what it had read."""
        return uses(self.transcript.question, self.transcript.turns, self.proofs)

    def under(self, policy: Policy | None, used: tuple[Use, ...] | None = None) -> Trial:
        """The run under another policy, or under its own if None. See :func:`engine.context.whatif.what_if`."""
        return what_if(self.transcript.turns, self.shown, policy, self.uses() if used is None else used)


def runs(events: Iterable[Event]) -> list[Told]:
    """The questions of a session, in order."""
    told: list[Told] = []
    for past, event in replay.story(events):
        if isinstance(event, RunStarted) and (not told or told[-1].started.run != event.run):
            told.append(Told(event, past.transcript, event.policy))
        elif told:
            told[-1].add(event, past)
    return told
