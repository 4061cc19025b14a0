from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agent.actions import Action, Answer, Find, Malformed, Open, Search
from engine.agent.formats.native import Native
from engine.agent.formats.reader import MOST_CALLS
from engine.clean import clean
from tests.engine.agent.formats.cases import BIG, FORMATS, calls, native, read, replies, written

SEEDS: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "replies.json").read_text(encoding="utf-8")
)["replies"]

formats = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


def outcome(format: Native, pieces: list[str]) -> tuple[Any, str, str]:
    """What a reply comes to when it is fed like that, and what was shown of its thought and text on the way."""
    reader = format.reader()
    deltas = [reader.feed(piece) for piece in pieces]
    shown = "".join(delta.thought for delta in deltas), "".join(delta.said for delta in deltas)
    try:
        return reader.finish(), *shown
    except Malformed as error:
        return str(error), *shown


def holds(format: Native, reply: str) -> None:
    """What must be true of any text at all."""
    whole, *_ = outcome(format, [reply])
    if isinstance(whole, str):
        assert whole, "a reason"
    else:
        assert whole.actions
        assert len(whole.actions) <= MOST_CALLS
        said = [whole.thought, *whole.problems, *(str(v) for a in whole.actions for v in vars(a).values())]
        assert all(text == clean(text) for text in said)
    for split in range(len(reply) + 1):
        again, thought, _ = outcome(format, [reply[:split], reply[split:]])
        assert again == whole, split
    letters, thought, said = outcome(format, list(reply))
    assert letters == whole
    if not isinstance(whole, str):
        assert whole.thought.startswith(thought.strip()) or not thought.strip()
        if isinstance(whole.actions[0], Answer):
            assert whole.actions[0].text.startswith(said.strip()) or whole.thought


@formats
@settings(max_examples=25)
@given(reply=replies)
def test_any_text_is_read_or_refused_with_a_reason_wherever_it_is_cut_into_pieces(format: Native, reply: str) -> None:
    holds(format, reply)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed['format']}: {seed['reply'][:40]!r}")
def test_replies_that_a_fuzzer_found(seed: dict[str, str]) -> None:
    holds(native(seed["format"]), seed["reply"])


@formats
@settings(max_examples=25)
@given(some=st.lists(calls, min_size=1, max_size=4))
def test_a_call_that_is_written_is_read_as_it_was(format: Native, some: list[Action]) -> None:
    stripped = [each for each in some if each != Open()] or [Open(1)]
    if format.name == "harmony":
        for each in stripped:
            assert read(format, written(format, each).removeprefix("<|start|>assistant")).actions == (each,)
        return
    assert read(format, written(format, *stripped)).actions == tuple(stripped)


THINKING = {
    "thinks": ("<think>\nI must look.\n</think>\n\n", ""),
    "thinks first": ("I must look.\n</think>\n\n", ""),
    "coder": ("<think>I must look.</think>", ""),
    "oss": ("<|channel|>analysis<|message|>I must look.<|end|><|start|>assistant", "<|channel|>final<|message|>"),
    "deepseek": ("I must look.</think>", ""),
    "mistral named": ("[THINK]I must look.[/THINK]", ""),
}


@pytest.mark.parametrize("name", THINKING)
def test_a_thought_is_told_from_a_call_and_from_an_answer(name: str) -> None:
    format = native(name)
    thought, begin = THINKING[name]
    call = written(format, Search("keeper"))
    for reply in (f"{thought}{call}", f"{thought}{begin}It was Ada [1:L1]."):
        found = read(format, reply.replace("<|start|>assistant<|start|>assistant", "<|start|>assistant"))
        assert found.thought == "I must look."
    assert found.actions == (Answer("It was Ada [1:L1]."),)


@pytest.mark.parametrize("name", THINKING)
def test_a_thought_that_came_to_no_end_is_no_answer(name: str) -> None:
    thought, _ = THINKING[name]
    with pytest.raises(Malformed, match="came to no end"):
        read(native(name), thought[: thought.index("must")])


@pytest.mark.parametrize("name", THINKING)
def test_a_thought_is_shown_while_it_is_thought(name: str) -> None:
    reader = native(name).reader()
    thought, _ = THINKING[name]
    until = thought.index("look")
    assert reader.feed(thought[:until]).thought.strip() == "I must"
    assert reader.feed(thought[until : until + 4]).thought == "look"


def test_an_answer_is_shown_while_it_is_written_but_no_part_of_a_mark() -> None:
    reader = native("qwen").reader()
    assert reader.feed("It was <b>Ada</b> <tool").said == "It was <b>Ada</b> "
    assert reader.feed("box>").said == "<toolbox>"
    assert reader.finish().actions == (Answer("It was <b>Ada</b> <toolbox>"),)


def test_several_calls_are_several_actions_and_what_is_wrong_with_one_does_not_stop_the_others() -> None:
    call = '<tool_call>{"name": "%s", "arguments": %s}</tool_call>'
    found = read(
        native("qwen"),
        call % ("search", '{"query": ["a", 1984]}') + call % ("fly", "{}") + call % ("find", '{"pattern": "oil"}'),
    )
    assert found.actions == (Search("a"), Search("1984"), Find("oil"))
    assert "no tool fly" in found.problems[0]


