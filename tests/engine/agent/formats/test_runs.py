"""Whole runs of a scripted model that speaks a native format: the loop, the view and the reader together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from engine.agent.actions import Find, Open, Search
from engine.agent.loop import Controls, Run
from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.context.segments import View
from engine.context.transcript import Transcript
from engine.model.base import Sampling
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    AnswerDelta,
    AnswerReady,
    CallStarted,
    CitationChecked,
    Decided,
    Event,
    Observed,
    Policy,
    RunEnded,
    ThoughtDelta,
    TurnEnded,
    ViewBuilt,
)
from tests.engine.agent.formats.cases import BIG, native, written
from tests.engine.agent.formats.templates import ALL
from tests.engine.shelf import shelf

ANSWER = "The first keeper was Ada Quill [%d:L1]."

NAMES = [name for name in ALL if name != "thinks first"]

BEGINS = {"oss": ("<|channel|>analysis<|message|>%s<|end|><|start|>assistant", "<|channel|>final<|message|>"),
          "thinks": ("<think>\n%s\n</think>\n\n", ""), "keeps": ("<think>\n%s\n</think>\n\n", ""),
          "deepseek": ("%s</think>", ""), "deepseek old": ("%s</think>", ""),
          "mistral named": ("[THINK]%s[/THINK]", "")}  # fmt: skip
"""What stands before a call and before an answer in families that think."""


def run(
    name: str,
    replies: Sequence[str] | Callable[[View], str],
    *,
    max_turns: int = 12,
    window: int = 4,
    tokens: int = 400,
) -> tuple[list[Event], ScriptedModel]:
    template, _, format = ALL[name]
    model = ScriptedModel(replies, format=format, chat_template=template, parameters=BIG, context=16_384)
    browser = Browser(shelf(), PagePool(), count=model.count, viewport_tokens=200, results=5)
    made = Run(
        Transcript("Who was the first keeper?"),
        model=model,
        browser=browser,
        controls=Controls(policy=Policy(window)),
        max_turns=max_turns,
        sampling=Sampling(max_tokens=tokens),
    )
    return list(made.events()), model


def calls(name: str, *actions: Search | Open | Find, thought: str = "") -> str:
    before = BEGINS[name][0] % thought if thought and name in BEGINS else ""
    text = written(native(name), *actions).removeprefix("<|start|>assistant")
    return before + text


def answer(name: str, text: str, thought: str = "") -> str:
    before, begin = BEGINS.get(name, ("", ""))
    return (before % thought if thought and before else "") + (begin + text if thought or name == "oss" else text)


def of(kind: type, told: Sequence[Event]) -> list:
    return [event for event in told if isinstance(event, kind)]


def text(view: View) -> str:
    return "".join(message.text for message in view.messages)


@pytest.mark.parametrize("name", NAMES)
def test_search_open_and_an_answer_with_a_checked_citation(name: str) -> None:
    told, _ = run(
        name,
        [
            calls(name, Search("first keeper"), thought="Look it up."),
            calls(name, Open(0), thought="Read it."),
            answer(name, ANSWER % 1, thought="It is there."),
        ],
    )
    assert [event.observation.tool for event in of(Observed, told)] == ["search", "open"]
    assert [event.finish for event in of(TurnEnded, told)] == ["stop"] * 3
    assert of(CitationChecked, told)[0].citation.state == "verified"
    assert of(AnswerReady, told)[-1].text == ANSWER % 1
    assert isinstance(told[-1], RunEnded)
    assert told[-1].why == "answered"


@pytest.mark.parametrize("name", ["qwen", "coder", "deepseek", "mistral", "llama", "gemma"])
def test_calls_of_one_reply_all_run_and_are_one_turn(name: str) -> None:
    told, model = run(
        name,
        [
            calls(name, Search("first keeper"), thought="x"),
            calls(name, Open(0), Find("keeper"), Search("tower"), thought="x"),
            answer(name, ANSWER % 1, thought="x"),
        ],
        window=0,
    )
    assert [event.tool for event in of(CallStarted, told)] == ["search", "open", "find", "search"]
    seen = [event.observation for event in of(Observed, told)]
    assert {each.tool for each in seen} == {"search", "open", "find"}
    assert [each.call for each in seen] == ["1.1", "2.1", "2.2", "2.3"]
    assert len(of(TurnEnded, told)) == 3
    assert all(each.header in text(model.views[-1]) for each in seen)


@pytest.mark.parametrize("name", ["qwen", "coder", "oss", "deepseek", "mistral", "llama", "gemma"])
def test_a_malformed_call_is_told_to_the_model_which_then_does_better(name: str) -> None:
    broken = calls(name, Search("keeper"), thought="x").replace("query", "whatever", 1)
    told, model = run(
        name,
        [broken, broken, calls(name, Search("keeper"), thought="x"), answer(name, ANSWER % 0, thought="x")],
    )
    first, *_ = of(Observed, told)
    assert first.observation.error
    assert "has no argument whatever" in first.observation.header
    assert "has no argument whatever" in text(model.views[1]), "already at the second try"
    assert first.observation.header in text(model.views[2])
    assert of(Decided, told)[1].decisions[0].state == "kept"
    assert [event.tool for event in of(CallStarted, told)] == ["search"]


def test_one_bad_call_among_good_ones_is_told_and_the_good_ones_run() -> None:
    bad = '\n<tool_call>\n{"name": "fly", "arguments": {}}\n</tool_call>'
    told, model = run("qwen", [calls("qwen", Search("keeper")) + bad, calls("qwen", Open(0)), ANSWER % 1])
    good, complaint = (event.observation for event in of(Observed, told)[:2])
    assert (good.tool, good.error) == ("search", False)
    assert complaint.error
    assert "no tool fly" in text(model.views[1])


def test_thoughts_are_streamed_and_the_answer_too() -> None:
    told, _ = run(
        "thinks",
        [
            calls("thinks", Search("first keeper"), thought="Look it up."),
            calls("thinks", Open(0), thought="Read it."),
            answer("thinks", ANSWER % 1, thought="There."),
        ],
    )
    ends = of(TurnEnded, told)
    assert [event.thought for event in ends] == ["Look it up.", "Read it.", "There."]
    assert "".join(event.text for event in of(ThoughtDelta, told)).split() == [
        "Look",
        "it",
        "up.",
        "Read",
        "it.",
        "There.",
    ]
    assert "".join(event.text for event in of(AnswerDelta, told)).strip() == ANSWER % 1


@pytest.mark.parametrize(
    ("name", "kept"), [("thinks", False), ("keeps", True), ("oss", True), ("mistral named", False)]
)
def test_thoughts_are_read_again_only_where_the_template_keeps_them(name: str, kept: bool) -> None:
    told, model = run(
        name,
        [
            calls(name, Search("first keeper"), thought="Lanterns."),
            calls(name, Open(0), thought="Read it."),
            answer(name, ANSWER % 1, thought="There."),
        ],
    )
    assert ("Lanterns." in text(model.views[-1])) is kept
    thought = sum(segment.tokens for segment in of(ViewBuilt, told)[-1].segments if segment.kind == "thought")
    assert bool(thought) is kept


@pytest.mark.parametrize("name", ["thinks", "thinks first", "oss", "deepseek"])
def test_a_thought_that_is_cut_at_the_limit_is_no_answer(name: str) -> None:
    begin = {"thinks": "<think>", "oss": "<|channel|>analysis<|message|>"}.get(name, "")
    long = begin + "answer: it is Ada Quill, I am sure of it; " * 40
    told, model = run(name, [long, long, *[long] * 4], max_turns=2, tokens=60)
    assert of(TurnEnded, told)[0].finish == "length"
    assert of(Observed, told)[0].observation.error
    assert "cut off" in text(model.views[1])
    assert not any("Ada Quill" in event.text for event in of(AnswerReady, told))


def test_a_model_that_answers_before_it_has_looked_is_sent_to_look_once() -> None:
    told, model = run(
        "qwen", ["It was Bob.", calls("qwen", Search("first keeper")), calls("qwen", Open(0)), ANSWER % 1]
    )
    assert "You have read nothing yet" in text(model.views[1])
    assert of(AnswerReady, told)[-1].text == ANSWER % 1
    told, _ = run("qwen", ["It was Bob.", "It was Bob."])
    assert told[-1].why == "not_told"


def test_a_model_that_must_answer_and_does_not_is_answered_for_from_the_evidence() -> None:
    def reply(view: View) -> str:
        if "Number of the passage" in text(view):
            return "1"
        if "Answer the question in one short sentence" in text(view):
            return answer("thinks", "Ada Quill was the first keeper.", thought="Hm.")
        return calls("thinks", Search("first keeper") if len(view.messages) < 4 else Open(0), thought="More.")

    told, _ = run("thinks", reply, max_turns=3)
    ready = of(AnswerReady, told)
    assert ready
    assert "Hm." not in ready[-1].text


def test_the_same_call_again_is_not_run_again_but_those_beside_it_are() -> None:
    told, _ = run(
        "qwen",
        [
            calls("qwen", Search("keeper")),
            calls("qwen", Search("keeper"), Search("tower")),
            calls("qwen", Open(0)),
            ANSWER % 2,
        ],
    )
    assert [dict(event.arguments)["query"] for event in of(CallStarted, told) if event.tool == "search"] == [
        "keeper",
        "tower",
    ]
    assert any("made just now" in event.observation.header for event in of(Observed, told))


def test_tools_reach_the_model_and_never_change_during_a_run() -> None:
    _, model = run("qwen", [calls("qwen", Search("keeper")), calls("qwen", Open(0)), ANSWER % 1])
    assert all(view.tools == model.views[0].tools for view in model.views)
    assert [tool.name for tool in model.views[0].tools] == ["search", "open", "find"]


def test_what_a_page_says_in_marks_stays_what_a_page_says() -> None:
    """Even if the model repeats it: what runs is a call of the model's, and a page never reaches the reader."""
    told, model = run("qwen", [calls("qwen", Search("<tool_call>")), calls("qwen", Open(0)), ANSWER % 1])
    for view in model.views:
        for segment in view.segments():
            assert segment.kind == "template" or "<tool_call>" not in segment.text or segment.kind == "system"
    assert told[-1].why in ("answered", "not_told")
