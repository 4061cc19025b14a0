"""A session as text to keep elsewhere: Markdown to read, JSON lines of its events, or records like the paper's."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine import protocol
from engine.context import reference
from engine.context.transcript import Transcript, Turn
from engine.protocol import (
    ApprovalGiven,
    Event,
    Network,
    Observation,
    Policy,
)
from engine.told import Told, runs


def to_jsonl(events: Iterable[Event]) -> str:
    """One protocol event a line, exactly as ``ask --json`` tells them."""
    return "".join(f"{protocol.encode(event)}\n" for event in events)


def to_markdown(events: Iterable[Event]) -> str:
    """Questions, turns and answers, for people. Nothing that was read or generated can act as Markdown in it."""
    return "\n\n".join(block for told in runs(events) for block in _markdown(told)) + "\n"


def to_ledger(events: Iterable[Event]) -> str:
    """Every request of a session, and every one that the user did not allow; empty where there was none."""
    return "".join(f"{each}\n" for event in events if (each := _request(event)))


def _request(event: Event) -> str:
    match event:
        case Network(entry):
            size = f"{entry.bytes:,} bytes" if entry.bytes >= 0 else "size not known"
            told = ", ".join(part for part in (entry.result, entry.address, size, f"{entry.seconds:.1f} s") if part)
            return f"{_when(entry.began)}  {entry.purpose:<6}  {entry.host}  {entry.method} {entry.url}\n    {told}"
        case ApprovalGiven(_, what, text, host, False):
            return f"{_when(event.at)}  {what:<6}  {host}  {text}\n    not allowed, not sent"
    return ""


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def to_trajectories(events: Iterable[Event]) -> list[dict[str, Any]]:
    """A record in the paper's schema for each question of a session. See :func:`to_trajectory`."""
    return [_trajectory(told) for told in runs(events)]


def to_trajectory(events: Iterable[Event]) -> dict[str, Any]:
    """The last question as a record in the paper's schema, in its ``openai`` dialect; empty if none was asked.

    ``full_messages`` has every observation whole, ``final_messages`` what the model saw of it in its last turn. The
    system message is empty, because the journal does not keep its text. An error begins with the words by which the
    schema tells errors. ``cached_input_tokens_est`` is no estimate here: these tokens were in the cache.
    """
    return next(iter(to_trajectories(events)[-1:]), {})


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────

_SPECIAL = re.compile(r"[\\`*_\[\]<>&~|$!#]|^[-+=:]")
"""What means something in Markdown: anywhere in a line, or at its beginning."""

_NUMBERED = re.compile(r"^(\d+)([.)])")


def _markdown(told: Told) -> Iterator[str]:
    started = told.started
    yield f"# {_inline(started.question)}"
    facts = [time.strftime("%Y-%m-%d %H:%M", time.localtime(started.at)), started.session, started.model.name]
    facts += [f"library {started.library}", f"window {told.policy.window or 'off'}"]
    yield " · ".join(_inline(fact) for fact in facts if fact)
    for turn in told.transcript.turns:
        yield f"## Turn {turn.number}"
        if turn.thought:
            yield _quoted(turn.thought)
        for call in turn.calls:
            yield f"Call: {_code(f'{call.tool} {json.dumps(dict(call.arguments), ensure_ascii=False)}')}"
        for observation in turn.observations:
            yield f"Observation {observation.number}{_state(told, observation)}: {_code(observation.header)}"
    if told.answer is not None:
        yield "## Answer"
        yield _quoted(told.answer.text)
    for citation in told.citations:
        place = (
            f"line {citation.first}" if citation.first == citation.last else f"lines {citation.first}-{citation.last}"
        )
        where = ", ".join(_inline(part) for part in (citation.title, citation.uri, place) if part)
        yield f"**{citation.state}** {_code(citation.marker)} {where}"
        if citation.quote:
            yield _fenced(citation.quote)
    for failure in told.failures:
        yield f"Error: {_inline(f'{failure.message} {failure.hint}')}"
    if told.ended is None:
        yield "The run did not end; it can be continued."
    elif told.ended.why in ("stopped", "failed"):
        yield f"The run {'was stopped' if told.ended.why == 'stopped' else 'failed'} after {told.ended.turns} turns."


def _state(told: Told, observation: Observation) -> str:
    decision = told.decisions.get(observation.number)
    if decision is None or decision.state == "live":
        return ""
    return f" ({decision.state} from turn {told.since[observation.number]} on: {_inline(decision.reason)})"


def _inline(text: str) -> str:
    """One line of outside text that stands for nothing but itself."""
    line = _SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
    return _NUMBERED.sub(r"\1\\\2", line)


def _quoted(text: str) -> str:
    """Outside text in a quotation, with its own line breaks."""
    lines = [_inline(line) for line in text.strip().split("\n")]
    broken = [f"{line}\\" if line and after else line for line, after in zip(lines, [*lines[1:], ""], strict=True)]
    return "\n".join(f"> {line}".rstrip() for line in broken)


