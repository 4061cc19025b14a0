from __future__ import annotations

import pytest

from engine.agent.formats import choose, for_model
from engine.agent.formats.guided import Guided
from engine.agent.formats.native import Native
from engine.agent.formats.traits import traits
from engine.errors import SettingsError
from engine.model.families import FORMATS
from engine.model.scripted import ScriptedModel
from engine.settings import load_settings
from tests.engine.agent.formats import templates
from tests.engine.agent.formats.cases import BIG, native
from tests.engine.agent.formats.templates import ALL


@pytest.mark.parametrize("name", ALL)
def test_a_family_is_told_by_its_template(name: str) -> None:
    template, architecture, expected = ALL[name]
    assert choose(template, architecture, BIG).name == expected


@pytest.mark.parametrize("name", ALL)
def test_a_very_small_model_is_guided_and_led_whatever_its_template(name: str) -> None:
    template, architecture, _ = ALL[name]
    format = choose(template, architecture, 135_000_000)
    assert isinstance(format, Guided)
    assert format.led


@pytest.mark.parametrize(
    ("template", "architecture"),
    [("", ""), ("", "llama"), (templates.PLAIN, "qwen2"), ("{{ broken", "llama"), ("<start_of_turn>", "gemma2")],
)
def test_everything_else_is_guided(template: str, architecture: str) -> None:
    format = choose(template, architecture, BIG)
    assert isinstance(format, Guided)
    assert not format.led


@pytest.mark.parametrize("name", FORMATS)
def test_any_format_can_be_asked_for(name: str) -> None:
    assert choose(templates.PLAIN, "llama", 135_000_000, wanted=name).name == name


def test_a_template_that_cannot_be_read_has_no_traits_and_does_no_harm() -> None:
    format = choose("<tool_call> {% if %}", "qwen2", BIG)
    assert isinstance(format, Native)
    assert not format.tools(web=False)
    assert "<tool_call>" in format.system(web=False, named=())


def test_a_setting_names_a_format_and_an_unknown_one_is_refused_with_those_there_are() -> None:
    assert load_settings({"format": "xml"}, env={}).format == "xml"
    with pytest.raises(SettingsError, match="format is 'json'") as caught:
        load_settings({"format": "json"}, env={})
    assert all(name in caught.value.hint for name in ("auto", *FORMATS))


@pytest.mark.parametrize(
    ("name", "offers", "thinks", "inside", "keeps"),
    [
        ("qwen", True, False, False, True),
        ("thinks", True, True, False, False),
        ("thinks first", True, True, True, False),
        ("keeps", True, True, False, True),
        ("granite", True, False, False, True),
        ("deepseek", False, True, True, True),
        ("llama", True, False, False, True),
        ("gemma", False, False, False, True),
    ],
)
def test_what_a_template_does_is_found_by_filling_it_in(
    name: str, offers: bool, thinks: bool, inside: bool, keeps: bool
) -> None:
    found = traits(ALL[name][0])
    assert (found.offers, found.thinks, found.inside, found.keeps) == (offers, thinks, inside, keeps)


def test_tools_are_told_of_once() -> None:
    by_template, by_words = native("qwen"), native("gemma")
    assert [tool.name for tool in by_template.tools(web=False)] == ["search", "open", "find"]
    assert '"name"' not in by_template.system(web=False, named=())
    assert by_words.tools(web=False) == ()
    assert by_words.system(web=False, named=()).count('"name": "find"') == 1


def test_the_web_is_offered_where_it_may_be_searched() -> None:
    format = native("qwen")
    search, *_ = format.tools(web=True)
    assert [each.name for each in search.parameters] == ["query", "source"]
    assert "strangers" in format.system(web=True, named=())
    assert "strangers" not in format.system(web=False, named=())


def test_a_model_that_thinks_gets_more_room_to_reply_but_never_most_of_the_context() -> None:
    guided = choose("", "", BIG)
    assert (guided.reply_tokens(2_048), guided.reply_tokens(65_536)) == (320, 320)
    assert native("qwen").reply_tokens(65_536) < native("thinks").reply_tokens(65_536)
    assert native("thinks").reply_tokens(8_192) == 2_048
    assert native("oss").reply_tokens(512) == 320


def test_a_loaded_model_says_its_format_and_brings_its_template() -> None:
    format = for_model(ScriptedModel([], format="tool_call", chat_template=templates.THINKS_FIRST, parameters=BIG))
    assert isinstance(format, Native)
    assert format.traits.inside
    assert for_model(ScriptedModel([])).name == "guided"
