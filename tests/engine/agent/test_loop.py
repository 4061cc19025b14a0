from __future__ import annotations

import json
from collections.abc import Sequence

from engine.agent.loop import Controls, Run
from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.context.transcript import Transcript
from engine.model.base import Sampling
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    AnswerReady,
    CitationChecked,
    Decided,
    Event,
    Observed,
    Policy,
    RunEnded,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)
from tests.engine.shelf import shelf


def act(do: str, **arguments: object) -> str:
    return json.dumps({"thought": f"I {do}.", "do": do, **arguments})


SEARCHES = [act("search", query=word) for word in ("lamp", "tower", "keeper", "bell", "boat", "oil")]


def make(
    replies: Sequence[str], *, window: int = 4, max_turns: int = 12, context: int = 8192
) -> tuple[Run, ScriptedModel]:
    model = ScriptedModel(replies, context=context)
    browser = Browser(shelf(), PagePool(), count=model.count, viewport_tokens=200, results=5)
    run = Run(
        Transcript("Who was the first keeper?"),
        model=model,
        browser=browser,
        controls=Controls(policy=Policy(window)),
        max_turns=max_turns,
        sampling=Sampling(max_tokens=64),
    )
    return run, model


def events(replies: Sequence[str], **options: int) -> list[Event]:
    return list(make(replies, **options)[0].events())


def of(kind: type, told: Sequence[Event]) -> list:
    return [event for event in told if isinstance(event, kind)]


def test_search_open_answer_with_a_checked_citation() -> None:
    told = events(
        [
            act("search", query="first keeper"),
            act("open", id=0),
            act("answer", text="The first keeper was Ada Quill [1:L1]."),
        ]
    )
    assert [event.observation.tool for event in of(Observed, told)] == ["search", "open"]
    assert of(CitationChecked, told)[0].citation.state == "verified"
    assert of(CitationChecked, told)[0].citation.uri == "/shelf/keeper.txt"
    assert of(AnswerReady, told)[-1].told
    assert told[-1] == RunEnded("answered", 3, told[-1].seconds)


def test_an_answer_that_nothing_supports_is_shown_as_such() -> None:
    told = events(
        [act("search", query="keeper"), act("open", id=0), act("answer", text="The moon is made of cheese [1:L1].")]
    )
    ready = of(AnswerReady, told)[-1]
    assert not ready.told
    assert "documents do not tell" in ready.text.lower()
    assert "cheese" in ready.text, "what the model claimed is shown, marked, never hidden"
    assert told[-1].why == "not_told"


def test_the_window_masks_from_the_fifth_effective_turn_on() -> None:
    told = events([*SEARCHES, act("answer", text="Ada Quill [2:L1].")])
    states = [[decision.state for decision in event.decisions] for event in of(Decided, told)]
    assert states[4] == ["live"] * 4
    assert states[5] == ["masked"] + ["live"] * 4
    assert states[6] == ["masked"] * 2 + ["live"] * 4


def test_the_model_reads_the_header_of_a_masked_observation_and_not_its_body() -> None:
    run, model = make([*SEARCHES, act("answer", text="x")])
    told = list(run.events())
    first = of(Observed, told)[0].observation
    final = "".join(message.text for message in model.views[6].messages)
    assert first.header in final and first.body not in final
    assert first.body in "".join(message.text for message in model.views[3].messages)


def test_a_pin_takes_effect_at_the_next_turn() -> None:
    run, _ = make([*SEARCHES, act("answer", text="x")])
    told = []
    for event in run.events():
        told.append(event)
        if isinstance(event, TurnEnded) and len(of(TurnEnded, told)) == 2:
            run.controls.marks[1] = "pin"
    assert all(event.decisions[0].state == "pinned" for event in of(Decided, told)[2:])


def test_a_reply_that_is_no_action_gets_one_more_try_then_is_told_to_the_model() -> None:
    run, model = make(
        ["Hmm.", "Well.", act("search", query="keeper"), act("open", id=0), act("answer", text="Ada Quill [1:L1]")]
    )
    told = list(run.events())
    assert of(Observed, told)[0].observation.error
    assert "not one JSON object" in "".join(message.text for message in model.views[1].messages)
    assert len(of(TurnEnded, told)) == 4
    assert of(Decided, told)[1].decisions[0].state == "kept"


def test_an_identical_call_twice_in_a_row_is_refused() -> None:
    again = act("search", query="keeper")
    told = events([again, again, again, act("search", query="bell"), act("answer", text="x")])
    tools = [event.observation for event in of(Observed, told)]
    assert [observation.error for observation in tools] == [False, True, False]


def test_the_budget_forces_an_answer() -> None:
    run, _ = make([*SEARCHES, act("answer", text="x")], max_turns=3)
    told = list(run.events())
    assert [event.must_answer for event in of(TurnStarted, told)] == [False, False, True]


def test_answer_now_forces_the_next_turn() -> None:
    run, _ = make([SEARCHES[0], act("answer", text="x")])
    told = []
    for event in run.events():
        told.append(event)
        if isinstance(event, Observed):
            run.controls.answer_now.set()
    assert of(TurnStarted, told)[-1].must_answer


def test_stop_keeps_finished_turns() -> None:
    run, _ = make([*SEARCHES, act("answer", text="x")])
    told = []
    for event in run.events():
        told.append(event)
        if len(of(TurnEnded, told)) == 2:
            run.controls.stop.set()
    assert told[-1].why == "stopped" and told[-1].turns == 2


def test_what_does_not_fit_is_masked_oldest_first() -> None:
    roomy = max(event.tokens for event in of(ViewBuilt, events([*SEARCHES, act("answer", text="x")], window=0)))
    told = events([*SEARCHES, act("answer", text="x")], window=0, context=roomy + 64 - 20)
    last = of(Decided, told)[-1].decisions
    assert last[0].state == "masked" and "room" in last[0].reason
    assert last[-1].state == "live"
    assert all(event.tokens + event.reserved <= event.limit for event in of(ViewBuilt, told))
