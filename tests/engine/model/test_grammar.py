from __future__ import annotations

import ast
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clean import clean
from engine.errors import ModelError
from engine.model import grammar
from engine.model.base import Finished, Sampling
from engine.model.llamacpp import LlamaCppModel
from tests.engine.model.views import ask, reply

texts = st.text(max_size=40).map(clean)
awkward = st.one_of(
    texts, st.sampled_from(['"', "\\", '\\"', "\\n", "\r\n\t", "👩‍🚀🪐", "é̂", '" | [^a] "', "# no", "a\n\nb"])
)
real = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""How often a real model is asked in one test."""

UNREADABLE = [
    "root ::= (",
    "root ::= root",
    "root ::= nowhere",
    'other ::= "a"',
    'root ::= "a\x00"',
    "\x00",
    " ",
    "nonsense",
    "\udcff ::= 1",
]


@given(awkward)
def test_a_literal_is_quoted_so_that_it_reads_back(text: str) -> None:
    quoted = grammar.literal(text)
    assert "\n" not in quoted
    assert "\r" not in quoted
    assert ast.literal_eval(quoted) == text  # Python's escapes and those of GBNF agree on all that are used


@given(st.lists(awkward, min_size=1, max_size=5))
def test_a_choice_holds_each_text_once(some: list[str]) -> None:
    choice = grammar.choice(some)
    inner = choice[2:-2] if len(some) > 1 else choice
    assert ast.literal_eval("[" + inner.replace('" | "', '", "') + "]") == [t.replace('" | "', '", "') for t in some]


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="something to choose from"):
        grammar.choice([])


@pytest.mark.model
@real
@given(text=awkward)
def test_a_literal_is_what_the_model_writes(model: LlamaCppModel, text: str) -> None:
    assert reply(model, ask("Say anything."), tokens=200, grammar=f"root ::= {grammar.literal(text)}") == text


@pytest.mark.model
@real
@given(some=st.lists(awkward, min_size=1, max_size=5, unique=True))
def test_a_choice_is_one_of_its_texts(model: LlamaCppModel, some: list[str]) -> None:
    assert reply(model, ask("Choose."), tokens=200, grammar=f"root ::= {grammar.choice(some)}") in some


@pytest.mark.model
@real
@given(shortest=st.integers(0, 6), more=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_a_json_string_is_one_of_the_length_asked_for(
    model: LlamaCppModel, shortest: int, more: int, seed: int
) -> None:
    form = f"root ::= {grammar.json_string(shortest, shortest + more)}"
    wild = Sampling(temperature=3.0, top_k=0, top_p=1.0, seed=seed, max_tokens=60)
    *_, end = model.generate(ask("Write noise."), sampling=wild, grammar=form)
    assert isinstance(end, Finished)
    text = json.loads(end.text)
    assert isinstance(text, str)
    assert shortest <= len(text) <= shortest + more
    assert "\n" not in end.text


@pytest.mark.model
def test_an_emoji_comes_out_whole(model: LlamaCppModel) -> None:
    rocket = "👩‍🚀 🪐"
    stream = list(model.generate(ask("Smile."), sampling=Sampling(), grammar=f"root ::= {grammar.literal(rocket)}"))
    written = [part.text for part in stream if hasattr(part, "text")]
    assert written[-1] == rocket
    assert "".join(written[:-1]) == rocket
    assert "\ufffd" not in rocket


@pytest.mark.model
@pytest.mark.parametrize("seed", range(4))
def test_an_action_always_parses(model: LlamaCppModel, seed: int) -> None:
    search = f"{grammar.literal(chr(34) + 'search' + chr(34) + ',' + chr(34) + 'query' + chr(34) + ':')} query"
    form = (
        "root ::= " + grammar.literal('{"do":') + f" ( {search} | open ) " + grammar.literal("}") + "\n"
        f"query ::= {grammar.json_string(2, 40)}\n"
        f"open ::= {grammar.literal(chr(34) + 'open' + chr(34) + ',' + chr(34) + 'id' + chr(34) + ':')} "
        f"{grammar.choice(['1', '12', '7'])}\n"
    )
    hot = Sampling(temperature=1.5, seed=seed, max_tokens=120)
    *_, end = model.generate(ask("What is the capital of France?"), sampling=hot, grammar=form)
    assert isinstance(end, Finished)
    assert end.reason == "stop"
    action = json.loads(end.text)
    assert action["do"] in ("search", "open")
    assert isinstance(action.get("query", ""), str)
    assert action.get("id", 1) in (1, 7, 12)


@pytest.mark.model
@pytest.mark.parametrize("bad", UNREADABLE)
def test_a_grammar_that_cannot_be_read_is_an_error_and_no_harm(model: LlamaCppModel, bad: str) -> None:
    before = reply(model, ask("Count to three."))
    with pytest.raises(ModelError, match="grammar cannot be read"):
        reply(model, ask("Count to three."), grammar=bad)
    assert reply(model, ask("Count to three.")) == before
