"""What a session's events say about its past: enough to follow up, to continue and to put the pages back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.context.transcript import Call, Exchange, Transcript, Turn
from engine.history import History, remember
from engine.protocol import (
    AnswerDelta,
    AnswerReady,
    CallStarted,
    Event,
    Forked,
    Mark,
    Marked,
    Observation,
    Observed,
    Policy,
    PolicySet,
    PromptProgress,
    RunEnded,
    RunStarted,
    ThoughtDelta,
    TurnEnded,
    TurnStarted,
)


@dataclass(frozen=True)
class Past:
    """A session so far. ``transcript`` is the last run's, with its finished turns and the exchanges before it.

    ``unfinished``: the last run can be continued, because it was stopped, failed or never ended.
    ``observations`` are those of all runs' finished turns, oldest first; ``times`` says when each was made.
    """

    run: int = 0
    transcript: Transcript = field(default_factory=lambda: Transcript(""))
    policy: Policy = field(default_factory=Policy)
    marks: Mapping[int, Mark] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()
    times: Mapping[int, float] = field(default_factory=dict)
    next_observation: int = 1
    unfinished: bool = False
    answer: str = ""
    max_turns: int = 0
    library: str = ""
    history: History = field(default_factory=History)

    def follow_up(self, question: str) -> Transcript:
        """The transcript of a new question in this session: what was asked and answered before, and no turns yet."""
        if not self.answer:
            return Transcript(question, history=self.transcript.history)
        exchange = Exchange(self.transcript.question, self.answer)
        return Transcript(question, history=(*self.transcript.history, exchange))


def without_pieces(events: Sequence[Event]) -> Iterator[Event]:
    """The events but for pieces of text, and of progress, of turns that have ended: those have told the whole."""
    ended = {(event.run, event.turn) for event in events if isinstance(event, TurnEnded)}
    for event in events:
        if not isinstance(event, AnswerDelta | PromptProgress | ThoughtDelta) or (event.run, event.turn) not in ended:
            yield event


@dataclass(frozen=True)
class _Open:
    """The turn being told: it counts only once it has ended."""

    calls: tuple[Call, ...] = ()
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True)
class Told:
    """How far a session has been told: its past, and the turn that has not ended yet."""

    past: Past = field(default_factory=Past)
    turn: _Open = field(default_factory=_Open)


def past_of(events: Iterable[Event]) -> Past:
    """The past that ``events``, cut off anywhere, tell of. A turn that did not end leaves only used-up numbers."""
    last = deque(story(events), maxlen=1)
    return last[0][0] if last else Past()


def story(events: Iterable[Event]) -> Iterator[tuple[Past, Event]]:
    """Each event with the past up to it, itself included."""
    told = Told()
    for event in events:
        told = hear(told, event)
        yield told.past, event


def hear(told: Told, event: Event) -> Told:
    """The session with one event more."""
    past, turn = told.past, told.turn
    match event:
        case RunStarted(policy=policy, max_turns=max_turns, resumed=True) if past.run == event.run:
            past = replace(past, policy=policy, max_turns=max_turns, unfinished=True, answer="")
            turn = _Open()
        case RunStarted(question, policy, library, _, max_turns):
            past = replace(
                past,
                run=event.run,
                transcript=past.follow_up(question),
                policy=policy,
                unfinished=True,
                answer="",
                max_turns=max_turns,
                library=library,
            )
            turn = _Open()
        case TurnStarted():
            turn = _Open()
        case CallStarted(call, tool, arguments):
            turn = replace(turn, calls=(*turn.calls, Call(call, tool, arguments)))
        case Observed(observation):
            turn = replace(turn, observations=(*turn.observations, observation))
            past = replace(
                past,
                next_observation=max(past.next_observation, observation.number + 1),
                times={**past.times, observation.number: event.at},
            )
        case TurnEnded(raw, thought):
            ended = Turn(event.turn, raw, thought, turn.calls, turn.observations)
            past = replace(
                past,
                transcript=past.transcript.add(ended),
                observations=(*past.observations, *turn.observations),
            )
            turn = _Open()
        case AnswerReady(text):
            past = replace(past, answer=text)
        case Forked(question="", policy=policy):
            past = replace(past, policy=policy)
        case Forked(question=question, policy=policy):
            transcript = replace(past.transcript, question=question)
            past = replace(past, transcript=transcript, policy=policy, unfinished=True, answer="")
        case Marked(observation, mark):
            past = replace(past, marks={**past.marks, observation: mark})
        case PolicySet(policy):
            past = replace(past, policy=policy)
        case RunEnded(why):
            past = replace(past, unfinished=why in ("stopped", "failed"))
    if isinstance(event, RunStarted | Marked | PolicySet | Forked):
        past = replace(past, history=remember(past.history, event))
    return Told(past, turn)
