"""What the model used of what it had read, and when: cited, chosen as evidence, quoted in its words, or opened again.

A use names every observation that shows the thing, because one of them in view is enough. Whether it was in view at that
time is a question of the decisions; see :func:`lost`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from engine.context.transcript import Turn
from engine.protocol import Citation, Observation
from engine.quotes import Passage, passages

UseKind = Literal["cited", "evidence", "quoted", "reopened"]

_NUMBER = re.compile(r"^L(\d+): ", re.MULTILINE)


@dataclass(frozen=True)
class Use:
    """At ``turn`` something was used that any of ``observations`` shows; ``what`` says it in a few words."""

    turn: int
    kind: UseKind
    observations: tuple[int, ...]
    what: str


@dataclass(frozen=True)
class Proof:
    """A citation of the answer, or evidence chosen for it, and the turn at which that was."""

    turn: int
    kind: Literal["cited", "evidence"]
    citation: Citation


def uses(question: str, turns: Sequence[Turn], proofs: Sequence[Proof] = ()) -> tuple[Use, ...]:
    """Every use that can be told from the transcript, by turn. What stands in the question itself is not quoted."""
    found = [*_proven(turns, proofs), *_quoted(question, turns), *_reopened(turns)]
    return tuple(sorted(found, key=lambda use: (use.turn, use.kind, use.observations)))


def lost(use: Use, masked: Collection[int]) -> bool:
    """Whether all that shows it was masked at the time."""
    return all(number in masked for number in use.observations)


def lines(observation: Observation) -> Collection[int]:
    """The lines of a document that an observation shows; none for a list of links."""
    if observation.error or not observation.uri:
        return ()
    if observation.first and observation.tool != "find":
        return range(observation.first, observation.last + 1)
    return frozenset(int(match[1]) for match in _NUMBER.finditer(observation.body))


def _proven(turns: Sequence[Turn], proofs: Sequence[Proof]) -> Iterator[Use]:
    for proof in proofs:
        cited = proof.citation
        if cited.state == "missing":
            continue  # nothing shows it
        wanted = range(cited.first, cited.last + 1)
        showing = tuple(
            seen.number
            for turn in turns
            for seen in turn.observations
            if turn.number < proof.turn and seen.uri == cited.uri and any(line in lines(seen) for line in wanted)
        )
        if showing:
            yield Use(proof.turn, proof.kind, showing, cited.marker)


def _quoted(question: str, turns: Sequence[Turn]) -> Iterator[Use]:
    """Passages of a turn's reply that stand in bodies it had read, and that nobody had said before."""
    said = set(passages(question))
    first: dict[Passage, int] = {}  # the turn that says it first
    replies: list[tuple[int, list[Passage]]] = []
    for turn in turns:
        replies.append((turn.number, [each for each in passages(turn.raw) if each not in said]))
        said.update(replies[-1][1])
        first |= dict.fromkeys(replies[-1][1], turn.number)
    showing: dict[Passage, list[int]] = {}
    for turn in turns:
        for seen in turn.observations:
            for each in dict.fromkeys(passages(seen.body)):
                if first.get(each, 0) > turn.number:
                    showing.setdefault(each, []).append(seen.number)
    for number, wrote in replies:
        for quoted, passage in groupby(wrote, key=showing.__contains__):
            if quoted:
                yield _quotation(number, list(passage), showing)


def _quotation(turn: int, passage: Sequence[Passage], showing: Mapping[Passage, Sequence[int]]) -> Use:
    """What shows half of a passage is taken to show it: one word more or less is no other source."""
    counts = Counter(number for each in passage for number in showing[each])
    numbers = tuple(sorted(number for number, count in counts.items() if 2 * count >= max(counts.values())))
    return Use(turn, "quoted", numbers, f"“{' '.join(passage[0])}…”")


def _reopened(turns: Sequence[Turn]) -> Iterator[Use]:
    before: list[Observation] = []
    for turn in turns:
        for now in turn.observations:
            again = tuple(earlier.number for earlier in before if _same(earlier, now))
            if again:
                yield Use(turn.number, "reopened", again, f"{now.tool} {now.title or now.path or now.uri}")
        before += turn.observations


def _same(earlier: Observation, now: Observation) -> bool:
    """Whether ``now`` shows what ``earlier`` did: half the lines of either, or the same list."""
    if earlier.error or now.error or not earlier.body:
        return False
    if now.total_lines:
        if earlier.uri != now.uri or not earlier.total_lines:
            return False
        shared = min(earlier.last, now.last) - max(earlier.first, now.first) + 1
        return 2 * shared >= min(earlier.last - earlier.first, now.last - now.first) + 1
    return (earlier.title, earlier.uri, earlier.body) == (now.title, now.uri, now.body)
