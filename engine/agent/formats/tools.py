"""The tools as models know them: what is offered, and what a call that was written means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.agent.actions import Action, Find, Malformed, Open, Search
from engine.agent.formats import jsonish
from engine.browser.tools import SOURCES
from engine.clean import clean, clean_line
from engine.context.segments import Parameter, Tool


@dataclass(frozen=True)
class Written:
    """A call as a model wrote it, before anybody asked whether there is such a tool."""

    name: str
    arguments: Mapping[str, Any] | str


_QUERY = Parameter("query", "string", "What to look for, in a few words.", required=True)
_SOURCE = Parameter("source", "string", "Where to look: the user's documents, the web, or both.", choices=SOURCES)
_PAGE = Parameter("cursor", "integer", "The number of a page seen before, as in [3].")

_SEARCH = Tool("search", "Lists passages that fit a query, each with a link number.", (_QUERY,))
_SEARCH_WEB = Tool(_SEARCH.name, _SEARCH.about, (_QUERY, _SOURCE))
_OPEN = Tool(
    "open",
    "Reads a link of the newest list, or a page seen before.",
    (
        Parameter("id", "integer", "The number of the link, as in (2)."),
        _PAGE,
        Parameter("line", "integer", "The line to begin with."),
    ),
)
_FIND = Tool(
    "find",
    "Looks for words on the page read last.",
    (Parameter("pattern", "string", "The words to look for.", required=True), _PAGE),
)

_OTHER_NAMES = {"web_search": "search", "websearch": "search", "visit": "open", "web_browse": "open"}
_OTHER_ARGUMENTS = {"loc": "line", "text": "pattern", "page": "cursor", "link": "id", "queries": "query"}


def offered(*, web: bool) -> tuple[Tool, ...]:
    """The tools there are. ``web``: a search may choose where to look."""
    return (_SEARCH_WEB if web else _SEARCH, _OPEN, _FIND)


@dataclass(frozen=True)
class Meant:
    """What a call asks for, and the names of arguments that there are not and that were left out."""

    actions: tuple[Action, ...]
    problem: str = ""


def meant(call: Written) -> Meant:
    """What a call asks for; a list of queries is one search each. Raises Malformed."""
    name = _tool(call.name)
    given = _arguments(name, call.arguments)
    known = [each.name for tool in offered(web=True) if tool.name == name for each in tool.parameters]
    unknown = [clean_line(each, 40) for each in given if each not in known]
    problem = f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}" if unknown else ""
    if unknown and len(unknown) == len(given):
        raise Malformed(problem)
    return Meant(_actions(name, given), f"{problem}; the rest was done" if problem else "")


def _actions(name: str, given: Mapping[str, Any]) -> tuple[Action, ...]:
    if name == "open":
        return (Open(*(_number(given.get(each), each) for each in ("id", "cursor", "line"))),)
    if name == "find":
        return (Find(_text(given.get("pattern"), "pattern"), _number(given.get("cursor"), "cursor")),)
    source = given.get("source")
    where = None if source is None or source == "" else _text(source, "source")
    queries = given.get("query")
    wanted = queries if isinstance(queries, list) and queries else [queries]
    return tuple(Search(_text(query, "query"), where) for query in wanted)


def _tool(written: str) -> str:
    name = written.strip().lower()
    for prefix in ("functions.", "browser.", "browser_"):
        name = name.removeprefix(prefix)
    name = _OTHER_NAMES.get(name, name)
    if name not in ("search", "open", "find"):
        shown = clean_line(written, 40) or "(no name)"
        raise Malformed(f"there is no tool {shown}; there are search, open and find, and an answer needs none")
    return name


def _arguments(tool: str, given: Mapping[str, Any] | str) -> dict[str, Any]:
    """By the names that are offered. Plain words stand for what is looked for."""
    if isinstance(given, str):
        plain = {"search": "query", "find": "pattern"}.get(tool)
        try:
            read = jsonish.loads(given) if given.strip() else {}
        except ValueError:
            read = given
        if not isinstance(read, dict):
            if plain is None:
                raise Malformed(f"the arguments of {tool} must be an object with names and values")
            read = {plain: read}
        given = read
    return {_OTHER_ARGUMENTS.get(str(name), str(name)): value for name, value in given.items()}


def _text(value: object, name: str) -> str:
    """Text stays text, also where it looks like a number: a query for 1984 is not an integer."""
    if isinstance(value, dict | list):
        raise Malformed(f'"{name}" must be text')
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    if not text.strip():
        raise Malformed(f'"{name}" is missing or empty')
    return clean(text)  # once more: JSON escapes can spell what was clean as written


def _number(value: object, name: str) -> int | None:
    """A whole number; below zero is what some models write for one they leave out."""
    if value is None or value == "":
        return None
    try:
        number = _whole(value)
    except (TypeError, ValueError, OverflowError):
        raise Malformed(f'"{name}" must be a whole number') from None
    return number if number >= 0 else None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    if isinstance(value, float) and value != int(value):
        raise ValueError(value)
    return int(value.strip().strip('"')) if isinstance(value, str) else int(value)
