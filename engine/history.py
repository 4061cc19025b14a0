"""What the user changed in a run's masking, and what can be taken back. Pure; folded from the journal like all else.

A step is what one command changed. Taking it back is told as the same kinds of events with the values from before, so
that a reader who knows nothing of steps still comes to the right marks and policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.protocol import Event, Forked, Mark, Marked, Policy, PolicySet, RunStarted


@dataclass(frozen=True)
class MarkChange:
    """One observation's mark, before and after."""

    observation: int
    before: Mark
    after: Mark


@dataclass(frozen=True)
class PolicyChange:
    """The policy, before and after."""

    before: Policy
    after: Policy


@dataclass(frozen=True)
class Step:
    """What one command changed, in order."""

    number: int
    changes: tuple[MarkChange | PolicyChange, ...]


@dataclass(frozen=True)
class History:
    """Marks and policy as they are, the steps that made them so, and the ones that were taken back, latest last.

    ``number`` is the highest step so far. A new question begins anew: what was said before it stays as it is.
    """

    marks: Mapping[int, Mark] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    done: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    number: int = 0

    def undo(self) -> Iterator[Marked | PolicySet]:
        """The events that take the last step back; none where there is none."""
        if self.done:
            step = self.done[-1]
            for change in reversed(step.changes):
                if isinstance(change, MarkChange):
                    yield Marked(change.observation, change.before, step.number, "undone")
                else:
                    yield PolicySet(change.before, step.number, "undone")

    def redo(self) -> Iterator[Marked | PolicySet]:
        """The events that make the step again that was taken back last; none where there is none."""
        if self.undone:
            step = self.undone[-1]
            for change in step.changes:
                if isinstance(change, MarkChange):
                    yield Marked(change.observation, change.after, step.number, "redone")
                else:
                    yield PolicySet(change.after, step.number, "redone")


def remember(history: History, event: Event) -> History:
    """The history after an event. All but new questions, marks and policies change nothing."""
    match event:
        case RunStarted(policy=policy, resumed=resumed):
            if resumed:
                return replace(history, policy=policy)
            return replace(history, policy=policy, done=(), undone=())
        case Forked(policy=policy):
            return replace(history, policy=policy)
        case Marked(observation, mark):
            change: MarkChange | PolicyChange = MarkChange(observation, history.marks.get(observation, "none"), mark)
            history = replace(history, marks={**history.marks, observation: mark})
        case PolicySet(policy):
            change = PolicyChange(history.policy, policy)
            history = replace(history, policy=policy)
        case _:
            return history
    return _stepped(history, change, event)


def _stepped(history: History, change: MarkChange | PolicyChange, event: Marked | PolicySet) -> History:
    done, undone = history.done, history.undone
    if event.how == "advised":  # nobody said so, and nobody will want to take it back
        return history
    if event.how == "undone":
        if done and done[-1].number == event.step:  # the first of its events; the others find it moved already
            return replace(history, done=done[:-1], undone=(*undone, done[-1]))
        return history
    if event.how == "redone":
        if undone and undone[-1].number == event.step:
            return replace(history, done=(*done, undone[-1]), undone=undone[:-1])
        return history
    number = event.step or history.number + 1
    history = replace(history, number=max(history.number, number))
    if change.before == change.after:
        return history
    if done and done[-1].number == number:
        step = replace(done[-1], changes=(*done[-1].changes, change))
        return replace(history, done=(*done[:-1], step), undone=())
    return replace(history, done=(*done, Step(number, (change,))), undone=())
