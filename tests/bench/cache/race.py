"""All methods through the same run, turn by turn, so that whatever else the machine does disturbs them alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.context.segments import View
from engine.context.transcript import Transcript
from tests.bench.cache.method import Method, Seconds, Step, lower_bound
from tests.bench.cache.trajectory import look

Spans = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Result:
    """One method's steps and, for each, the lower bound of its prompt tokens; or why it was not measured."""

    name: str
    steps: tuple[Step, ...] = ()
    bounds: tuple[int, ...] = ()
    missing: str = ""

    @property
    def decoded(self) -> int:
        return sum(step.decoded for step in self.steps)

    @property
    def to_bound(self) -> float:
        """Prompt tokens decoded, of the least there can be."""
        return self.decoded / max(1, sum(self.bounds))

    @property
    def prompt(self) -> Seconds:
        return sum((step.prompt for step in self.steps), Seconds())

    @property
    def whole(self) -> Seconds:
        return sum((step.reply for step in self.steps), self.prompt)

    @property
    def cells(self) -> int:
        return max((step.cells for step in self.steps), default=0)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        steps = tuple(
            Step(**{**step, "prompt": Seconds(**step["prompt"]), "reply": Seconds(**step["reply"])})
            for step in data["steps"]
        )
        return cls(data["name"], steps, tuple(data["bounds"]), data["missing"])


@dataclass(frozen=True)
class Race:
    """One run of all methods: the results, by the method's key."""

    turns: int
    seed: int
    results: Mapping[str, Result] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Race:
        results = {key: Result.from_json(result) for key, result in data["results"].items()}
        return cls(data["turns"], data["seed"], results)


def run(
    transcript: Transcript,
    methods: Mapping[str, Method],
    *,
    spans: Callable[[View], Spans],
    reply_tokens: Callable[[str], tuple[int, ...]],
    seed: int,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Result]:
    """Step every method through the transcript, in another order at each turn. Raises what a method raises."""
    order = random.Random(seed)
    steps: dict[str, list[Step]] = {key: [] for key in methods}
    for turn, made in enumerate(transcript.turns):
        for key in order.sample(sorted(methods), len(methods)):
            method = methods[key]
            view = look(transcript, turn, window=method.window, batch=method.batch)
            steps[key].append(method.step(view, made.raw))
        tell(f"turn {turn + 1} of {len(transcript.turns)}")
    return {
        key: Result(
            method.name,
            tuple(steps[key]),
            bounds(transcript, method.window, method.batch, spans=spans, reply_tokens=reply_tokens),
        )
        for key, method in methods.items()
    }


def bounds(
    transcript: Transcript,
    window: int,
    batch: int,
    *,
    spans: Callable[[View], Spans],
    reply_tokens: Callable[[str], tuple[int, ...]],
) -> tuple[int, ...]:
    """The lower bound of each turn: before it, the cache holds the last view and the reply to it."""
    found: list[int] = []
    held: Spans = ()
    for turn, made in enumerate(transcript.turns):
        wanted = spans(look(transcript, turn, window=window, batch=batch))
        found.append(lower_bound(held, wanted))
        held = (*wanted, reply_tokens(made.raw))
    return tuple(found)


def noise(results: Sequence[Result], turns: int) -> float:
    """How far the processor seconds of the same work lie apart in this run: the largest total over the smallest, of
    the first ``turns`` turns, in which nothing is masked yet."""
    totals = [sum(step.prompt.cpu for step in result.steps[:turns]) for result in results if result.steps]
    return max(totals) / min(totals) if totals and min(totals) > 0 else 1.0