def _code(text: str) -> str:
    """A code span that ``text`` cannot end: its fence is longer than any run of backticks inside."""
    text = " ".join(text.split())
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _fenced(text: str) -> str:
    """A code block that ``text`` cannot end."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


# ── the paper's records ──────────────────────────────────────────────────────────────────────────


def _trajectory(told: Told) -> dict[str, Any]:
    rounds = [
        {
            "round": turn.number,
            "input_tokens": timings.prompt_tokens,
            "output_tokens": timings.generated_tokens,
            "latency_s": round(timings.prefill_seconds + timings.decode_seconds, 3),
            "cached_input_tokens_est": timings.reused_tokens,
        }
        for turn, timings in zip(told.transcript.turns, told.timings, strict=False)
    ]
    masked = {number for number, decision in told.decisions.items() if decision.state == "masked"}
    failure = told.failures[-1] if told.failures else None
    return {
        "qid": told.started.run,
        "question": told.started.question,
        "answer": "",
        "session": told.started.session,
        "model": told.started.model.name,
        "window": told.policy.window,
        "full_messages": list(_messages(told, frozenset())),
        "final_messages": list(_messages(told, frozenset(masked))),
        "turn_stats": rounds,
        "final_messages_tokens": rounds[-1]["input_tokens"] if rounds else 0,
        "total_input_tokens": sum(timings.prompt_tokens for timings in told.timings),
        "total_output_tokens": sum(timings.generated_tokens for timings in told.timings),
        "total_cached_input_tokens_est": sum(timings.reused_tokens for timings in told.timings),
        "latency_s": told.ended.seconds if told.ended else 0.0,
        "error": f"{failure.error}: {failure.message}" if failure else None,
        "attempts": 1,
        "status": "success" if told.ended and told.ended.why in ("answered", "not_told") else "fail",
        "retrieved_urls": list(dict.fromkeys(_places(told.transcript))),
    }


def _messages(told: Told, masked: frozenset[int]) -> Iterator[dict[str, Any]]:
    yield {"role": "system", "content": ""}
    for exchange in told.transcript.history:
        yield {"role": "user", "content": exchange.question}
        yield _assistant(exchange.answer)
    yield {"role": "user", "content": told.transcript.question}
    turns = told.transcript.turns
    for turn in turns:
        answered = told.answer is not None and turn is turns[-1] and not turn.observations
        yield _assistant(told.answer.text if told.answer and answered else turn.raw, turn)
        for observation in turn.observations:
            content = _content(observation, turn, told.policy if observation.number in masked else None)
            if observation.call:
                yield {"role": "tool", "tool_call_id": observation.call, "content": content}
            else:  # a complaint about a reply that was no call
                yield {"role": "user", "content": content}


def _assistant(text: str, turn: Turn | None = None) -> dict[str, Any]:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": f"browser.{call.tool}", "arguments": dict(call.arguments)},
        }
        for call in (turn.calls if turn else ())
    ]
    return {
        "role": "assistant",
        "content": "" if calls else text,
        "reasoning_content": (turn.thought or None) if turn else None,
        "tool_calls": calls or None,
        "parallel_tool_calls": len(calls) > 1,
    }


def _content(observation: Observation, turn: Turn, masked_by: Policy | None) -> str:
    header = observation.header
    if observation.error and observation.call and not reference.is_error(header):
        header = f"Error executing browser.{observation.tool}: {header}"
    if masked_by is None:
        return f"{header}\n{observation.body}" if observation.body else header
    if masked_by.stub == "paper":
        arguments = next((call.arguments for call in turn.calls if call.id == observation.call), None)
        return reference.placeholder(f"browser.{observation.tool}", arguments)
    return header


def _places(transcript: Transcript) -> Iterator[str]:
    """Everything that was listed or opened."""
    for observation in transcript.observations():
        yield from (link.uri for link in observation.links)
        if observation.uri and observation.tool != "search" and not observation.error:
            yield observation.uri


# ── the formats ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Form:
    """A format to export in: the ending of its files, what it is for, and how a session is written in it."""

    ending: str
    about: str
    write: Callable[[Iterable[Event]], str]


def _trajectory_line(events: Iterable[Event]) -> str:
    return json.dumps(to_trajectory(events), ensure_ascii=False) + "\n"


def _html(events: Iterable[Event]) -> str:
    from engine.report import to_html

    return to_html(events)


FORMS: dict[str, Form] = {
    "markdown": Form("md", "to read: questions, turns, answers and the cited lines", to_markdown),
    "html": Form("html", "one page to look at, mail or print: the map, the decisions, the figures", _html),
    "jsonl": Form("jsonl", "every event, one on each line, to replay", to_jsonl),
    "trajectory": Form("trajectory.jsonl", "a record of the paper's trajectory schema", _trajectory_line),
}
"""Every format, by its name. The command line and the list of sessions offer what is in here."""