def test_a_quote_that_is_missing_spoils_one_call_only() -> None:
    call = '<tool_call>{"name": "search", "arguments": {"query": "%s}}</tool_call>'
    found = read(native("qwen"), call % "a" + call % 'b"')
    assert found.actions == (Search("b"),)
    assert found.problems == ("the call cannot be read",)


@pytest.mark.parametrize("name", ["qwen", "granite", "mistral", "mistral named"])
def test_a_mark_within_a_string_ends_nothing(name: str) -> None:
    format = native(name)
    for mark in format.marks:
        call = written(format, Search("before HERE after"), Search("other")).replace("HERE", mark)
        assert read(format, call).actions == (Search(f"before {mark} after"), Search("other"))


def test_more_calls_than_make_sense_are_not_run() -> None:
    found = read(native("qwen"), written(native("qwen"), *(Search(f"q{n}") for n in range(40))))
    assert len(found.actions) == MOST_CALLS
    assert "only the first 8 of 40" in found.problems[0]


@pytest.mark.parametrize(
    ("name", "reply", "reason"),
    [
        ("qwen", "", "empty"),
        ("qwen", "<think></think>", "empty"),
        ("qwen", '<tool_call>{"name": "search", "arguments": {"qu', "not finished"),
        ("qwen", '<tool_call>{"name": "search"}</tool_call>', '"query" is missing'),
        ("qwen", '<tool_call>{"name": "open", "arguments": {"id": "two"}}</tool_call>', "whole number"),
        ("qwen", '<tool_call>{"name": "open", "arguments": {"id": true}}</tool_call>', "whole number"),
        ("qwen", '<tool_call>{"name": "open", "arguments": {"url": "http://x.test"}}</tool_call>', "no argument url"),
        ("qwen", '<tool_call>{"name": "search", "arguments": {"query": {"a": 1}}}</tool_call>', "must be text"),
        ("qwen", "<tool_call>[]</tool_call>", "no call between"),
        ("qwen", "<tool_call>" + "[" * 50_000 + "</tool_call>", "cannot be read"),
        ("coder", "<tool_call><function=search>keeper</function></tool_call>", "without <parameter"),
        ("coder", "<tool_call><function=search><parameter=query>keep", "not closed"),
        ("oss", "<|channel|>commentary to=functions.search<|message|>[1]", "must be an object"),
        ("oss", "<|channel|>anal", "came to no end"),
        ("deepseek", "</think><｜DSML｜tool_calls>search</｜DSML｜tool_calls>", "a call must be"),
        ("mistral", "[TOOL_CALLS]search", "a call must be"),
        ("llama", '{"name": "search", "parameters": {"query": }}', "cannot be read"),
        ("gemma", "```tool_code\nsearch(where())\n```", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(name: str, reply: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(native(name), reply)


@pytest.mark.parametrize(
    ("name", "reply", "expected"),
    [
        ("coder", "<function=search>\n<parameter=query>\nkeeper\n</parameter>\n</function>", Search("keeper")),
        ("granite", '<|tool_call|>[{"name": "open", "arguments": {"id": 2}}]', Open(2)),
        ("oss", ' to=functions.find<|channel|>commentary json<|message|>{"pattern": "oil"}', Find("oil")),
        ("oss", '<|channel|>commentary to=browser.search code<|message|>{"query": "oil"}<|call|>', Search("oil")),
        ("oss", "Ada kept it.", Answer("Ada kept it.")),
        ("mistral", '[TOOL_CALLS] [{"name": "search", "arguments": {"query": "x"}, "id": "abcdefghi"}]', Search("x")),
        ("mistral named", '[TOOL_CALLS]search[CALL_ID]abc[ARGS]{"query": "x"}', Search("x")),
        ("deepseek old", '</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>find\n```json\n'
         '{"pattern": "x"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>', Find("x")),
        ("llama", '<|python_tag|>{"name": "search", "parameters": {"query": "x"}}', Search("x")),
        ("llama", '[search(query="x")]', Search("x")),
        ("llama", '{"type": "function", "function": "search", "parameters": {"query": "x"}}', Search("x")),
        ("gemma", '```json\n{"name": "search", "parameters": {"query": "x"}}\n```', Search("x")),
        ("gemma", '```tool_code\nsearch(query="x")\n```', Search("x")),
        ("gemma", "[1:L2] says that {it} was Ada.", Answer("[1:L2] says that {it} was Ada.")),
        ("qwen", '<tool_call>{"name": "open", "arguments": {"id": "3", "cursor": -1, "loc": 2.0}}', Open(3, None, 2)),
        ("qwen", "It was Ada.<tool_response>made up", Answer("It was Ada.")),
    ],
)  # fmt: skip
def test_other_ways_to_write_it_are_known(name: str, reply: str, expected: Action) -> None:
    assert read(native(name), reply).actions == (expected,)


def test_there_is_a_format_for_each_template_that_is_no_guess() -> None:
    assert BIG and len({format.name for format in FORMATS.values()}) == 7
