"""What a grammar allows, said in other ways, for servers that take no grammar: as a JSON schema, or as a list of texts.

Reads the part of GBNF that :mod:`engine.model.grammar` and the formats write, and gives up on the rest: then a reply can
only be asked for.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*") | (?P<class>\[(?:[^\]\\]|\\.)*\]) | (?P<count>\{\d*,?\d*\})
    | (?P<sign>[()|?*+]) | (?P<name>[A-Za-z][\w-]*))""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_CHOICE = "choice"
_ANY = "\ue000"
"""Stands for text that a grammar leaves open."""

_MOST = 400
"""Ways to write a reply that are looked at: more are left open."""


class _Foreign(Exception):
    """Something this cannot read."""


@dataclass(frozen=True)
class _Rules:
    bodies: dict[str, list[tuple[str, str]]]

    def texts(self, name: str, depth: int = 0) -> list[str]:
        """All that a rule can be, with what is left open as ``_ANY``."""
        if name not in self.bodies or depth > 20:
            raise _Foreign
        tokens = self.bodies[name]
        texts, rest = self._either(tokens, 0, depth)
        if rest != len(tokens):
            raise _Foreign
        return texts

    def _either(self, tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[list[str], int]:
        texts: list[str] = []
        while True:
            row, at = self._row(tokens, at, depth)
            texts += row
            if at == len(tokens) or tokens[at] != ("sign", "|"):
                return _few(texts), at
            at += 1

    def _row(self, tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[list[str], int]:
        texts = [""]
        while at < len(tokens) and tokens[at] not in (("sign", "|"), ("sign", ")")):
            item, at = self._item(tokens, at, depth)
            if at < len(tokens) and (tokens[at][0] == "count" or tokens[at][1] in ("?", "*", "+")):
                item = ["", *item] if tokens[at][1] == "?" else [_ANY]
                at += 1
            texts = (
                _few([text + more for text in texts for more in item]) if len(texts) * len(item) <= _MOST else [_ANY]
            )
        return texts, at

    def _item(self, tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[list[str], int]:
        kind, text = tokens[at]
        if kind == "text":
            return [re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])], at + 1
        if kind == "class":
            return [_ANY], at + 1
        if kind == "name":
            return self.texts(text, depth + 1), at + 1
        if (kind, text) == ("sign", "("):
            texts, at = self._either(tokens, at + 1, depth)
            if at == len(tokens):
                raise _Foreign
            return texts, at + 1
        raise _Foreign


def _few(texts: list[str]) -> list[str]:
    return texts if len(texts) <= _MOST else [_ANY]


def _texts(grammar: str) -> list[str]:
    """All replies that a grammar allows, with what it leaves open as ``_ANY``; empty where it cannot be read."""
    bodies: dict[str, list[tuple[str, str]]] = {}
    try:
        for line in grammar.split("\n"):
            if line.strip() and not line.lstrip().startswith("#"):
                name, sign, body = line.partition("::=")
                if not sign:
                    raise _Foreign
                bodies[name.strip()] = list(_tokens(body.strip()))
        return _Rules(bodies).texts("root")
    except _Foreign:
        return []


def _tokens(body: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(body):
        found = _TOKEN.match(body, at)
        if found is None:
            raise _Foreign
        assert found.lastgroup  # noqa: S101 - every branch is named
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def choices(grammar: str) -> tuple[str, ...]:
    """The texts a grammar chooses from; none where it allows more than a list of plain texts, or JSON."""
    texts = _texts(grammar)
    if not texts or any(_ANY in text or text.lstrip().startswith("{") for text in texts):
        return ()
    return tuple(texts)


def nearest(said: str, texts: Sequence[str]) -> str:
    """The one of ``texts`` that a reply means: the one it is, begins with, holds as a word, or is most like; else the first."""
    said = said.strip().strip('"`*')
    for right in (
        lambda text: text.strip() == said,
        lambda text: re.match(rf"{re.escape(text.strip())}(?!\w)", said),
        lambda text: re.search(rf"(?<!\w){re.escape(text.strip())}(?!\w)", said),
    ):
        if found := [text for text in texts if right(text)]:
            return max(found, key=len)
    return (difflib.get_close_matches(said, texts, 1, 0.3) or [texts[0]])[0]


def schema(grammar: str) -> dict[str, Any]:
    """A JSON schema for what a grammar allows, as near as one comes; empty where the replies are no JSON objects."""
    found: dict[tuple[str, ...], dict[str, list[Any]]] = {}
    texts = _texts(grammar)
    try:
        objects = [json.loads(text) for text in texts]
    except ValueError:
        return {}
    for each in objects:
        if not isinstance(each, dict):
            return {}
        # what may stand together: the same keys, and the same deed
        alike = (*each, *(str(each[key]) for key in ("do", "name") if key in each))
        values = found.setdefault(alike, {key: [] for key in each})
        for key, value in each.items():
            values[key].append(value)
    shapes = [
        {
            "type": "object",
            "properties": {key: _value(values) for key, values in keys.items()},
            "required": list(keys),
            "additionalProperties": False,
        }
        for keys in found.values()
    ]
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes} if shapes else {}


def asked(grammar: str) -> dict[str, Any]:
    """The schema to ask for: the grammar's own, or that of an object around one of its choices (see :func:`meant`)."""
    if texts := choices(grammar):
        return {
            "type": "object",
            "properties": {_CHOICE: {"enum": list(texts)}},
            "required": [_CHOICE],
            "additionalProperties": False,
        }
    return schema(grammar)


def meant(reply: str, grammar: str) -> str:
    """A reply that nothing held to ``grammar``, as it was meant: one of its choices, or the JSON object that it holds."""
    if texts := choices(grammar):
        try:
            data = json.loads(reply)
        except ValueError:
            data = reply
        return nearest(str(data[_CHOICE] if isinstance(data, dict) and _CHOICE in data else data), texts)
    if not schema(grammar):
        return reply
    start, end = reply.find("{"), reply.rfind("}")
    return reply[start : end + 1] if 0 <= start < end else reply


def _value(values: Sequence[Any]) -> dict[str, Any]:
    if any(isinstance(value, str) and _ANY in value for value in values):
        return {"type": "string"}
    if any(isinstance(value, dict | list) for value in values):
        return {}
    return {"enum": list(dict.fromkeys(values))}
