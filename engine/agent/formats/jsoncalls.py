"""Calls that are JSON objects, ``{"name": .., "arguments": {..}}``: most families write them so, in marks of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.agent.actions import Malformed
from engine.agent.formats import jsonish
from engine.agent.formats.tools import Written
from engine.clean import clean_line
from engine.context.segments import Parameter, Tool
from engine.context.transcript import Call
from engine.model import grammar as gbnf

_ARGUMENTS = ("arguments", "parameters", "args")
BLANK = "ws ::= [ \\n\\t]{0,4}\n"
"""The GBNF rule that the others here need."""


def read(text: str) -> list[Written]:
    """The calls in ``text``, also within lists and wrappers. Raises Malformed, or ValueError where it is no JSON."""
    return [call for value in jsonish.values(text) for call in _calls(value)]


def _calls(value: Any) -> Iterable[Written]:
    if isinstance(value, list):
        for each in value:
            yield from _calls(each)
        return
    if not isinstance(value, dict):
        raise Malformed('a call must be an object with "name" and "arguments"')
    if isinstance(value.get("tool_calls"), list):
        yield from _calls(value["tool_calls"])
        return
    if isinstance(value.get("function"), dict):
        yield from _calls(value["function"])
        return
    name = value.get("name", value.get("function"))
    if not isinstance(name, str) or not name.strip():
        raise Malformed('the call has no "name"')
    given = next((value[key] for key in _ARGUMENTS if key in value), None)
    if given is None:
        given = {key: each for key, each in value.items() if key not in ("name", "function", *_ARGUMENTS)}
    if not isinstance(given, str | dict):
        raise Malformed(f'"arguments" of {clean_line(name, 40)} must be an object with names and values')
    yield Written(name, given)


def write(call: Call, arguments: str = "arguments", marks: tuple[str, ...] = ()) -> str:
    """A call as such an object."""
    return jsonish.dumps({"name": call.tool, arguments: dict(call.arguments)}, marks)


# ── grammar ──────────────────────────────────────────────────────────────────────────────────────


def rules(offered: Sequence[Tool], arguments: str = "arguments") -> str:
    """GBNF rules: ``call`` is one such object, ``named`` what follows its ``{"name":``, ``object-search`` the arguments
    of one tool, ``ws`` white space.
    """
    alternatives = [
        f"{gbnf.literal(_quoted(tool.name))} ws {gbnf.literal(',')} ws {gbnf.literal(_quoted(arguments))} ws "
        f"{gbnf.literal(':')} ws object-{tool.name}"
        for tool in offered
    ]
    name = f"{gbnf.literal('{')} ws {gbnf.literal(_quoted('name'))} ws {gbnf.literal(':')} ws"
    call = f"call ::= {name} named ws {gbnf.literal('}')}\nnamed ::= {' | '.join(alternatives)}\n"
    return call + objects(offered) + BLANK


def objects(offered: Sequence[Tool]) -> str:
    """GBNF rules for the arguments of each tool, ``object-search`` and so on. They need :data:`BLANK`."""
    return "".join(f"object-{tool.name} ::= {_object(tool.parameters)}\n" for tool in offered)


def _object(parameters: Sequence[Parameter]) -> str:
    """Its required members, then any others in order; one at least."""
    required = [each for each in parameters if each.required]
    others = [each for each in parameters if not each.required]
    if required:
        members = [f" {gbnf.literal(',')} ws ".join(_member(each) for each in required) + _any_of(others)]
    else:
        members = [_member(each) + _any_of(others[place + 1 :]) for place, each in enumerate(others)]
    return f"{gbnf.literal('{')} ws ( {' | '.join(members)} ) {gbnf.literal('}')}"


def _any_of(parameters: Sequence[Parameter]) -> str:
    return "".join(f" ( {gbnf.literal(',')} ws {_member(each)} )?" for each in parameters)


def _member(parameter: Parameter) -> str:
    return f"{gbnf.literal(_quoted(parameter.name))} ws {gbnf.literal(':')} ws {_value(parameter)} ws"


def _value(parameter: Parameter) -> str:
    if parameter.choices:
        return gbnf.choice([_quoted(each) for each in parameter.choices])
    return gbnf.json_string(1, 160) if parameter.kind == "string" else '( "0" | [1-9] [0-9]{0,5} )'


def _quoted(text: str) -> str:
    return f'"{text}"'
