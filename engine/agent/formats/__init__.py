"""How each family of models is spoken to, and which family a model is of."""

from __future__ import annotations

from engine.agent.formats.base import Format
from engine.agent.formats.dsml import Dsml
from engine.agent.formats.gemma import Gemma
from engine.agent.formats.guided import Guided
from engine.agent.formats.harmony import Harmony
from engine.agent.formats.llama3 import Llama3
from engine.agent.formats.mistral import Mistral
from engine.agent.formats.native import Native
from engine.agent.formats.tool_call import ToolCall
from engine.agent.formats.traits import traits
from engine.agent.formats.xml import Xml
from engine.model.base import LanguageModel, Templated
from engine.model.families import GUIDED, LED_BELOW, family

NATIVE: dict[str, type[Native]] = {each.name: each for each in (ToolCall, Xml, Harmony, Dsml, Mistral, Llama3, Gemma)}
"""The formats of models that were trained to call tools, by name."""


def choose(template: str, architecture: str, parameters: int, *, wanted: str = "auto") -> Format:
    """The format for a model, from its chat template's source, its architecture and its number of parameters (0 where
    it is not known). ``wanted`` names another.
    """
    return _make(family(template, architecture, parameters, wanted=wanted), template, parameters)


def for_model(model: LanguageModel) -> Format:
    """The format that a loaded model says it is spoken to in."""
    return _make(model.info.format, model.chat_template if isinstance(model, Templated) else "", model.info.parameters)


def _make(name: str, template: str, parameters: int) -> Format:
    native = NATIVE.get(name)
    if native is None:
        return Guided(led=0 < parameters < LED_BELOW)
    return native(traits(template))


__all__ = ["GUIDED", "NATIVE", "Format", "choose", "for_model"]
