"""The user's hand in the masking of a run: what a command changes, and what that would cost."""

from __future__ import annotations

from collections.abc import Sequence

from engine.agent import formats
from engine.agent.loop import Bill, Controls, bill
from engine.context import masking, view
from engine.context.segments import View
from engine.context.transcript import Turn
from engine.history import History
from engine.model.base import LanguageModel
from engine.protocol import Marked, Policy, PolicySet, Price, Redo, SetMark, SetMasking, Undo
from engine.readings import Readings

Steer = SetMasking | SetMark | Undo | Redo


def changes(command: Steer, history: History, policy: Policy) -> list[Marked | PolicySet]:
    """The events that a command makes. ``policy`` is what a policy in it comes to for the model in use."""
    step = history.number + 1
    match command:
        case SetMasking():
            return [PolicySet(policy, step)]
        case SetMark(observation, mark, also):
            return [Marked(number, mark, step) for number in dict.fromkeys((observation, *also))]
        case Undo():
            return list(history.undo())
        case Redo():
            return list(history.redo())


def apply(controls: Controls, event: Marked | PolicySet) -> None:
    """Let a run know, from its next turn on."""
    if isinstance(event, Marked):
        controls.marks[event.observation] = event.mark
    else:
        controls.policy = event.policy


def asked(command: Price, before: Controls, policy: Policy | None) -> Controls:
    """The controls as they would be. ``policy`` is what the command's comes to for the model in use."""
    marks = dict(before.marks)
    if policy is not None:
        return Controls(policy, marks)
    return Controls(before.policy, marks | dict.fromkeys((command.observation, *command.also), command.mark))


def idle_bill(readings: Readings, model: LanguageModel | None, before: Controls, after: Controls) -> tuple[Bill, bool]:
    """What a change costs where no run is under way, and whether that is more than arithmetic.

    A run that can go on is priced by the model that is loaded; without one, and where nothing will be read any more,
    only the tokens are counted.
    """
    past = readings.past
    if past.unfinished and model is not None:
        format = formats.for_model(model)
        tools = format.tools(web=readings.web)

        def show(controls: Controls) -> View:
            decisions = masking.decide(past.transcript.turns, controls.policy, controls.marks)
            system = readings.system
            return view.build(past.transcript, decisions, controls.policy, system=system, manner=format, tools=tools)

        return bill(model, show, before, after, readings.speed), True
    frees = hidden(past.transcript.turns, after) - hidden(past.transcript.turns, before)
    return Bill(frees, 0, 0.0), False


def hidden(turns: Sequence[Turn], controls: Controls) -> int:
    """The tokens that are masked under these controls."""
    decisions = masking.decide(turns, controls.policy, controls.marks)
    masked = {decision.observation for decision in decisions if decision.state == "masked"}
    return sum(each.body_tokens for turn in turns for each in turn.observations if each.number in masked)


def copy(controls: Controls) -> Controls:
    """The marks and policy as they are this moment."""
    return Controls(controls.policy, dict(controls.marks))
