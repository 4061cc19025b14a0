"""Which observations the model still reads, and why. Pure: the same turns, policy and marks give the same decisions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from engine.context.transcript import Turn
from engine.protocol import Decision, Mark, Observation, Policy


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
    gone = released(turns, effective, policy)
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


def cutoff(effective: Sequence[int], window: int) -> int:
    """Where the window begins: at the ``window``-th of the ``effective`` places from the end. What is before is masked.

    0, so that nothing is before, where ``window`` is not positive or there are fewer such places.
    """
    return effective[-window] if 0 < window <= len(effective) else 0


def released(turns: Sequence[Turn], effective: Sequence[int], policy: Policy) -> int:
    """The place before which stale observations are masked: :func:`cutoff`, or one of before while a batch fills up.

    Follows the run from its beginning, so that what is masked stays masked while the policy is the same.
    """
    batches = policy.batch_turns > 1 or policy.batch_tokens > 0
    if not batches:
        return cutoff(effective, policy.window)
    done = 0
    for count in range(1, len(effective) + 1):
        start = cutoff(effective[:count], policy.window)
        waiting = [index for index in effective if done <= index < start]
        tokens = sum(each.body_tokens for index in waiting for each in turns[index].observations)
        full = 0 < policy.batch_turns <= len(waiting) or 0 < policy.batch_tokens <= tokens
        done = start if waiting and full else done
    return done


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
