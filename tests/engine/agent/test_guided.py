from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent.actions import Answer, Find, Malformed, Open, Search
from engine.agent.formats import choose
from engine.agent.formats.guided import Guided
from engine.agent.moves import Moves
from engine.clean import clean


def test_small_models_are_led_and_unknown_sizes_are_not() -> None:
    assert choose("", "llama", 135_000_000).led
    assert not choose("", "llama", 8_000_000_000).led
    assert not choose("", "", 0).led


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('{"do":"search","query":"1984"}', Search("1984")),
        ('{"do":"search","query":1984}', Search("1984")),
        ('{"do":"open","id":2}', Open(2)),
        ('{"do":"open","cursor":3,"line":40}', Open(None, 3, 40)),
        ('{"do":"open","id":"2"}', Open(2)),
        ('{"do":"find","text":"oil"}', Find("oil")),
        ('{"thought":"done","do":"answer","text":"Ada [1:L1]"}', Answer("Ada [1:L1]")),
    ],
)
def test_reads_each_action(text: str, action: object) -> None:
    assert Guided(led=False).read(text).actions == (action,)


@pytest.mark.parametrize(
    "text", ["", "search(x)", "[1]", '{"do":"fly"}', '{"do":"search"}', '{"do":"open","id":"x"}', '{"do":"sea']
)
def test_says_what_is_wrong(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        Guided(led=False).read(text)
    assert str(caught.value)


@given(st.text(max_size=60).map(clean))
def test_the_thought_shows_as_it_is_written(thought: str) -> None:
    whole = json.dumps({"thought": thought, "do": "answer", "text": "x"})
    shown = [Guided(led=False).thought(whole[:end]) for end in range(len(whole) + 1)]
    assert shown[-1] == thought
    assert all(thought.startswith(part) for part in shown)


def test_escapes_cannot_bring_control_characters_back() -> None:
    read = Guided(led=False).read
    assert read('{"do":"search","query":"\\u001b]52;c;x"}').actions == (Search("␛]52;c;x"),)
    answer = read('{"thought":"\\u009b1m","do":"answer","text":"\\ud800 \\u202e"}')
    assert (answer.thought, answer.actions) == ("\ufffd1m", (Answer("\ufffd \ufffd"),))


def test_a_grammar_names_only_what_is_allowed() -> None:
    grammar = Guided(led=True).grammar(Moves(links=(0, 3), answer=True))
    assert "open" in grammar and "answer" in grammar and "search" not in grammar and "find" not in grammar
    assert '"3"' in grammar and '"1"' not in grammar
