"""Guided actions: a grammar allows only well-formed, sensible actions, so that any instruct model can drive a run.

A reply is one JSON object, ``{"thought": .., "do": "search", "query": ..}``. Models under a billion parameters are
*led*: they write no thoughts (which come out as noise and steer them wrong) and make queries of words that stand in
the question or in what was found. Larger ones write both freely.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from engine.agent import prompts
from engine.agent.actions import Action, Answer, Find, Malformed, Open, Reply, Search
from engine.agent.formats.base import Delta
from engine.agent.moves import Moves
from engine.clean import clean
from engine.context.segments import Tool
from engine.context.view import Plain
from engine.model import grammar as gbnf
from engine.model.base import Lazy
from engine.model.families import GUIDED
from engine.protocol import Link

_LED_VIEWPORT = 260
"""Tokens a led model is shown of a page: about the chunk that a search found. More only drowns what matters."""

_THOUGHT_KEY = gbnf.literal('"thought":')
_HALVES = "".join(map(chr, range(0xD800, 0xDC00)))  # a character escaped as two halves, of which one is there
_QUOTE = gbnf.literal('"')
_THOUGHT = re.compile(r'\s*\{\s*"thought"\s*:\s*"((?:[^"\\]|\\.)*)')


_REPLY_TOKENS = 320
"""Long enough for any action and a paragraph of answer."""


@dataclass(frozen=True)
class Guided(Plain):
    """The format for one model. ``led`` says how much freedom it gets."""

    led: bool

    name: ClassVar[str] = GUIDED
    native: ClassVar[bool] = False
    mend: ClassVar[str] = prompts.MEND

    @property
    def turns(self) -> int:
        """The budget of a run where nobody set one. A led model learns nothing from reading on and on."""
        return 6 if self.led else 12

    def viewport(self, tokens: int) -> int:
        """How much of a page to show, of the ``tokens`` that the settings allow."""
        return min(tokens, _LED_VIEWPORT) if self.led else tokens

    def reply_tokens(self, context: int) -> int:
        """Room for one reply."""
        del context
        return _REPLY_TOKENS

    def system(self, *, web: bool, named: Sequence[Link]) -> str:
        """The system message: it tells of the actions by examples."""
        return prompts.system(led=self.led, web=web, named=named)

    def tools(self, *, web: bool) -> tuple[Tool, ...]:
        """None: the grammar knows them."""
        del web
        return ()

    def lazy(self, *, web: bool) -> Lazy | None:
        """None: the whole reply is held to a grammar."""
        del web
        return None

    def reader(self) -> GuidedReader:
        """A reader for one reply."""
        return GuidedReader(self)

    def spoken(self, text: str) -> str:
        """The text as it is: a guided model thinks within its actions only."""
        return text

    def grammar(self, moves: Moves) -> str:
        """GBNF for the replies that ``moves`` allows."""
        rules: dict[str, str] = {}
        actions = []
        if moves.search:
            actions.append(_object("search", "query", _query(moves, rules), _source(moves)))
        if moves.links:
            actions.append(_object("open", "id", gbnf.choice([str(id) for id in moves.links])))
        if moves.find:
            actions.append(_object("find", "text", gbnf.json_string(2, 80)))
        if moves.answer:
            actions.append(
                gbnf.literal('"do":"answer"') if self.led else _object("answer", "text", gbnf.json_string(1, 900))
            )
        thought = "" if self.led else f"{_THOUGHT_KEY} {gbnf.json_string(0, 240)} {gbnf.literal(',')} "
        root = f"root ::= {gbnf.literal('{')} {thought}( {' | '.join(actions)} ) {gbnf.literal('}')}"
        return "\n".join([root, *(f"{name} ::= {body}" for name, body in rules.items())]) + "\n"

    def read(self, text: str) -> Reply:
        """The reply as actions. Raises Malformed, saying to the model what is wrong."""
        try:
            data = json.loads(text)
        except ValueError:
            raise Malformed("the reply is not one JSON object") from None
        if not isinstance(data, dict):
            raise Malformed("the reply is not one JSON object")
        return Reply(clean(str(data.get("thought", ""))), (_action(data),))

    def thought(self, partial: str) -> str:
        """The thought as far as a reply that is still being written shows it."""
        match = _THOUGHT.match(partial)
        if match is None:
            return ""
        try:
            return clean(str(json.loads(f'"{match[1]}"')).rstrip(_HALVES))
        except ValueError:  # cut inside an escape: the next piece completes it
            return ""


class GuidedReader:
    """Reads one action while it is written."""

    def __init__(self, format: Guided) -> None:
        self._format = format
        self._text = ""
        self._shown = ""

    def feed(self, piece: str) -> Delta:
        self._text += piece
        thought = self._format.thought(self._text)
        new = thought[len(self._shown) :] if thought.startswith(self._shown) else ""
        self._shown += new
        return Delta(new)

    def finish(self) -> Reply:
        return self._format.read(self._text)


def _object(do: str, key: str, value: str, before: str = "") -> str:
    if before:
        return " ".join([gbnf.literal(f'"do":"{do}",'), before, gbnf.literal(f'"{key}":'), value])
    return gbnf.literal(f'"do":"{do}","{key}":') + " " + value


def _source(moves: Moves) -> str:
    """Where to search, before what for; nothing where there is nothing to choose."""
    if not moves.sources:
        return ""
    named = gbnf.choice([json.dumps(source) for source in moves.sources])
    return " ".join([gbnf.literal('"source":'), named, gbnf.literal(",")])


def _query(moves: Moves, rules: dict[str, str]) -> str:
    if moves.queries:
        return gbnf.choice([json.dumps(query, ensure_ascii=False) for query in moves.queries])
    if not moves.words:
        return gbnf.json_string(2, 120)
    # A selection of the words that keeps their order: w1 (w2)? (w3)? | w2 (w3)? | w3. At least two, if there are two.
    words = [json.dumps(word, ensure_ascii=False)[1:-1] for word in moves.words]
    for start, word in enumerate(words):
        rest = " ".join(f"( {gbnf.literal(' ' + later)} )?" for later in words[start + 1 :])
        rules[f"from{start}"] = f"{gbnf.literal(word)} {rest}".rstrip()
    starts = " | ".join(f"from{start}" for start in range(max(1, len(words) - 1)))
    return f"{_QUOTE} ( {starts} ) {_QUOTE}"


def _action(data: dict[str, object]) -> Action:
    match data.get("do"):
        case "search":
            return Search(_text(data, "query"), _text(data, "source") if data.get("source") else None)
        case "open":
            return Open(_number(data, "id"), _number(data, "cursor"), _number(data, "line"))
        case "find":
            return Find(_text(data, "text"), _number(data, "cursor"))
        case "answer":
            return Answer(clean(str(data.get("text", ""))))
        case other:
            raise Malformed(f'"do" must be search, open, find or answer, not {json.dumps(other)[:60]}')


def _text(data: dict[str, object], key: str) -> str:
    """Text stays text, also where it looks like a number: a query for 1984 is not an integer."""
    value = data.get(key)
    if value is None or not str(value).strip():
        raise Malformed(f'"{key}" is missing or empty')
    return clean(str(value))  # once more: JSON escapes can spell what was clean as written


def _number(data: dict[str, object], key: str) -> int | None:
    value = data.get(key)
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise Malformed(f'"{key}" must be a whole number') from None
