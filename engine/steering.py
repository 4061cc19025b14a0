"""The user's hand in the masking of a run: what a command changes, and what that would cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.agent import formats
from engine.agent.loop import Bill, Controls, bill
from engine.at_hand import AtHand
from engine.context import masking, view
from engine.context.segments import View
from engine.context.transcript import Turn
from engine.history import History
from engine.model.base import LanguageModel
from engine.protocol import Event, Failed, Marked, Policy, PolicySet, Price, Priced, Redo, SetMark, SetMasking, Undo
from engine.readings import Readings

Steer = SetMasking | SetMark | Undo | Redo

_BATCH = 4
"""Turns whose observations are masked together where a mask means reading the rest again (measured: half the time)."""


class Steering:
    """Follows the user's commands about masking, for the session at hand. ``model`` tells which one is loaded.

    ``policy`` is what the next question begins with. ``batches`` is whether the user left it to the engine to release
    turns together.
    """

    def __init__(
        self,
        at_hand: AtHand,
        policy: Policy,
        emit: Callable[[Event], None],
        *,
        readings: Callable[[str], Readings],
        model: Callable[[], LanguageModel | None],
        batches: bool,
    ) -> None:
        self.policy = policy
        self._at_hand, self._emit = at_hand, emit
        self._readings, self._model, self._batches = readings, model, batches

    def batched(self, policy: Policy) -> Policy:
        """The policy with batches where each edit of the cache is dear, unless the user chose otherwise."""
        model = self._model()
        if not self._batches or policy.batch_turns or model is None:
            return policy
        if model.info.cache not in ("strict", "server"):
            return policy
        return replace(policy, batch_turns=_BATCH)

    def handle(self, command: Steer) -> None:
        """Change marks or policy, write that down, and tell what it will cost if a run is there to pay for it."""
        run, controls, recorder = self._at_hand.run, self._at_hand.controls, self._at_hand.recorder
        policy = self.policy
        if isinstance(command, SetMasking):
            self.policy = command.policy
            policy = self.batched(command.policy)
        events = changes(command, recorder.history if recorder is not None else History(), policy)
        if not events:
            self._emit(Failed("NothingToUndo", f"There is nothing to {type(command).__name__.lower()}."))
            return
        before = copy(controls) if controls is not None else None
        for event in events:
            if isinstance(event, PolicySet) and not isinstance(command, SetMasking):
                self.policy = event.policy
            if controls is not None:
                apply(controls, event)
            self._at_hand.tell(event)
        if run is not None and before is not None and controls is not None and run.controls is controls:
            cost = run.price(before, controls)
            first = events[0]
            what = (first.observation, first.mark) if isinstance(first, Marked) else (0, "none")
            also = tuple(each.observation for each in events[1:] if isinstance(each, Marked))
            self._at_hand.tell(Priced(*what, cost.frees, cost.reads, cost.seconds, also=also))

    def preview(self, command: Price) -> None:
        """Tell what a change would cost, to nobody but who asked: it is not part of the session."""
        run, recorder = self._at_hand.run, self._at_hand.recorder
        policy = self.batched(command.policy) if command.policy is not None else None
        cost, exact = Bill(0, 0, 0.0), run is not None
        if run is not None:
            before = copy(run.controls)
            cost = run.price(before, asked(command, before, policy))
        elif recorder is not None:
            readings = self._readings(recorder.session)
            before = Controls(readings.past.policy, dict(readings.past.marks))
            cost, exact = idle_bill(readings, self._model(), before, asked(command, before, policy))
        told = Priced(
            command.observation,
            command.mark,
            cost.frees,
            cost.reads,
            cost.seconds,
            preview=True,
            exact=exact,
            also=command.also,
            policy=command.policy,
        )
        self._emit(replace(told, session=recorder.session, run=recorder.run) if recorder is not None else told)


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
