"""Citations: read from an answer, resolved to a page's lines, and checked against them in code.

An answer cites as ``[cursor:Lx-Ly]``; the paper's ``【cursor†Lx-Ly】`` is understood too. A citation supports the sentence
it stands behind, or the one it begins. It is *verified* if at least 60 % of the sentence's content words stand in the
cited lines, every number and quotation among them; *weak* from 30 % on, or where a number, a quotation or a negation
disagrees; *missing* below that, or where there are no such lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from engine.browser.pages import Page, PagePool
from engine.errors import NotFound
from engine.protocol import Citation, CitationState
from engine.words import stems, words

VERIFIED = 0.6
WEAK = 0.3

_FEWEST = 2
"""Content words a sentence must have before its citation to end there: "As the guide says [1:L3]," has one."""

_MARKER = re.compile(
    r"\[(?P<cursor>\d{1,6}):\s*L(?P<first>\d{1,7})(?:\s*[-–]\s*L?(?P<last>\d{1,7}))?\]"
    r"|【(?P<cursor2>\d{1,6})†L(?P<first2>\d{1,7})(?:\s*[-–]\s*L?(?P<last2>\d{1,7}))?】"
)
_SENTENCE_END = re.compile(r"[.!?][)\"'”’]?\s|\n")
_CLAUSE_END = re.compile(r"[.!?;][)\"'”’]?\s|\n\s*(?:\n|[-*+•]\s|\d{1,3}[.)]\s)")
_QUOTATION = re.compile(r'"([^"\n]{3,})"|“([^”\n]{3,})”')
_GAP = re.compile(r" ([,.;:!?])")
"""What a citation that was taken out leaves before a sign."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = frozenset({"not", "no", "never", "none", "cannot", "without", "neither", "nor"})


@dataclass(frozen=True)
class Marker:
    """A citation as the answer has it. ``start``/``end`` are its place in the text."""

    cursor: int
    first: int
    last: int
    sentence: str
    start: int
    end: int

    @property
    def text(self) -> str:
        lines = f"L{self.first}" if self.first == self.last else f"L{self.first}-L{self.last}"
        return f"[{self.cursor}:{lines}]"


def parse(answer: str) -> tuple[Marker, ...]:
    """The citations of an answer, in order, each with the sentence it stands in or behind."""
    markers = []
    for match in _MARKER.finditer(answer):
        cursor, first, last = (match[name] or match[name + "2"] for name in ("cursor", "first", "last"))
        markers.append(
            Marker(
                int(cursor),
                int(first),
                max(int(first), int(last or first)),
                _sentence(answer, match.start(), match.end()),
                match.start(),
                match.end(),
            )
        )
    return tuple(markers)


def normalise(answer: str) -> str:
    """The answer with every citation in the one form ``[cursor:Lx-Ly]``."""
    parts, at = [], 0
    for marker in parse(answer):
        parts += [answer[at : marker.start], marker.text]
        at = marker.end
    return "".join([*parts, answer[at:]])


def check(answer: str, pool: PagePool) -> tuple[Citation, ...]:
    """Every citation of an answer, looked up and judged. ``quote`` holds the cited lines."""
    return tuple(_check(marker, pool) for marker in parse(answer))


def support(sentence: str, lines: str) -> tuple[CitationState, float]:
    """How far ``lines`` support a sentence: the state, and the share of its content words found in them."""
    wanted = stems(_MARKER.sub(" ", sentence))
    if not wanted:
        return "missing", 0.0
    score = len(wanted & stems(lines)) / len(wanted)
    if score < WEAK:
        return "missing", score
    return ("verified" if score >= VERIFIED and not _disagrees(sentence, lines) else "weak"), score


def _disagrees(sentence: str, lines: str) -> bool:
    """Whether a number or quotation of the sentence is not in the lines, or only one of the two denies."""
    sentence = _MARKER.sub(" ", sentence)
    if not set(_NUMBER.findall(sentence)) <= set(_NUMBER.findall(lines)):
        return True
    folded = " ".join(lines.lower().split())
    quoted = (" ".join((first or second).lower().split()) for first, second in _QUOTATION.findall(sentence))
    if any(quotation not in folded for quotation in quoted):
        return True
    # What denies is held only by what denies, and what does not by what does not: all words of "it is on by default"
    # stand in "it is not on by default".
    held: set[str] = set()
    for clause in _CLAUSE_END.split(sentence):
        agreeing = (other for other in _CLAUSE_END.split(lines) if _denies(other) == _denies(clause))
        held |= stems(clause) & stems("\n".join(agreeing))
    return len(held) < VERIFIED * len(stems(sentence))


def _denies(text: str) -> bool:
    return any(word in _NEGATION or word.endswith("n't") for word in words(text))


def _sentence(answer: str, before: int, after: int) -> str:
    """The sentence that a citation at ``before`` to ``after`` ends or, where it says next to nothing up to there, the
    whole of it. Citations next to each other share one.
    """
    head = answer[:before]
    said = _MARKER.sub(lambda match: "\0" * len(match[0]), head).rstrip(" \0")
    end = len(said.rstrip(" \0.!?\n"))
    starts = [match.end() for match in _SENTENCE_END.finditer(head, 0, end)]
    start = starts[-1] if starts else 0
    sentence = _MARKER.sub(" ", head[start:])
    if len(stems(sentence)) < _FEWEST and not said.endswith((".", "!", "?", "\n")):
        ending = _SENTENCE_END.search(answer, after)
        sentence += _MARKER.sub(" ", answer[after : ending.start() + 1 if ending else len(answer)])
    return _GAP.sub(r"\1", " ".join(sentence.split()))


def _check(marker: Marker, pool: PagePool) -> Citation:
    citation = Citation(marker.text, marker.sentence, marker.cursor, marker.first, marker.last)
    try:
        page = pool.get(marker.cursor)
    except NotFound:
        return citation
    citation = replace(citation, uri=page.uri, title=page.title, path=page.path)
    quote = _lines(page, marker)
    if page.kind != "document" or not quote:
        return citation
    state, score = support(marker.sentence, quote)
    return replace(citation, quote=quote, state=state, score=score)


def _lines(page: Page, marker: Marker) -> str:
    if not 1 <= marker.first <= marker.last <= len(page.lines):
        return ""
    return "\n".join(page.lines[marker.first - 1 : marker.last])
