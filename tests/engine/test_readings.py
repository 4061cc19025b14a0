"""What the journal says the model read is what it was given: a script's views, and a real model's own tokens."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine.context.segments import View
from engine.engine import Engine
from engine.errors import SessionError
from engine.model.base import Part, Sampling
from engine.model.catalogue import starter_model
from engine.model.llamacpp import LlamaCppModel
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    Ask,
    Continue,
    Decided,
    Event,
    Failed,
    Policy,
    PromptShown,
    RunEnded,
    SetMark,
    ShowPrompt,
    Stop,
    TurnEnded,
    ViewBuilt,
)
from engine.readings import Readings
from engine.sessions import Journal
from engine.sources.library import Library
from tests.engine import story
from tests.engine.running import PATIENCE, QUESTION, SEARCHES, STORY, Paced, Talk, act, settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Callable[[Sequence[str] | Callable[[View], str]], Talk]]:
    settings = settings_in(tmp_path)
    stock(settings, tmp_path / "notes")
    made: list[Talk] = []

    def make(replies: Sequence[str] | Callable[[View], str]) -> Talk:
        made.append(Talk(settings, replies))
        return made[-1]

    yield make
    for each in made:
        each.close()


def told(shown: PromptShown) -> list[tuple[str, str, int]]:
    return [
        (each.kind, each.text, each.observation)
        for each in shown.segments
        if each.kind != "template" and not each.masked
    ]


def given(view: View) -> list[tuple[str, str, int]]:
    return [(each.kind, each.text, each.observation) for each in view.segments()]


def shown(one: Talk, session: str, place: int) -> PromptShown:
    return one.ask(ShowPrompt(session, place=place), PromptShown)


# ── a script's views ─────────────────────────────────────────────────────────────────────────────


def test_every_reading_is_word_for_word_what_the_model_was_given(talk: Callable[..., Talk]) -> None:
    one = talk([*SEARCHES[:3], "no action", act("open", id=0), act("answer", text="It was Ada Quill [3:L1].")])
    ended = one.ask(Ask(QUESTION, policy=Policy(window=1)), RunEnded)
    assert ended.turns == 5
    views = one.model.views
    assert len(views) == 6, "one turn took two tries"
    for place, view in enumerate(views):
        reading = shown(one, ended.session, place)
        assert (reading.place, reading.count, reading.exact, reading.note) == (place, 6, True, "")
        assert told(reading) == given(view)
        sizes = [each.tokens for each in reading.segments if not each.masked]
        assert sizes == [each.tokens for each in one.model.measure(view)]
        assert sum(sizes) == reading.tokens
        whole = "".join(each.text for each in reading.segments if not each.masked)
        assert whole == "".join(piece.text for piece in one.model.pieces(view)), "template and all"
    attempts = [(each.turn, each.attempt) for each in (shown(one, ended.session, place) for place in range(6))]
    assert attempts == [(1, 1), (2, 1), (3, 1), (4, 1), (4, 2), (5, 1)]


def test_a_masked_body_is_told_by_its_size_alone_behind_its_header(talk: Callable[..., Talk]) -> None:
    one = talk([*SEARCHES[:2], act("answer", text="So.")])
    ended = one.ask(Ask(QUESTION, policy=Policy(window=1)), RunEnded)
    last = one.ask(ShowPrompt(ended.session), PromptShown)
    assert (last.run, last.turn) == (1, 3)
    hollow = [place for place, each in enumerate(last.segments) if each.masked]
    assert [(last.segments[place].observation, last.segments[place].text) for place in hollow] == [(1, "")]
    before = last.segments[hollow[0] - 1]
    assert (before.kind, before.observation, before.turn) == ("header", 1, 1)
    first = one.ask(ShowPrompt(ended.session, for_turn=2), PromptShown)
    body = next(each for each in first.segments if each.kind == "body")
    assert body.tokens == last.segments[hollow[0]].tokens


def test_a_place_beyond_the_ends_is_the_nearest_and_a_turn_that_is_not_there_is_said(talk: Callable[..., Talk]) -> None:
    one = talk(STORY)
    ended = one.ask(Ask(QUESTION), RunEnded)
    assert shown(one, ended.session, 99).place == 2
    assert shown(one, ended.session, 0).turn == 1
    failed = one.ask(ShowPrompt(ended.session, for_turn=9), Failed)
    assert failed.message == "The model has read nothing in turn 9 yet."
    with pytest.raises(SessionError, match="Nothing was read yet"):
        Readings().shown(0)


def test_readings_grow_while_a_run_goes_on_and_over_a_stop(talk: Callable[..., Talk]) -> None:
    model = Paced([*SEARCHES[:2], SEARCHES[2], act("open", id=0), act("answer", text="Oil [3:L1].")])
    one = talk(model)
    one.send(Ask(QUESTION, policy=Policy(window=1)))
    model.go(2)
    session = one.until(TurnEnded, 2).session
    model.reached(3)
    assert one.ask(ShowPrompt(session), PromptShown).turn == 3, "what the model is reading now"
    one.send(SetMark(1, "unmask"))
    one.send(Stop())
    model.go()
    one.until(RunEnded)
    model.go(3)
    one.ask(Continue(session), RunEnded)
    views = one.model.views
    for place, view in enumerate(views):
        assert told(shown(one, session, place)) == given(view)
    decided = [each for each in one.of(Decided) if each.turn == 3]
    assert [each.decisions[0].state for each in decided] == ["masked", "live"]


def test_a_second_try_that_needs_more_room_tells_what_it_masked(tmp_path: Path) -> None:
    """The note to the model takes room as well: what goes for it is decided, told, and put together again."""
    settings = settings_in(tmp_path)
    stock(settings, tmp_path / "notes")
    replies = [*SEARCHES[:3], "no action", act("answer", text="So.")]
    plain = Talk(settings, replies)
    plain.ask(Ask(QUESTION, policy=Policy(window=0)), RunEnded)
    third = [event for event in plain.of(ViewBuilt) if event.purpose == "turn"][3]
    plain.close()
    tight = Talk(settings, replies)
    tight.model._info = type(tight.model.info)("scripted", context=third.tokens + third.reserved + 1, cache="carry")
    ended = tight.ask(Ask(QUESTION, policy=Policy(window=0)), RunEnded)
    told_twice = [event for event in tight.of(Decided) if event.turn == 4]
    assert len(told_twice) == 2
    assert told_twice[1].decisions[0].reason == "no room: oldest first"
    for place, view in enumerate(tight.model.views):
        assert told(shown(tight, ended.session, place)) == given(view)
    tight.close()


def test_a_model_with_a_format_of_its_own_is_told_as_it_reads(tmp_path: Path) -> None:
    """Its calls are written anew, marks and all, and marks in what it reads are taken apart."""
    settings = settings_in(tmp_path)
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# Keeper\n\nThe keeper wrote <tool_call> on the wall.\n")
    library = Library(settings.libraries_dir, embedder=HashEmbedder())
    library.index([folder])
    library.close()

    def call(name: str, **arguments: object) -> str:
        return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"

    replies = [call("search", query="keeper"), call("open", id=0), "It was written on the wall [1:L3]."]
    one = Talk(settings, replies)
    one.model = ScriptedModel(replies, format="tool_call")
    ended = one.ask(Ask(QUESTION, policy=Policy(window=1)), RunEnded)
    assert one.of(Failed) == []
    assert len(one.model.views) >= 3
    for place, view in enumerate(one.model.views):
        reading = shown(one, ended.session, place)
        assert reading.exact
        whole = "".join(each.text for each in reading.segments if not each.masked)
        assert whole == "".join(piece.text for piece in one.model.pieces(view))
    assert "<\u200btool_call> on the wall" in whole
    assert {each.turn for each in reading.segments if each.kind == "call"} == {1, 2}
    one.close()


def test_what_an_older_journal_does_not_tell_is_said() -> None:
    readings = Readings()
    readings.hear(story.WHOLE)
    old = readings.shown(0)
    assert not old.exact
    assert old.note == "This session was recorded without the texts of its prompts."


# ── a real model's tokens ────────────────────────────────────────────────────────────────────────


class Recording(LlamaCppModel):
    """Keeps the very text of the tokens that it reads."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, context=2048, threads=1)
        self.read_texts: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def generate(
        self,
        view: View,
        *,
        sampling: Sampling,
        grammar: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        tokens = [token for span in self.spans(view) for token in span.tokens]
        self.read_texts.append(b"".join(self._bytes(token) for token in tokens).decode())
        self.meanwhile()
        yield from super().generate(view, sampling=sampling, grammar=grammar, cancelled=cancelled)

    def _bytes(self, token: int) -> bytes:
        text = self.weights.text(token)
        return text or bytes(self.weights.lib.llama_vocab_get_text(self.weights.vocab, token))


@pytest.mark.model
def test_a_real_models_prompt_is_told_to_the_byte(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, threads=1)
    stock(settings, tmp_path / "notes")
    path = starter_model()
    assert path is not None
    model = Recording(path)
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine = Engine(settings, heard.put, load_model=lambda _: model, embedder=HashEmbedder())
    model.meanwhile = lambda: engine.handle(SetMark(1, "mask"))  # what it is about to find
    try:
        engine.handle(Ask(QUESTION, policy=Policy(window=1), max_turns=4))
        while not isinstance(event := heard.get(timeout=PATIENCE * 12), RunEnded):
            assert not isinstance(event, Failed), event
        journal = Journal(settings.journal)
        readings = Readings()
        readings.hear(journal.events(event.session))
        journal.close()
    finally:
        engine.close()
    told = [readings.shown(place) for place in range(len(model.read_texts))]
    assert {each.purpose for each in told} == {"turn", "evidence"}, "a led model answers from a narrow view"
    assert any(segment.masked for each in told for segment in each.segments)
    assert all(each.exact and each.count == len(told) for each in told)
    for reading, text in zip(told, model.read_texts, strict=True):
        assert "".join(each.text for each in reading.segments if not each.masked) == text
