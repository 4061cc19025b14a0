"""From what was read to an answer whose every claim was checked.

A model that writes its own citations is taken at its word and then checked. A led model answers *evidence first*: a
grammar makes it choose among passages it has read, and it writes its sentence from a view of the chosen lines alone,
so that even a wrong sentence stands beside the right quote. A sentence its evidence does not support is not shown;
the model then picks one of the evidence's own sentences instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from engine import citations, evidence
from engine.agent import prompts
from engine.agent.listen import Heard, Listener, growing
from engine.browser.tools import Browser
from engine.context.segments import Message, Segment, View
from engine.evidence import Passage
from engine.model import grammar as gbnf
from engine.protocol import AnswerDelta, AnswerReady, Citation, CitationChecked, EndReason, Event, EvidenceChosen

NOT_TOLD = "The documents do not tell."

CANDIDATES = 4
"""Passages a led model chooses from. With more, a 135M model no longer tells them apart."""

CLOSE = 0.85
"""A passage that scores less than this share of the best one's score is not offered beside it."""

_OWN = 2
"""Sentences of the evidence that a led model chooses from where its own was not supported."""

_FAITHFUL = 0.8
"""Share of the words of a led model's own sentence that the nearest sentence of its evidence must have."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`*\"'(])")


def answer(
    text: str,
    question: str,
    listener: Listener,
    browser: Browser,
    spoken: Callable[[str], str] = lambda reply: reply,
) -> Generator[Event, None, EndReason]:
    """Tell the answer and its checked citations. An empty ``text`` is written here, from evidence.

    ``spoken`` takes a free reply's text out of what the model thought before it.
    """
    if text:
        return (yield from _tell(text, browser))
    passages = evidence.passages(question, browser.pool, browser.similarity, limit=CANDIDATES)
    if not passages or passages[0].score < evidence.RELEVANT:
        yield AnswerReady(_declined(passages), told=False)
        return "not_told"
    close = [passage for passage in passages if passage.score >= CLOSE * passages[0].score]
    chosen = yield from _choose(question, close, listener)
    if chosen is None:
        return "stopped"
    yield EvidenceChosen(tuple(_citation(passage) for passage in chosen))
    written = yield from _write(question, chosen, listener, browser, spoken)
    if written is None:
        return "stopped"
    return (yield from _tell(written, browser))


def _tell(text: str, browser: Browser) -> Generator[Event, None, EndReason]:
    """The answer as it stands, after looking up every citation."""
    text = citations.normalise(text)
    checked = citations.check(text, browser.pool)
    told = any(citation.state == "verified" for citation in checked)
    if not told:
        quoted = "\n".join(f"> {line}" for line in text.splitlines())
        text = f"{NOT_TOLD} Nothing in what was read supports this:\n\n{quoted}"
    yield AnswerReady(text, told=told)
    for citation in checked:
        yield CitationChecked(citation)
    return "answered" if told else "not_told"


def _declined(passages: Sequence[Passage]) -> str:
    if not passages:
        return f"{NOT_TOLD} Nothing was read that touches the question."
    nearest = passages[0]
    return f"{NOT_TOLD} The nearest passage is in {nearest.path}, lines {nearest.first}-{nearest.last}."


def _choose(
    question: str, passages: Sequence[Passage], listener: Listener
) -> Generator[Event, None, tuple[Passage, ...] | None]:
    """The passage the model picks by number; the nearest comes first in the list."""
    if len(passages) == 1:
        return tuple(passages)
    view = _narrow(*prompts.choose(question, [_one_line(passage.text) for passage in passages]))
    grammar = f"root ::= {gbnf.choice([str(number) for number in range(1, len(passages) + 1)])}\n"
    heard = yield from _hear(view, listener, grammar)
    if heard.finish == "aborted":
        return None
    return (passages[int(heard.text) - 1],)


def _write(
    question: str,
    chosen: Sequence[Passage],
    listener: Listener,
    browser: Browser,
    spoken: Callable[[str], str],
) -> Generator[Event, None, str | None]:
    """A sentence from the chosen lines, with the citation of the lines it comes from."""
    marker = f"[{chosen[0].cursor}:L{chosen[0].first}-L{chosen[0].last}]"
    view = _narrow(*prompts.write(question, [passage.text for passage in chosen]))
    heard = yield from _hear(view, listener, spoken=spoken)
    if heard.finish == "aborted":
        return None
    sentence = _SENTENCE.split(_one_line(spoken(heard.text)))[0]
    own = _nearest(question, [s for passage in chosen for s in _sentences(passage.text)], browser)
    state, score = citations.support(sentence, own[0])
    if state != "verified" or score < _FAITHFUL:
        # A small model puts words of several sentences together to say what none of them says.
        heard = yield from _hear(view, listener, f"root ::= {gbnf.choice(own)}\n")
        if heard.finish == "aborted":
            return None
        sentence = heard.text
    return f"{sentence.rstrip()} {marker}"


def _hear(
    view: View, listener: Listener, grammar: str = "", *, spoken: Callable[[str], str] | None = None
) -> Generator[Event, None, Heard]:
    yield replace(listener.recorded(listener.built(view), view), purpose="evidence")
    if spoken is not None:
        return (yield from listener.hear(view, grammar=grammar, tell=growing(AnswerDelta, spoken)))
    return (yield from listener.hear(view, grammar=grammar))


def _narrow(system: str, body: str, request: str) -> View:
    """A view of nothing but the lines that matter."""
    return View(
        (
            Message("system", (Segment("system", system),)),
            Message("user", (Segment("body", body), Segment("question", request))),
        )
    )


def _sentences(text: str) -> list[str]:
    """The sentences of a passage, each on one line, list marks and emphasis left as they are."""
    return [s for s in _SENTENCE.split(_one_line(text)) if s.strip()] or [_one_line(text)]


def _nearest(question: str, sentences: Sequence[str], browser: Browser) -> list[str]:
    """The sentences nearest to the question in meaning, at most ``_OWN``; all of them where that is not known."""
    near = browser.similarity(question, sentences)
    if not near:
        return list(sentences)
    order = sorted(range(len(sentences)), key=lambda place: -near[place])
    return [sentences[place] for place in order[:_OWN]]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _citation(passage: Passage) -> Citation:
    return Citation(
        marker=f"[{passage.cursor}:L{passage.first}-L{passage.last}]",
        sentence="",
        cursor=passage.cursor,
        first=passage.first,
        last=passage.last,
        uri=passage.uri,
        title=passage.title,
        quote=passage.text,
        state="verified",
        score=1.0,
        path=passage.path,
    )
