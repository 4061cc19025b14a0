"""Which actions make sense next. A grammar built from this leaves a small model no way to go astray."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.agent.actions import Action, Answer, Find, Open, Search
from engine.context.transcript import Transcript
from engine.words import content_words, stem

_MOST_WORDS = 10


@dataclass(frozen=True)
class Moves:
    """What the run allows now.

    ``queries``: whole queries to choose from, ``words``: words a further query may be made of, in order; both empty
    where the model may write what it likes. ``links``: ids on the newest results that were not opened yet.
    ``sources``: what a search may choose from; empty where there is nothing to choose.
    """

    search: bool = False
    find: bool = False
    answer: bool = False
    links: tuple[int, ...] = ()
    queries: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def moves(
    transcript: Transcript,
    links: Sequence[int],
    *,
    must_answer: bool,
    led: bool,
    refused: Collection[Action] = (),
    sources: Sequence[str] = (),
) -> Moves:
    """The next moves. ``led``: the model is too small to be trusted with words of its own (see ``Guided``).

    No answer before a document was read; no identical call again while nothing else came between; a led model reads
    two places before it may answer, because it cannot tell a good one from a bad one. ``refused`` are actions that
    this turn has already tried in vain. A led model is not asked to choose among ``sources``: it searches them all.
    """
    if must_answer:
        return Moves(answer=True)
    calls = [call for turn in transcript.turns for call in turn.calls]
    read = [o for o in transcript.observations() if o.tool in ("open", "find") and not o.error and o.body]
    empty = sum(1 for o in transcript.observations() if o.tool == "search" and not o.links)
    asked = {str(call.arguments.get("query", "")) for call in calls if call.tool == "search"}
    closed = {action.id for action in refused if isinstance(action, Open)}
    openable = tuple(id for id in links if id not in closed)
    if led:
        openable = openable[:1]  # results come best first, and a led model picks numbers, not titles
    enough = len(read) >= (2 if led and openable else 1) or (empty >= 2 and not openable)
    queries = tuple(q for q in _opening_queries(transcript.question) if q not in asked) if led and not asked else ()
    words = _words(transcript) if led and asked else ()
    may_search = not any(isinstance(action, Search) for action in refused) and bool(queries or words or not led)
    unread = bool(openable) and not read  # results nobody looked into: reading comes before another search
    return Moves(
        search=may_search and not (led and unread),
        find=bool(read) and not led and not any(isinstance(action, Find) for action in refused),
        answer=(enough or not (openable or may_search)) and not any(isinstance(a, Answer) for a in refused),
        links=openable,
        queries=queries,
        words=words,
        sources=() if led else tuple(sources),
    )


def _opening_queries(question: str) -> tuple[str, ...]:
    """The first search: the question as it was put. Hybrid search reads whole questions well."""
    return (question.strip(),)


def _words(transcript: Transcript) -> tuple[str, ...]:
    """Words for a further query: the question's, then new ones from the titles of what the last search found."""
    seen: dict[str, str] = {}
    titles = [link.title for o in transcript.observations() if o.tool == "search" for link in o.links]
    for text in (transcript.question, *titles):
        for word in content_words(text):
            seen.setdefault(stem(word), word)
    return tuple(seen.values())[:_MOST_WORDS]
