"""Which observations the model still reads, and why. Pure: the same turns, policy and marks give the same decisions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from engine.context.transcript import Turn
from engine.protocol import Decision, Mark, Observation, Policy
from engine.window import cutoff, released


def decide(
    turns: Sequence[Turn],
    policy: Policy,
    marks: Mapping[int, Mark] = {},
    *,
    sizes: Mapping[int, int] | None = None,
    room: int | None = None,
) -> tuple[Decision, ...]:
    """One decision for each observation, oldest first.

    Observations of the last ``policy.window`` effective turns are live and older ones masked; errors are kept and
    their turns do not count. What the user marked (``marks``, by observation number) overrides the rule.

    ``room`` is how many tokens all shown bodies may take together. If they take more, live ones are masked too,
    oldest first, but neither pinned ones, nor errors, nor anything of the newest turn, which the model has not read
    yet. That may not be enough: the caller measures the view and refuses. ``sizes`` gives the tokens of each
    body, 0 for those not in it; without it, each observation's own count is used.
    """
    effective = [index for index, turn in enumerate(turns) if turn.effective]
    start = cutoff(effective, policy.window)
    weights = [sum(each.body_tokens for each in turns[index].observations) for index in effective]
    gone = released(effective, weights, policy.window, turns=policy.batch_turns, tokens=policy.batch_tokens)
    decisions = tuple(
        _decision(observation, index < start, index < gone, policy.window, marks.get(observation.number, "none"))
        for index, turn in enumerate(turns)
        for observation in turn.observations
    )
    if room is None or not turns:
        return decisions
    if sizes is None:
        sizes = {observation.number: observation.body_tokens for turn in turns for observation in turn.observations}
    unread = {observation.number for observation in turns[-1].observations}
    return _squeeze(decisions, sizes, room, unread)


def _decision(observation: Observation, stale: bool, gone: bool, window: int, mark: Mark) -> Decision:
    """The decision on one observation, by precedence: the user's ``mask``, errors, the other marks, the window."""
    number = observation.number
    if mark == "mask":
        return Decision(number, "masked", "masked by you")
    if observation.error:
        return Decision(number, "kept", "error, kept")
    if mark == "pin":
        return Decision(number, "pinned", "pinned by you")
    if mark == "unmask":
        return Decision(number, "live", "shown again by you")
    if gone:
        return Decision(number, "masked", f"older than {_turns(window)}")
    if stale:
        return Decision(number, "live", f"older than {_turns(window)}, goes with the next batch")
    return Decision(number, "live", f"within the last {_turns(window)}" if window > 0 else "masking is off")


def _turns(count: int) -> str:
    return "1 turn" if count == 1 else f"{count} turns"


def _squeeze(
    decisions: Sequence[Decision], sizes: Mapping[int, int], room: int, unread: Collection[int]
) -> tuple[Decision, ...]:
    """``decisions`` with as many live bodies masked, oldest first, as it takes to fit ``room`` tokens."""
    excess = sum(sizes.get(decision.observation, 0) for decision in decisions if decision.state != "masked") - room
    squeezed = []
    for decision in decisions:
        size = sizes.get(decision.observation, 0)
        if excess > 0 and size > 0 and decision.state == "live" and decision.observation not in unread:
            excess -= size
            decision = replace(decision, state="masked", reason="no room: oldest first")
        squeezed.append(decision)
    return tuple(squeezed)
