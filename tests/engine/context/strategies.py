"""Transcripts and decisions for property tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from engine.context.transcript import Call, Exchange, Transcript, Turn
from engine.context.view import body_text, header_text
from engine.protocol import Mark, Observation, Policy

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
LINES = st.text(st.sampled_from("ab \n<|>é"), max_size=20)
ARGUMENTS = st.dictionaries(st.sampled_from(["query", "id", "cursor"]), st.integers() | TEXT | st.none(), max_size=3)
POLICIES = st.builds(
    Policy,
    window=st.integers(-1, 6),
    stub=st.sampled_from(["header", "paper"]),
    batch_turns=st.integers(0, 3),
    batch_tokens=st.sampled_from([0, 0, 30]),
)


@st.composite
def turns(draw: st.DrawFn, number: int, first: int) -> Turn:
    """Turn ``number``, whose observations count from ``first``: parallel ones, errors, empty ones, or none at all."""
    calls = tuple(
        Call(f"{number}.{place}", draw(st.sampled_from(["search", "open", "find"])), draw(ARGUMENTS))
        for place in range(1, draw(st.integers(0, 3)) + 1)
    )
    observations = tuple(
        sized(
            Observation(
                number=first + place,
                call=call.id,
                tool=call.tool,
                header=f"[{first + place}] {draw(TEXT)}",
                body=draw(LINES),
                error=draw(st.integers(0, 3)) == 0,
            )
        )
        for place, call in enumerate(calls)
    )
    return Turn(number, draw(TEXT), "", calls, observations)


@st.composite
def transcripts(draw: st.DrawFn, max_turns: int = 7) -> Transcript:
    first = draw(st.integers(1, 30))
    transcript = Transcript(draw(TEXT), history=tuple(draw(st.lists(st.builds(Exchange, TEXT, TEXT), max_size=2))))
    for number in range(1, draw(st.integers(0, max_turns)) + 1):
        turn = draw(turns(number, first))
        transcript = transcript.add(turn)
        first += len(turn.observations)
    return transcript


@st.composite
def marks_on(draw: st.DrawFn, transcript: Transcript) -> dict[int, Mark]:
    marks: st.SearchStrategy[Mark] = st.sampled_from(["pin", "mask", "unmask", "none"])
    numbers = [observation.number for observation in transcript.observations()]
    return draw(st.dictionaries(st.sampled_from(numbers), marks, max_size=5)) if numbers else {}


def sized(observation: Observation) -> Observation:
    """With its own token counts, a token being a character."""
    return replace(observation, header_tokens=len(header_text(observation)), body_tokens=len(body_text(observation)))


def turn(number: int, *observations: Observation, raw: str = "") -> Turn:
    """A turn written by hand. The observations' calls are made up to fit."""
    calls = tuple(Call(observation.call, observation.tool, {"query": f"q{number}"}) for observation in observations)
    return Turn(number, raw or f"call {number}", "", calls, observations)


def observation(number: int, *, error: bool = False, body: str = "some text") -> Observation:
    return sized(
        Observation(number=number, call=f"c{number}", tool="search", header=f"[{number}] page", body=body, error=error)
    )


def run_of(count: int, errors: Sequence[int] = ()) -> tuple[Turn, ...]:
    """``count`` turns of one observation each, numbered alike; those in ``errors`` failed."""
    return tuple(turn(number, observation(number, error=number in errors)) for number in range(1, count + 1))
