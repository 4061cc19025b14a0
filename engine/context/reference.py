"""The paper's own masking on its own messages, exactly: for its trajectories, and to compare our rule with.

The paper has two message dialects, each with a rule of its own. Both mask the browser's results that lie before the
k-th effective turn from the end, and neither masks an error. They differ in what a turn is and in how a result finds
its call, and that is all that the two readers below say:

========================  ==========================================  ==========================================
..                        ``openai``                                  ``harmony``
========================  ==========================================  ==========================================
an effective turn         an assistant message with a browser call    the assistant message nearest before a
                          whose id is no known error                  browser result that does not read as an error
a result's call           the last one made with the result's id      the latest unanswered one to the same tool
a result of a known       never masked                                there are no ids: only the text tells
error
content                   a string; anything else is left alone       a string, or a list of parts
========================  ==========================================  ==========================================
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.window import cutoff

Dialect = Literal["openai", "harmony"]

BROWSER_TOOLS = ("browser.search", "browser.open", "browser.find")
"""The tools whose results are masked. Names are compared exactly."""

MARKER = "[Auto-archived browser result]"
"""Begins a placeholder. A result with this text anywhere in it counts as masked already."""

_OLD_MARKER = "[Auto-archived |"
_VALUE_CHARACTERS = 80

_ERRORS = (
    "Error executing browser.",
    "Error rendering browser.",
    "Error: Invalid arguments for function",
    "An unexpected error occurred while executing function",
)
_ERRORS_IF_NAMED = ("Error executing ", "Error rendering ")
"""Errors of any tool: the browser's only if they name one of its tools early on."""

_NAME_WITHIN_CHARACTERS = 80


def mask_messages(
    messages: Sequence[Mapping[str, Any]],
    k: int,
    error_tool_call_ids: Collection[str] = (),
    dialect: Dialect = "openai",
) -> list[dict[str, Any]]:
    """A copy of ``messages`` in which stale browser results are placeholders; nothing but their content differs.

    ``k`` is the window in effective turns, 0 or less for none. ``error_tool_call_ids`` are the calls known to have
    failed; ``harmony`` has no ids and ignores them. Doing it again changes nothing more.
    """
    reading = _read_openai(messages, error_tool_call_ids) if dialect == "openai" else _read_harmony(messages)
    end = cutoff(reading.effective, k)
    copy = [dict(message) for message in messages]
    for index, result in reading.results.items():
        if index < end and not is_masked(result.text) and not is_error(result.text):
            copy[index]["content"] = placeholder(result.call.tool, result.call.arguments)
    return copy


def placeholder(tool: str, arguments: object) -> str:
    """What the paper leaves of a masked result: the call that brought it, long values cut."""
    if isinstance(arguments, Mapping) and arguments:
        shown = ", ".join(f"{name}={repr(value)[:_VALUE_CHARACTERS]}" for name, value in arguments.items())
    else:
        shown = "no args"
    return f"{MARKER} tool={tool} | args: {shown}"


def is_masked(text: str) -> bool:
    """Whether a result is a placeholder. One that merely quotes the marker counts too, as in the paper's code."""
    return MARKER in text or text.startswith(_OLD_MARKER)


def is_error(text: str) -> bool:
    """Whether a result reads as one of the errors that the paper's browser reports."""
    text = text.lstrip()
    if text.startswith(_ERRORS):
        return True
    if text.startswith(_ERRORS_IF_NAMED):
        return any(tool in text[:_NAME_WITHIN_CHARACTERS] for tool in BROWSER_TOOLS)
    if text.startswith('{"error"'):
        return isinstance(_json(text), dict)
    return False


# ── what the dialects say ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Call:
    """A call as the message list has it; ``arguments`` that are no mapping count as none."""

    tool: str
    arguments: object


@dataclass(frozen=True)
class _Result:
    """A browser result and the call it answers."""

    text: str
    call: _Call


@dataclass
class _Reading:
    """What the rule needs to know of a message list: places of effective turns, ascending, and of browser results."""

    effective: list[int] = field(default_factory=list)
    results: dict[int, _Result] = field(default_factory=dict)


def _read_openai(messages: Sequence[Mapping[str, Any]], error_ids: Collection[str]) -> _Reading:
    reading = _Reading()
    calls: dict[str | int, _Call] = {}
    for index, message in enumerate(messages):
        made = list(_openai_calls(message)) if message.get("role") == "assistant" else []
        if any(call.tool in BROWSER_TOOLS and call_id not in error_ids for call_id, call in made):
            reading.effective.append(index)
        calls |= {call_id: call for call_id, call in made if call_id != ""}
    # A second pass, because a result may stand before its call, and of calls with one id the last one holds.
    for index, message in enumerate(messages):
        call_id, text = _id(message.get("tool_call_id")), message.get("content", "")
        if message.get("role") != "tool" or not isinstance(text, str) or call_id in error_ids:
            continue
        if (call := calls.get(call_id)) and call.tool in BROWSER_TOOLS:
            reading.results[index] = _Result(text, call)
    return reading


def _openai_calls(message: Mapping[str, Any]) -> Iterator[tuple[str | int, _Call]]:
    """The calls of an assistant message with their ids, "" for those without. What is no call at all is passed over."""
    made = message.get("tool_calls")
    for call in made if isinstance(made, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            arguments = function.get("arguments")
            if isinstance(arguments, str):
                arguments = _json(arguments, failed={"raw": arguments})
            yield _id(call.get("id")), _Call(function.get("name", ""), arguments)


def _id(value: object) -> str | int:
    return value if isinstance(value, str | int) else ""


def _read_harmony(messages: Sequence[Mapping[str, Any]]) -> _Reading:
    reading = _Reading()
    unanswered: dict[str, list[_Call]] = {tool: [] for tool in BROWSER_TOOLS}
    speaker: int | None = None
    for index, message in enumerate(messages):
        text, recipient, name = _harmony_text(message.get("content")), message.get("recipient"), message.get("name")
        if message.get("role") == "assistant":
            speaker = index
            if recipient in BROWSER_TOOLS:
                unanswered[recipient].append(_Call(recipient, _harmony_arguments(text)))
        elif message.get("role") == "tool" and name in BROWSER_TOOLS:
            call = unanswered[name].pop() if unanswered[name] else _Call(name, None)
            reading.results[index] = _Result(text, call)
            if speaker is not None and speaker not in reading.effective[-1:] and not is_error(text):
                reading.effective.append(speaker)
    return reading


def _harmony_text(content: object) -> str:
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _harmony_arguments(text: str) -> object:
    """Unlike in ``openai``, no text means no arguments, and JSON that is no object is shown raw."""
    if not text:
        return None
    arguments = _json(text, failed=text)
    return arguments if isinstance(arguments, dict) else {"raw": arguments}


def _json(text: str, failed: object = None) -> object:
    """The value of a JSON text, ``failed`` if it has none. Nested too deeply for the parser counts as having none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return failed
