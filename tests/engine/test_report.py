"""The HTML report: what it tells, and that nothing in it can do anything but stand there."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocol import (
    AnswerReady,
    CallStarted,
    CitationChecked,
    Decided,
    Decision,
    Event,
    Failed,
    Observation,
    Observed,
    Policy,
    RunEnded,
    RunStarted,
    SegmentTokens,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)
from engine.report import to_html
from tests.engine.story import CITED, MODEL, TIMINGS, WHOLE, stamped
from tests.tui import fakes

VOID = {"meta", "br", "hr", "path", "circle", "rect", "polyline"}


class Page(HTMLParser):
    """The elements of a page, its text, and what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.texts.append(data)


def test_it_tells_question_answer_citations_decisions_map_turns_and_figures() -> None:
    page = Page(to_html(fakes.RUN))
    for part in (
        fakes.QUESTION,
        "Nothing is lost.",
        "✓ verified [1:L8-L10] Masking docs/masking.md, lines 8–10 91% of the sentence's words",
        "window. When an observation leaves the window its body is taken out of what",
        "~ weak [3:L6-L7]",
        "2 open Masking 6–7 masked older than 2 turns 2,333 → 22",
        "4 search pin an observation 6–7 pinned pinned by you 706",
        "3 open 4–7 kept error, kept 41",
        "largest view 5,250 of 8,192",
        "citations verified 2 of 3",
        "Turn 4 5,250 tokens in view",
        "7 observations over 7 turns; 3 of them are masked at the last turn.",
    ):
        assert part in page.text, part
    assert page.tags.count("polyline") == 1, "the window's edge"
    assert ("rect", "class", "bar masked") in page.attributes


def test_a_citation_in_the_answer_leads_to_its_lines_and_back() -> None:
    page = Page(to_html(fakes.RUN))
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert links == ["#q1c1", "#q1c2", "#q1c3", *["#q1a"] * 3]
    assert {link[1:] for link in links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_nothing_runs_and_nothing_is_loaded() -> None:
    text = to_html(fakes.RUN)
    page = Page(text)
    assert not {"script", "img", "iframe", "link", "object", "embed", "form", "use", "image"} & set(page.tags)
    assert not [
        name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "style", "xlink:href")
    ]
    (policy,) = [value for tag, name, value in page.attributes if name == "content" and "default-src" in value]
    style = text[text.index("<style>") + 7 : text.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "http:" not in text and "https:" not in text and "url(#" in style and "@import" not in style


def test_both_colour_schemes_and_paper_are_thought_of() -> None:
    text = to_html(())
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert "Nothing was asked in this session." in Page(text).text


def test_every_question_of_a_session_is_in_it_and_one_that_did_not_end_says_so() -> None:
    page = Page(to_html(WHOLE))
    assert page.tags.count("article") == 2
    assert [
        value for tag, name, value in page.attributes if tag == "a" and value.startswith("#q") and len(value) == 3
    ] == ["#q1", "#q2"]
    assert "The run did not end; it can be continued." in page.text


@given(st.integers(0, len(WHOLE)))
@settings(max_examples=25)
def test_a_session_cut_anywhere_is_a_page(cut: int) -> None:
    Page(to_html(WHOLE[:cut]))


# ── hostile text ─────────────────────────────────────────────────────────────────────────────────

BAD = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></textarea></svg><svg onload=alert(1)>",
    "<!-- -->", "]]>", "{{ 7 * 7 }}", "{% raw %}", "&#x202e;", "&lt;b&gt;", "' onfocus='x",
    "\x1b]52;c;aGk=\x07", "\x00", "\u202eedoc\u202c", "\u2066x\u2069", "\ud800", "\u2028",
    "![i](http://a.b/c)", "[x](javascript:alert(1))", "<http://a.b>", "[y]: http://a.b", "```\n</pre><b>\n```",
    "\n\n| a | b |\n|:-:|--:|\n| <b> | 1 |\n",
)  # fmt: skip


def about(text: str) -> tuple[Event, ...]:
    """A run in which every piece of outside text is ``text``, and the map has one of everything."""
    seen = Observation(1, "1.1", text, text, text, title=text, uri=text, path=text, first=1, last=2, total_lines=2)
    return stamped(
        (
            RunStarted(text, Policy(window=1), text, replace(MODEL, name=text), 5, run=1),
            TurnStarted(run=1, turn=1),
            CallStarted("1.1", text, {text: text}, run=1, turn=1),
            Observed(seen, run=1, turn=1),
            TurnEnded(text, text, "stop", TIMINGS, run=1, turn=1),
            TurnStarted(run=1, turn=2),
            Decided((Decision(1, "masked", text),), run=1, turn=2),
            ViewBuilt((SegmentTokens("system", 9),), 9, 2048, 64, run=1, turn=2),
            AnswerReady(text, run=1, turn=2),
            CitationChecked(replace(CITED, marker=text, title=text, uri=text, path=text, quote=text), run=1, turn=2),
            TurnEnded(text, text, "stop", TIMINGS, run=1, turn=2),
            Failed(text, text, text, run=1, turn=2),
            RunEnded("answered", 2, 1.0, run=1, turn=2),
        )
    )


PLAIN = Page(to_html(about("plain words")))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(BAD) | st.text(max_size=6), min_size=1, max_size=4).map(lambda parts: "x ".join(parts)))
def test_no_text_can_act_as_markup_or_turn_a_line_around(text: str) -> None:
    written = to_html(about(text))
    page = Page(written)
    shapes = "p pre code ul ol li blockquote h1 h2 h3 h4 h5 h6 em strong hr br table thead tbody tr th td"
    answers = set(shapes.split())
    assert set(page.tags) <= set(PLAIN.tags) | answers, "Markdown may shape the answer, and nothing else"
    assert {name for _, name, _ in page.attributes} <= {name for _, name, _ in PLAIN.attributes} | {"start"}
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
        "".join(page.texts) + written,
    )


@pytest.mark.parametrize("text", BAD)
def test_what_was_said_is_still_there_to_read(text: str) -> None:
    shown = Page(to_html(about(f"seen {text} seen"))).text
    assert shown.count("seen") >= 2 * 10, "in the question, the places, the quote, the body, the thought and the errors"


def test_a_long_run_is_a_page_of_a_sensible_size() -> None:
    events: list[Event] = [RunStarted("Q", Policy(window=4), "guide", MODEL, 200, run=1)]
    for turn in range(1, 201):
        decisions = tuple(
            Decision(n, "masked" if n < turn - 4 else "live", "older than 4 turns") for n in range(1, turn)
        )
        events += [
            TurnStarted(run=1, turn=turn),
            Decided(decisions, run=1, turn=turn),
            CallStarted(f"{turn}.1", "open", {"id": turn}, run=1, turn=turn),
            Observed(
                Observation(turn, f"{turn}.1", "open", f"[{turn}] page", "text", title=f"Page {turn}", body_tokens=90),
                run=1,
                turn=turn,
            ),
            TurnEnded("raw", "Next.", "stop", TIMINGS, run=1, turn=turn),
        ]
    written = to_html(stamped(events))
    assert len(written) < 600_000, "states are drawn as bars, not as cells"
    assert Page(written).tags.count("polyline") == 1
