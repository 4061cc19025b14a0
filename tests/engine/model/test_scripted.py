from __future__ import annotations

from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.segments import View
from engine.errors import ContextOverflow, GenerationFailed
from engine.model.base import Finished, Sampling, Text
from engine.model.scripted import ScriptedModel
from tests.engine.model.views import ask, message, only, parts, prefilled, reply, view

texts = st.lists(st.text("ab .", max_size=6), min_size=1, max_size=4)


def total(model: ScriptedModel, what: View) -> int:
    return sum(size.tokens for size in model.measure(what))


def test_it_says_what_it_was_told_one_after_the_other() -> None:
    model = ScriptedModel(["one", "two"])
    assert [reply(model, ask("?")), reply(model, ask("?"))] == ["one", "two"]
    with pytest.raises(GenerationFailed, match="no more replies"):
        reply(model, ask("?"))


def test_it_may_reply_to_what_it_reads() -> None:
    model = ScriptedModel(lambda what: what.messages[-1].text.upper())
    assert reply(model, ask("why")) == "WHY"


def test_it_remembers_the_views_it_was_shown() -> None:
    model = ScriptedModel(lambda _: "yes")
    views = [ask("one"), ask("two")]
    for what in views:
        reply(model, what)
    assert model.views == views


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("one", 1), ("one two", 3), ("one  two.", 4), ("ä¬", 2)])
def test_words_signs_and_white_space_are_tokens(text: str, tokens: int) -> None:
    assert ScriptedModel([]).count(text) == tokens


@given(texts)
def test_what_is_measured_is_what_is_decoded(some: list[str]) -> None:
    model = ScriptedModel(lambda _: "yes")
    what = view(message("user", *some))
    cost = prefilled(model, what)
    assert (cost.reused, cost.decoded, cost.removed) == (0, total(model, what), 0)


def test_pieces_are_measured_with_their_observations() -> None:
    sizes = ScriptedModel([]).measure(view(message("user", "one two", kind="header", observation=3)))
    assert [(size.kind, size.tokens, size.observation) for size in sizes] == [("template", 4, 0), ("header", 3, 3)]


def test_an_appended_message_reuses_all_before_it() -> None:
    model = ScriptedModel(lambda _: "yes")
    first = ask("Who was she?")
    longer = view(*first.messages, message("assistant", "yes"))
    reply(model, first)
    cost = prefilled(model, longer)
    assert (cost.reused, cost.decoded, cost.removed) == (total(model, first), 4 + 1, 0)


def test_a_hidden_piece_is_paid_for_from_there_on() -> None:
    model = ScriptedModel(lambda _: "yes")
    full = view(message("user", "Result one.", " a long body"), message("user", "so"))
    reply(model, full)
    cost = prefilled(model, view(message("user", "Result one."), message("user", "so")))
    assert (cost.reused, cost.decoded, cost.removed) == (4 + 4, 4 + 1, 6 + 4 + 1)


def test_what_does_not_fit_is_refused_with_the_numbers() -> None:
    model = ScriptedModel(["never"], context=40)
    with pytest.raises(ContextOverflow, match=r"\d+ \+ 33 tokens do not fit 40"):
        parts(model, ask("?"), tokens=33)
    assert model.views == []


def test_a_long_reply_is_cut() -> None:
    end = only(Finished, parts(ScriptedModel(["one two three"]), ask("?"), tokens=3))
    assert (end.text, end.tokens, end.reason) == ("one two", 3, "length")


def test_a_reply_begins_with_the_opening_and_streams_the_rest() -> None:
    stream = parts(ScriptedModel(['{"do":"answer"}']), ask("?", opening='{"do":'))
    assert only(Finished, stream).text == '{"do":"answer"}'
    assert "".join(part.text for part in stream if isinstance(part, Text)) == '"answer"}'


def test_it_stops_when_told_to() -> None:
    stop = Event()
    stream = []
    for part in ScriptedModel(["one two three"]).generate(ask("?"), sampling=Sampling(), cancelled=stop.is_set):
        stream.append(part)
        if len([part for part in stream if isinstance(part, Text)]) == 2:
            stop.set()
    end = only(Finished, stream)
    assert (end.text, end.tokens, end.reason) == ("one ", 2, "aborted")
