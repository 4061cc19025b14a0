"""A new session that begins as a copy of a saved one, up to a turn, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from engine import replay
from engine.clean import clean_line
from engine.errors import SessionError
from engine.protocol import AnswerReady, Ask, Continue, Event, Fork, Forked, Policy, RunStarted, TurnEnded
from engine.sessions import Journal


def kept(events: Iterable[Event], turn: int, run: int = 0) -> tuple[Event, ...]:
    """The events up to the end of a turn of a question, the last one if ``run`` is 0; up to its beginning if ``turn`` is 0.

    Raises SessionError where there is no such turn, or it was never finished.
    """
    events = tuple(events)
    asked = sorted({event.run for event in events if isinstance(event, RunStarted)})
    run = run or (asked[-1] if asked else 0)
    for place, event in enumerate(events, start=1):
        begins = isinstance(event, RunStarted) and turn == 0
        if event.run == run and (begins or (isinstance(event, TurnEnded) and event.turn == turn)):
            return events[:place]
    finished = [event.turn for event in events if isinstance(event, TurnEnded) and event.run == run]
    there = (
        f"Its finished turns are 1 to {finished[-1]}; 0 is its beginning." if finished else "It has no finished turn."
    )
    which = f"question {run}" if len(asked) > 1 else "this session"
    raise SessionError(f"there is no turn {turn} of {which} to fork from", there)


def begin(journal: Journal, command: Fork, policy: Policy | None) -> tuple[Ask | Continue, tuple[Event, ...]]:
    """Write the new session. Returns how it goes on, and all that is in it so far. ``policy`` None keeps the one in force.

    Raises SessionError where there is nothing to go on with.
    """
    events = kept(journal.events(command.session), command.turn, command.run)
    past, last = replay.past_of(events), events[-1]
    question = clean_line(command.question, 4000)
    answered = any(
        isinstance(event, AnswerReady) and event.turn == last.turn and event.run == last.run for event in events
    )
    if answered and not question:
        raise SessionError(
            f"turn {command.turn} is the answer: there is nothing after it to do otherwise",
            "Fork from a turn before it, or give a question to follow up with.",
        )
    policy = policy or past.policy
    asks_on = "" if answered else question or past.transcript.question
    forked = Forked(command.session, command.turn, asks_on, policy, run=last.run, turn=command.turn, at=time.time())
    session = journal.create(question or journal.title(command.session))
    journal.append_all(
        [replace(event, session=session, seq=seq) for seq, event in enumerate((*events, forked), start=1)]
    )
    goes_on = Ask(question, session, past.library, policy) if answered else Continue(session)
    return goes_on, tuple(journal.events(session))
