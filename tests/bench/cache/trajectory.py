"""A run over this project's own guide, made by the real tools, the same every time.

No model is asked. The observations are what the browser returns for documents on a shelf: real text, numbered lines,
real headers. The replies follow a rule: search for a heading of the guide, open what was found, read on, look for a
word of the page. Each reply's thought quotes what was read last, as a model's does. Of the actions the rule proposes
the first one is taken whose observation has the wanted size.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from engine.agent import prompts
from engine.agent.actions import Action, Find, Open, Search, arguments, tool
from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.clean import clean
from engine.context import masking, view
from engine.context.segments import View
from engine.context.transcript import Call, Transcript, Turn
from engine.errors import NotFound
from engine.protocol import Hit, Observation, Policy
from engine.sources.base import Document
from engine.words import content_words

ROOT = Path(__file__).parents[3]
QUESTION = "How does masking work, what does it cost, and what can I do where it hides too much?"
OWN = "benchmarks.md"
"""Where the figures go. Left out, or writing them down would change what is measured next."""


@dataclass(frozen=True)
class Shape:
    """How long a run is and how large its pieces, in tokens as :func:`estimate` sees them.

    ``body`` are the least and the most an observation has, ``reply`` is the most (of JSON's signs several are one
    token, so that a reply really has about a fifth less), ``results`` how many a search lists.
    """

    turns: int
    body: tuple[int, int]
    reply: int
    results: int


SHAPES = {
    20: Shape(20, body=(195, 350), reply=68, results=5),
    60: Shape(60, body=(60, 76), reply=38, results=2),
}
"""By number of turns. Both, unmasked, fit a context of 8,192 tokens."""


_PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_|\n")


@cache
def estimate(text: str) -> int:
    """Roughly the tokens of a text, without a model: words of up to eight letters, digits, signs and line ends.

    For numbered lines of this guide within 7 % of what the starter model's tokeniser makes of them.
    """
    return sum(-(-len(piece) // 8) for piece in _PIECE.findall(text))


@lru_cache(maxsize=4)
def record(turns: int) -> Transcript:
    """The run of so many turns; where :data:`SHAPES` has no such length, the beginning of the next longer one.

    Raises ValueError if none is as long.
    """
    lengths = [length for length in sorted(SHAPES) if length >= turns]
    if not lengths:
        raise ValueError(f"no trajectory has {turns} turns; the longest has {max(SHAPES)}")
    shape = SHAPES[lengths[0]]
    made = Transcript(QUESTION, tuple(_Recorder(shape).turns()))
    return replace(made, turns=made.turns[:turns])


def look(transcript: Transcript, turn: int, *, window: int, batch: int = 1) -> View:
    """What the model reads at the ``turn``-th turn, counted from 0, as the agent's loop builds it.

    ``window`` 0 masks nothing. With ``batch`` observations are released only at every ``batch``-th turn, all that are
    due at once.
    """
    policy = Policy(window=window)
    past = replace(transcript, turns=transcript.turns[:turn])
    decisions = masking.decide(past.turns[: turn - turn % batch], policy)
    return view.build(past, decisions, policy, system=prompts.system(led=False))


# ── the shelf ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Guide:
    """The guide as a source: paragraphs, found by the words they and their headings share with a query."""

    documents: tuple[Document, ...]
    name: str = "guide"

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        wanted = set(content_words(query))
        scored = [
            (score, hit)
            for document in self.documents
            for hit in _paragraphs(document)
            if (score := len(wanted & _words(hit)))
        ]
        best = sorted(scored, key=lambda found: -found[0])[:limit]
        return tuple(replace(hit, score=float(score)) for score, hit in best)

    def similarity(self, query: str, texts: object) -> tuple[float, ...]:
        return ()

    def open(self, uri: str) -> Document:
        for document in self.documents:
            if document.uri == uri:
                return document
        raise NotFound(f"no document {uri}")


def guide() -> Guide:
    """README and guide of this project as they are now."""
    paths = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != OWN)]
    return Guide(tuple(_document(path) for path in paths))


def _document(path: Path) -> Document:
    text = clean(path.read_text(encoding="utf-8"))
    name = path.relative_to(ROOT).as_posix()
    return Document(name, name, text.partition("\n")[0].lstrip("# "), text)


@lru_cache(maxsize=64)
def _paragraphs(document: Document) -> tuple[Hit, ...]:
    """Blocks between blank lines, each with the heading it stands under."""
    found = []
    heading = document.title
    number = 1
    for block in document.text.split("\n\n"):
        lines = block.count("\n") + 1
        if block.lstrip().startswith("#"):
            heading = block.strip().lstrip("# ")
        elif len(block) > 80:
            found.append(Hit(document.uri, document.title, heading, number, number + lines - 1, block, 0.0))
        number += lines + 1
    return tuple(found)


@cache
def _words(hit: Hit) -> frozenset[str]:
    return frozenset(content_words(f"{hit.heading} {hit.text}"))


# ── the rule ─────────────────────────────────────────────────────────────────────────────────────


class _Recorder:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._guide = guide()
        self._pool = PagePool()
        self._asked: list[Action] = []
        headings = {hit.heading: None for document in self._guide.documents for hit in _paragraphs(document)}
        self._headings = [heading.strip("`").lower() for heading in headings]

    def turns(self) -> Iterator[Turn]:
        newest: Observation | None = None
        for number in range(1, self._shape.turns + 1):
            action, observation = self._act(number)
            raw = self._reply(action, newest)
            call = Call(f"{number}.1", tool(action), arguments(action))
            newest = replace(observation, number=number, call=call.id)
            yield Turn(number, raw, str(json.loads(raw)["thought"]), (call,), (newest,))

    def _act(self, number: int) -> tuple[Action, Observation]:
        """The first proposed action that returns as much as is wanted. One that does not leaves no trace."""
        low, high = self._shape.body
        mean = low + (high - low) * (number * 7 % 11 + 4) // 14  # views of many sizes
        for budget, action in itertools.product((mean, high), self._proposed(number)):
            pool = _copy(self._pool)
            browser = Browser(self._guide, pool, count=estimate, viewport_tokens=budget, results=self._shape.results)
            observation = _call(browser, action)
            if not observation.error and low <= observation.body_tokens <= high:
                self._pool = pool
                self._asked.append(action)
                return action, observation
        raise ValueError(f"the guide holds too little for turn {number}")

    def _proposed(self, number: int) -> Iterator[Action]:
        kinds = [self._openings, self._reading_on, self._finds, self._searches]
        first = (number - 2) % len(kinds)  # the first turn searches
        for kind in kinds[first:] + kinds[:first]:
            yield from (action for action in kind() if action not in self._asked[-1:])

    def _openings(self) -> Iterator[Action]:
        page = self._pool.latest(links=True)
        yield from (Open(id=link.id) for link in (page.links if page else ()))

    def _reading_on(self) -> Iterator[Action]:
        page = self._pool.latest("document")
        if page is not None:
            yield Open(cursor=page.cursor)

    def _finds(self) -> Iterator[Action]:
        page = self._pool.latest("document")
        words = Counter(content_words(page.text) if page else ())
        found = (Find(word) for word, _ in words.most_common(12) if len(word) > 4)
        yield from (action for action in found if action not in self._asked)

    def _searches(self) -> Iterator[Action]:
        found = (Search(heading) for heading in self._headings if estimate(heading) <= self._shape.reply // 5)
        yield from itertools.islice((action for action in found if action not in self._asked), 40)

    def _reply(self, action: Action, newest: Observation | None) -> str:
        """The action with a thought that quotes as much of the newest result as there is room for."""
        said, words = ("It says", _sentence(newest.body)) if newest else ("The question is", QUESTION.split())
        for count in range(len(words), -1, -1):
            quote = f"{said}: {' '.join(words[:count]).rstrip('.,;:?')}. " if count else ""
            thought = f"{quote}I {_purpose(action)}."
            reply = json.dumps({"thought": thought, "do": tool(action), **_spelt(action)}, ensure_ascii=False)
            if estimate(reply) <= self._shape.reply:
                break
        return reply


def _call(browser: Browser, action: Action) -> Observation:
    match action:
        case Search(query):
            return browser.search("", query)
        case Open(id, cursor, line):
            return browser.open("", id, cursor, line)
        case Find(pattern, cursor):
            return browser.find("", pattern, cursor)
        case other:
            raise ValueError(f"no call: {other}")


def _spelt(action: Action) -> dict[str, object]:
    """The arguments as a reply spells them."""
    return {"text" if name == "pattern" else name: value for name, value in arguments(action).items()}


def _purpose(action: Action) -> str:
    match action:
        case Search(query):
            return f"look for {query}"
        case Open(id=None):
            return "read on"
        case Open():
            return "open it"
        case Find(pattern):
            return f"look for {pattern} there"
        case other:
            raise ValueError(f"no call: {other}")


def _sentence(body: str) -> list[str]:
    """The words of a body from its first longer line on, without line numbers and signs that only mark up."""
    lines = [re.sub(r"^(L\d+:|\(\d+\).*|match at.*)", "", line).strip() for line in body.split("\n")]
    start = next((place for place, line in enumerate(lines) if len(line) > 40), 0)
    return re.sub(r"[^\w\s.,;:'()-]", "", " ".join(lines[start:])).split()[:60]


def _copy(pool: PagePool) -> PagePool:
    """Pages and what was seen of them. No page was ever taken out, so that cursors come out the same."""
    copied = PagePool()
    newest = pool.latest()
    for cursor in range(newest.cursor + 1 if newest else 0):
        copied.add(pool.get(cursor))
    for seen in pool.seen():
        copied.show(seen)
    return copied
