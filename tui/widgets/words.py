"""Observations, calls and decisions in a few words and signs. Pure; every list and pane speaks the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.protocol import Citation, CitationState, Observation, State
from tui.safe import short
from tui.state import ObservationRow, TurnRow
from tui.widgets.bars import count, duration

SIGN: Mapping[State, str] = {"live": "●", "masked": "⊘", "pinned": "^", "kept": "!"}
STYLE: Mapping[State, str] = {"live": "$primary", "masked": "dim", "pinned": "$warning", "kept": "$error"}
CITED: Mapping[CitationState, str] = {"verified": "✓", "weak": "~", "missing": "✗"}
CITED_STYLE: Mapping[CitationState, str] = {"verified": "$success", "weak": "$warning", "missing": "$error"}
USED: Mapping[str, str] = {"cited": "✓", "quoted": "“", "re-opened": "↻"}
CITED_WORD: Mapping[CitationState, str] = {
    "verified": "the lines support it",
    "weak": "the lines support it only in part",
    "missing": "no lines support it",
}


def argument(tool: str, arguments: Mapping[str, Any], observation: Observation | None = None) -> str:
    """What a call is about: the words searched, the document opened."""
    if tool == "search":
        return short(str(arguments.get("query", "")))
    if tool == "find":
        where = f" in {observation.title}" if observation is not None and observation.title else ""
        return short(f"“{arguments.get('pattern', '')}”{where}")
    if observation is not None and not observation.error:
        return short(observation.title or observation.uri)
    return short(" ".join(f"{name}={value}" for name, value in arguments.items()))


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call as it was made."""
    return short(f"{tool}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})")


def outcome(observation: Observation) -> str:
    """What a call returned, in a few words."""
    if observation.error:
        return short(observation.header.rpartition("error:")[2] or observation.header)
    if observation.tool == "search":
        return f"{len(observation.links)} results" if len(observation.links) != 1 else "1 result"
    if observation.first:
        return f"L{observation.first}-L{observation.last} of {observation.total_lines}"
    return "nothing found"


def size(row: ObservationRow) -> str:
    """Its size now; before→after where something was taken."""
    return f"{count(row.before)}→{count(row.after)}" if row.state == "masked" else count(row.before)


def use(row: ObservationRow, now: int) -> str:
    """How old an observation is at turn ``now``, and when it was last of use."""
    age = max(0, now - row.turn)
    aged = f"{age} turn{'' if age == 1 else 's'} old" if age else "new"
    return f"{aged} · last {row.used.kind} at turn {row.used.turn}" if row.used else f"{aged} · not used since"


def rate(tokens: int, seconds: float) -> str:
    """Tokens a second; empty where that says nothing."""
    return f" ({tokens / seconds:,.0f} tok/s)" if tokens and seconds > 0.005 else ""


def timing(turn: TurnRow) -> str:
    """Where a turn's time went."""
    timings = turn.timings
    repaired = f" ({turn.repaired:,} of them again, as what they had read was masked or shown)" if turn.repaired else ""
    fresh = timings.prompt_tokens - timings.reused_tokens
    read = (
        f"saw {timings.prompt_tokens:,} tokens, {timings.reused_tokens:,} of them from the cache;"
        f" read {fresh:,}{repaired} in {duration(timings.prefill_seconds)}{rate(fresh, timings.prefill_seconds)}"
    )
    wrote = f"wrote {timings.generated_tokens:,} in {duration(timings.decode_seconds)}"
    wrote += rate(timings.generated_tokens, timings.decode_seconds)
    tools = f"calls {duration(timings.tool_seconds)}" if timings.tool_seconds else ""
    return " · ".join(part for part in (read, wrote, tools) if part)


CACHE: Mapping[str, str] = {
    "strict": "read again",
    "carry": "carried",
    "carry+repair": "carried + repaired",
    "server": "the server's",
}
"""How the model's cache follows a mask, in a word or two."""


def where(uri: str) -> str:
    """The end of a path or address: the part that tells one document from the next."""
    parts = short(uri).split("/")
    return f"…/{'/'.join(parts[-3:])}" if len(parts) > 4 else "/".join(parts)


def place(citation: Citation) -> str:
    """Where a citation points."""
    name = short(citation.path or citation.uri or citation.title or f"page {citation.cursor}")
    return f"{name} L{citation.first}-L{citation.last}" if citation.first else name
