"""What a run took and what it brought, as numbers from its events: one function for the app, the commands and the reports."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.context.uses import Use, lost
from engine.protocol import EndReason, Event, Policy
from engine.told import Told, runs


@dataclass(frozen=True)
class Measures:
    """One question. Tokens are exact counts; ``prompt``, ``reused`` and ``decoded`` are sums over all views that were
    read, ``peak`` is the size of the largest one at a turn, ``saved`` what masking left out of all of them.

    Seconds: ``reading`` prompts, ``writing`` replies, ``tools`` searching and opening, ``seconds`` from the question to
    the end. ``reopened`` calls showed what had been shown before, ``again`` of them what was masked then. ``regrets``
    are all uses of what was out of view.
    """

    session: str
    run: int
    question: str
    model: str
    cache: str
    policy: Policy
    why: EndReason | Literal[""]
    turns: int
    calls: int
    errors: int
    prompt: int
    reused: int
    decoded: int
    generated: int
    peak: int
    limit: int
    saved: int
    masked: int
    reading: float
    writing: float
    tools: float
    seconds: float
    verified: int
    weak: int
    missing: int
    reopened: int
    again: int
    regrets: tuple[Use, ...]
    answer: str

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def measure(events: Iterable[Event]) -> tuple[Measures, ...]:
    """The questions of a session, in order."""
    return tuple(measured(told) for told in runs(events))


def measured(told: Told) -> Measures:
    """One question that was gathered already."""
    masked = {look.turn: {d.observation for d in look.decisions if d.state == "masked"} for look in told.shown}
    used = told.uses()
    regrets = tuple(use for use in used if lost(use, masked.get(use.turn, ())))
    states = [citation.state for citation in told.citations]
    turns, started, ledger = told.transcript.turns, told.started, told.ledger
    observations = [observation for turn in turns for observation in turn.observations]
    return Measures(
        session=started.session,
        run=started.run,
        question=started.question,
        model=started.model.name,
        cache=started.model.cache,
        policy=told.policy,
        why=told.ended.why if told.ended else "",
        turns=len(turns),
        calls=sum(len(turn.calls) for turn in turns),
        errors=sum(observation.error for observation in observations),
        prompt=ledger.reused + ledger.decoded,
        reused=ledger.reused,
        decoded=ledger.decoded,
        generated=sum(timings.generated_tokens for timings in told.timings),
        peak=max((look.tokens for look in told.shown), default=0),
        limit=ledger.limit,
        saved=ledger.saved,
        masked=len(set().union(*masked.values())),
        reading=told.reading,
        writing=sum(timings.decode_seconds for timings in told.timings),
        tools=sum(timings.tool_seconds for timings in told.timings),
        seconds=told.seconds,
        verified=states.count("verified"),
        weak=states.count("weak"),
        missing=states.count("missing"),
        reopened=sum(use.kind == "reopened" for use in used),
        again=sum(use.kind == "reopened" for use in regrets),
        regrets=regrets,
        answer=told.answer.text if told.answer else "",
    )


def named(policy: Policy) -> str:
    """A policy in a few words: ``window 4``, ``off``, with its batches where it has some."""
    if policy.window <= 0:
        return "off"
    batches = [f"{policy.batch_turns} turns at a time"] if policy.batch_turns > 1 else []
    batches += [f"{policy.batch_tokens:,} tokens at a time"] if policy.batch_tokens else []
    return ", ".join([f"window {policy.window}", *batches])


Change = tuple[Literal["same", "gone", "new"], str]
"""A piece of two answers: in both, in the first only, in the second only."""

_WORDS = re.compile(r"\S+\s*")


def answer_diff(first: str, second: str) -> tuple[Change, ...]:
    """Two answers, word by word: what both say, what only one of them says."""
    one, two = _WORDS.findall(first.strip()), _WORDS.findall(second.strip())
    plain = difflib.SequenceMatcher(None, [w.strip() for w in one], [w.strip() for w in two], autojunk=False)
    changes: list[Change] = []
    for tag, a, b, c, d in plain.get_opcodes():
        if tag == "equal":
            changes.append(("same", "".join(one[a:b])))
            continue
        if a < b:
            changes.append(("gone", "".join(one[a:b])))
        if c < d:
            changes.append(("new", "".join(two[c:d])))
    return tuple(changes)


Row = tuple[str, tuple[str, ...]]


def table(measures: Sequence[Measures]) -> tuple[Row, ...]:
    """Runs side by side, for a person: the name of each figure, and the figure of each run."""

    def seconds(value: float) -> str:
        return f"{value:,.1f} s"

    def of(part: int, whole: int) -> str:
        return f"{part:,} ({part / whole:.0%})" if whole else f"{part:,}"

    rows: list[tuple[str, list[str]]] = [
        ("masking", [named(m.policy) for m in measures]),
        ("model", [m.model for m in measures]),
        ("cache", [m.cache for m in measures]),
        ("ended", [(m.why or "not finished").replace("_", " ") for m in measures]),
        ("turns", [f"{m.turns:,}" for m in measures]),
        ("calls", [f"{m.calls:,}" + (f", {m.errors} failed" if m.errors else "") for m in measures]),
        ("opened again", [f"{m.reopened:,}" + (f", {m.again} masked then" if m.again else "") for m in measures]),
        ("prompt tokens", [f"{m.prompt:,}" for m in measures]),
        ("  read", [of(m.decoded, m.prompt) for m in measures]),
        ("  from the cache", [of(m.reused, m.prompt) for m in measures]),
        ("tokens written", [f"{m.generated:,}" for m in measures]),
        ("largest view", [f"{m.peak:,}" + (f" of {m.limit:,}" if m.limit else "") for m in measures]),
        ("left out of views", [f"{m.saved:,}" for m in measures]),
        ("observations masked", [f"{m.masked:,}" for m in measures]),
        ("used out of view", [f"{len(m.regrets):,}" for m in measures]),
        ("seconds", [seconds(m.seconds) for m in measures]),
        ("  reading", [seconds(m.reading) for m in measures]),
        ("  writing", [seconds(m.writing) for m in measures]),
        ("  tools", [seconds(m.tools) for m in measures]),
        ("citations verified", [f"{m.verified} of {m.verified + m.weak + m.missing}" for m in measures]),
    ]
    return tuple((name, tuple(values)) for name, values in rows)
