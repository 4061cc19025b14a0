"""The formats that are tested, calls to write in them, and replies to read."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.agent import actions
from engine.agent.actions import Action, Find, Open, Reply, Search
from engine.agent.formats import choose
from engine.agent.formats.native import Native
from engine.clean import clean
from engine.context.segments import Segment
from engine.context.transcript import Call, Turn
from tests.engine.agent.formats.templates import ALL

BIG = 8_000_000_000


def native(name: str) -> Native:
    """The format for a template of ``templates.ALL``."""
    template, architecture, _ = ALL[name]
    format = choose(template, architecture, BIG)
    assert isinstance(format, Native)
    return format


FORMATS = {name: native(name) for name in ALL}
MARKS = sorted({mark for format in FORMATS.values() for mark in format.marks})

_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_spiced = st.lists(
    st.one_of(_words, st.sampled_from([*MARKS, '"', "\\", "{", "}", "\n", "'", "\\u003c", "1984"])), max_size=4
)
text = _spiced.map("".join).map(clean).filter(str.strip)
"""Text as arguments have it: anything, marks of all families too, but clean and not empty."""

_numbers = st.none() | st.integers(0, 9_999)

calls: st.SearchStrategy[Action] = st.one_of(
    st.builds(Search, text, st.sampled_from([None, "library", "web", "both"])),
    st.builds(Open, _numbers, _numbers, _numbers),
    st.builds(Find, text, _numbers),
)

replies = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *MARKS, "search", "open", '{"name": "search", "arguments": {"query": "x"}}', '{"query": "x"}', "[", "{",
                '"', "final", "analysis", "commentary", " to=functions.search", "json", "<parameter=query>", "\n", "```",
                "<｜DSML｜invoke name=\"search\">", "<｜DSML｜parameter name=\"query\" string=\"true\">", "find(pattern='x')",
            ]
        ),
        st.text(max_size=6),
    ),
    max_size=14,
).map("".join).map(clean)  # fmt: skip
"""Replies made of the pieces that mean something, in any order."""


def written(format: Native, *some: Action) -> str:
    """The calls as the format shows them to the model that made them."""
    return "".join(segment.text for segment in segments(format, *some))


def segments(format: Native, *some: Action) -> tuple[Segment, ...]:
    return format.called(turn(*some))


def turn(*some: Action, thought: str = "", raw: str = "") -> Turn:
    calls = tuple(Call(f"1.{n}", actions.tool(each), actions.arguments(each)) for n, each in enumerate(some, start=1))
    return Turn(1, raw, thought, calls)


def read(format: Native, reply: str) -> Reply:
    """The whole reply at once. Raises Malformed."""
    reader = format.reader()
    reader.feed(reply)
    return reader.finish()
