"""The same question again under other windows, one run after the other, until all of them can be compared. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from engine.protocol import EngineStopped, Event, Failed, Fork, Forked, Policy, RunEnded

WINDOWS = (2, 4, 8)
"""Windows that are offered; off and auto are, too."""


@dataclass(frozen=True)
class Again:
    """Question ``run`` of ``session``, to be asked again under each policy that is ``waiting``, the first one next.

    Each is a fork that keeps no turn: a session of its own, with what came before the question. ``done`` are those
    that came to an end. ``cut``: one was stopped or failed, so the others are not asked.
    """

    session: str
    run: int
    waiting: tuple[Policy, ...]
    step: Literal["next", "asked", "running"] = "next"
    under_way: str = ""
    done: tuple[str, ...] = ()
    cut: bool = False

    def command(self) -> Fork:
        """What asks the next one."""
        return Fork(self.session, 0, self.run, policy=self.waiting[0])

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.cut or not self.waiting


def heard(again: Again, event: Event) -> Again:
    """How it stands after an event."""
    match event:
        case Forked(parent) if again.step == "asked" and parent == again.session:
            return replace(again, step="running", under_way=event.session)
        case RunEnded(why) if again.step == "running" and (event.session, event.run) == (again.under_way, again.run):
            if why in ("stopped", "failed"):
                return replace(again, cut=True)
            done = (*again.done, again.under_way)
            return replace(again, step="next", under_way="", done=done, waiting=again.waiting[1:])
        case EngineStopped() if again.step != "next":
            return replace(again, cut=True)
        case Failed() if again.step == "asked":  # it cannot even begin
            return replace(again, cut=True)
    return again


def choices(policy: Policy) -> tuple[tuple[str, str, Policy], ...]:
    """What can be tried after a run under ``policy``: a name, a sentence, the policy. The same as it was comes last."""
    offered = [("off", "nothing is masked", replace(policy, window=0, auto=False))]
    offered += [
        (
            f"window {window}",
            f"observations of the last {window} turns stay",
            replace(policy, window=window, auto=False),
        )
        for window in WINDOWS
    ]
    offered.append(("auto", "the window follows the advice for this run", replace(policy, auto=True)))
    others = [each for each in offered if not _alike(each[2], policy)]
    return *others, ("the same", "once more, to see how runs differ by themselves", policy)


def _alike(one: Policy, two: Policy) -> bool:
    """Whether two policies mask alike; that a window is off is said by any that is not positive."""
    return (max(0, one.window), one.auto) == (max(0, two.window), two.auto) or (one.auto and two.auto)
