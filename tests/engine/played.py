"""Whole runs, played by a script over the shelf, with the user's hand in them: events as an engine records them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from engine.agent.loop import Controls, Run
from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.context.transcript import Transcript
from engine.errors import ContextOverflow
from engine.model.base import Sampling
from engine.model.edits import MODES, Mode
from engine.model.scripted import ScriptedModel
from engine.protocol import Event, Mark, Marked, Policy, PolicySet, RunEnded, RunStarted, TurnEnded, TurnStarted
from tests.engine.shelf import shelf
from tests.engine.story import stamped

QUESTION = "Who was the first keeper?"
Said = Policy | tuple[int, Mark]
"""What the user says between two turns."""


def act(do: str, **arguments: object) -> str:
    return json.dumps({"thought": f"I {do}.", "do": do, **arguments})


ANSWER = act("answer", text="The first keeper was Ada Quill [1:L1].")
STORY = (act("search", query="first keeper"), act("open", id=0), ANSWER)


def play(
    replies: Sequence[str],
    policy: Policy,
    said: Mapping[int, Sequence[Said]] = {},
    *,
    context: int = 8192,
    mode: Mode = "carry",
    session: str = "20260102-bcdf",
) -> tuple[Event, ...]:
    """A run whose model gives these replies. ``said``: by turn, what the user says when it has ended."""
    model = ScriptedModel(replies, context=context, mode=mode)
    browser = Browser(shelf(), PagePool(), count=model.count, viewport_tokens=200, results=5)
    controls = Controls(policy=policy)
    run = Run(
        Transcript(QUESTION),
        model=model,
        browser=browser,
        controls=controls,
        max_turns=len(replies),
        sampling=Sampling(max_tokens=64),
    )

    def events() -> Iterator[Event]:
        yield RunStarted(QUESTION, policy, "shelf", model.info, len(replies), run=1)
        turn = 0
        try:
            for event in run.events():
                turn = event.turn if isinstance(event, TurnStarted) else turn
                yield replace(event, run=1, turn=turn)
                for each in said.get(turn, ()) if isinstance(event, TurnEnded) else ():
                    if isinstance(each, Policy):
                        controls.policy = each
                        yield PolicySet(each, run=1, turn=turn)
                    else:
                        controls.marks[each[0]] = each[1]
                        yield Marked(*each, run=1, turn=turn)
        except ContextOverflow:
            yield RunEnded("failed", len(run.transcript.turns), 1.0, run=1, turn=turn)

    return stamped(tuple(events()), session)


WORDS = st.sampled_from(["keeper", "tower", "lamp", "bell", "boat", "oil", "moon"])
ACTIONS = st.one_of(
    WORDS.map(lambda word: act("search", query=word)),
    st.integers(0, 3).map(lambda id: act("open", id=id)),
    st.integers(0, 6).map(lambda cursor: act("open", cursor=cursor)),
    WORDS.map(lambda word: act("find", text=word)),
    st.just("this is no action"),
)
POLICIES = st.builds(
    Policy,
    window=st.integers(0, 5),
    stub=st.sampled_from(["header", "header", "paper"]),
    batch_turns=st.integers(0, 3),
    batch_tokens=st.sampled_from([0, 0, 60]),
)
SAID: st.SearchStrategy[Said] = POLICIES | st.tuples(
    st.integers(1, 12), st.sampled_from(["pin", "mask", "unmask", "none"])
)


class Story(tuple[Event, ...]):
    """Events that are named and not shown where a test is told of them: they hold whole pages."""

    def __repr__(self) -> str:
        kinds = " ".join(type(event).__name__ for event in self)
        return f"<{kinds[:2000]}>"


@st.composite
def played(draw: st.DrawFn, *, context: int = 8192, stub: str = "") -> tuple[Event, ...]:
    """Runs of up to ten turns under any policies and marks, with errors, repeated calls and replies that are none."""
    replies = [*draw(st.lists(ACTIONS, min_size=1, max_size=9)), ANSWER]
    replies = [reply for reply in replies for _ in range(2)]  # a reply that is refused is asked for twice
    said = draw(st.dictionaries(st.integers(1, 9), st.lists(SAID, max_size=2), max_size=4))
    return Story(play(replies, draw(POLICIES), said, context=context, mode=draw(st.sampled_from(MODES))))
