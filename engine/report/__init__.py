"""A session as one HTML page to keep, mail and print: answers with their quoted lines, the context map, every decision.

The page runs no script and loads nothing, and says so to the browser in a policy of its own. All that was read or
generated is escaped by the template; the answer's Markdown is rendered without links, images and raw HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.clean import clean, clean_line
from engine.measure import measured, named, table
from engine.protocol import Citation, Event, Observation
from engine.report.picture import draw
from engine.told import Told, runs

if TYPE_CHECKING:
    from jinja2 import Template
    from markdown_it import MarkdownIt

_HERE = Path(__file__).parent
_MARKER = re.compile(r"\[\d+:L\d+(?:-L\d+)?\]")
_SIGN = {"verified": "✓", "weak": "~", "missing": "✗"}
_WORD = {
    "verified": "the lines support the sentence",
    "weak": "the lines support the sentence only in part",
    "missing": "no lines support the sentence",
}
_OPEN = 60
"""Rows of decisions up to which they are shown unfolded."""


def to_html(events: Iterable[Event]) -> str:
    """The session as one page. It says what there is, also where a run was cut off or nothing was asked."""
    told = runs(events)
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = clean_line(told[0].started.question, 120) if told else "Nothing was asked"
    return _template().render(
        title=title,
        style=style,
        digest=digest,
        version=__version__,
        session=told[0].started.session if told else "",
        questions=[_question(number, each) for number, each in enumerate(told, start=1)],
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_HERE)
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_cleaned,
    )
    return made.get_template("page.html")


def _cleaned(value: Any) -> Any:
    """Whatever enters the page: no character in it may do anything but stand there. Markup of our own passes."""
    return clean(value) if type(value) is str else value


def _question(number: int, told: Told) -> dict[str, Any]:
    started, figures = told.started, measured(told)
    uses = told.uses()
    return {
        "id": f"q{number}",
        "text": started.question,
        "facts": [
            ("asked", time.strftime("%Y-%m-%d %H:%M", time.localtime(started.at))),
            ("model", started.model.name),
            ("library", started.library),
            ("masking", named(told.policy)),
            ("web", started.web),
        ],
        "forked": f"{told.forked.parent} after turn {told.forked.kept}" if told.forked else "",
        "answer": _answer(told, f"q{number}"),
        "told": told.answer is not None and told.answer.told,
        "ended": _ended(told),
        "citations": [_citation(each) for each in told.citations],
        "figures": table([figures]),
        "map": draw(told, uses),
        "spans": (spans := _spans(told)),
        "unfolded": len(spans) <= _OPEN,
        "turns": [_turn(told, place) for place in range(len(told.transcript.turns))],
        "errors": [f"{failure.message} {failure.hint}".strip() for failure in told.failures],
    }


def _ended(told: Told) -> str:
    if told.ended is None:
        return "The run did not end; it can be continued."
    turns = f"after {told.ended.turns} turns"
    return {"stopped": f"The run was stopped {turns}.", "failed": f"The run failed {turns}."}.get(told.ended.why, "")


def _citation(citation: Citation) -> dict[str, Any]:
    lines = f"line {citation.first}" if citation.first == citation.last else f"lines {citation.first}–{citation.last}"
    return {
        "state": citation.state,
        "sign": _SIGN[citation.state],
        "word": _WORD[citation.state],
        "marker": citation.marker,
        "title": citation.title,
        "place": ", ".join(part for part in (citation.path or citation.uri, lines) if part),
        "score": f"{citation.score:.0%} of the sentence's words",
        "quote": citation.quote,
    }


# ── the answer ───────────────────────────────────────────────────────────────────────────────────


def _answer(told: Told, id: str) -> Any:
    """The answer's Markdown, with each citation a link to the lines it quotes."""
    from markupsafe import Markup

    if told.answer is None:
        return ""
    places: dict[str, tuple[str, str]] = {}
    for number, citation in enumerate(told.citations, start=1):
        places.setdefault(citation.marker, (f"{id}c{number}", citation.state))
    markdown, env = _markdown(), {"places": places}
    tokens = markdown.parse(clean(told.answer.text), env)
    for token in tokens:
        token.attrs.pop("style", None)  # a column's alignment: the page's policy would refuse it
    return Markup(markdown.renderer.render(tokens, markdown.options, env))  # noqa: S704 - escaped piece by piece


@cache
def _markdown() -> MarkdownIt:
    """Markdown without what could lead anywhere or stand for other characters than it shows."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.disable(["link", "image", "autolink", "reference", "html_inline", "html_block", "entity"])
    made.add_render_rule("text", _linked)
    return made


def _linked(_: Any, tokens: Sequence[Any], index: int, __: Any, env: Mapping[str, Any]) -> str:
    def link(match: re.Match[str]) -> str:
        place = env["places"].get(match[0])
        return f'<a class="cite {place[1]}" href="#{place[0]}">{match[0]}</a>' if place else match[0]

    return _MARKER.sub(link, html.escape(tokens[index].content))


# ── decisions and turns ──────────────────────────────────────────────────────────────────────────


def _spans(told: Told) -> list[dict[str, Any]]:
    """Every decision: for each observation the turns through which its state and the reason for it stayed the same."""
    decided: dict[int, list[tuple[int, str, str]]] = {}
    for look in told.shown:
        for decision in look.decisions:
            decided.setdefault(decision.observation, []).append((look.turn, decision.state, decision.reason))
    rows = []
    for observation in told.transcript.observations():
        for (state, reason), same in groupby(decided.get(observation.number, ()), key=lambda each: each[1:]):
            turns = [turn for turn, _, _ in same]
            whole = observation.header_tokens + observation.body_tokens
            rows.append(
                {
                    "number": observation.number,
                    "name": _name(observation),
                    "state": state,
                    "turns": f"{turns[0]}" if len(turns) == 1 else f"{turns[0]}–{turns[-1]}",
                    "reason": reason,
                    "tokens": f"{whole:,} → {observation.header_tokens:,}" if state == "masked" else f"{whole:,}",
                }
            )
    return rows


def _name(observation: Observation) -> str:
    return f"{observation.tool} {clean_line(observation.title or observation.path or observation.uri, 60)}".strip()


def _turn(told: Told, place: int) -> dict[str, Any]:
    turn = told.transcript.turns[place]
    look = told.looks.get(turn.number)
    timings = told.timings[place] if place < len(told.timings) else None
    calls = {call.id: call for call in turn.calls}
    return {
        "number": turn.number,
        "thought": turn.thought,
        "view": f"{look.tokens:,} tokens in view" if look and look.segments else "",
        "time": (
            f"{timings.prompt_tokens - timings.reused_tokens:,} read in {timings.prefill_seconds:.1f} s,"
            f" {timings.generated_tokens:,} written in {timings.decode_seconds:.1f} s"
            if timings
            else ""
        ),
        "observations": [
            {
                "number": seen.number,
                "call": _call(calls[seen.call]) if seen.call in calls else "",
                "header": seen.header,
                "body": seen.body,
                "state": told.decisions[seen.number].state if seen.number in told.decisions else "live",
            }
            for seen in turn.observations
        ],
    }


def _call(call: Any) -> str:
    return f"{call.tool} {json.dumps(dict(call.arguments), ensure_ascii=False)}"
