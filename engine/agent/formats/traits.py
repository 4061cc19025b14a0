"""What a chat template does with tools and thoughts, found out by filling it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.agent.formats import tools
from engine.errors import ModelError
from engine.model.template import ChatTemplate

_THOUGHT = "what was thought before"
_CALL = "what was called"
_RESULT = "what came of it"
_ASKED: list[dict[str, str]] = [{"role": "user", "content": "a question"}]


@dataclass(frozen=True)
class Traits:
    """``source`` is the template. ``offers``: it tells the model of tools. ``results``: it has a role for what tools
    return. ``thinks``: it knows thoughts; ``inside``: it begins one for the reply; ``keeps``: it shows those of
    earlier turns again, while the last question is the same.
    """

    source: str = ""
    offers: bool = False
    results: bool = False
    thinks: bool = False
    inside: bool = False
    keeps: bool = False


@lru_cache(maxsize=16)
def traits(source: str) -> Traits:
    """The traits of a template. One that cannot be read has none."""
    if not source:
        return Traits()
    try:
        template = ChatTemplate(source)
    except ModelError:
        return Traits(source)
    offers = "Lists passages" in _filled(template, [{"role": "system", "content": "s"}, *_ASKED], offered=True)
    prompt = _filled(template, _ASKED).rstrip()
    thought = {"role": "assistant", "content": f"<think>\n{_THOUGHT}\n</think>\n\n{_CALL}"}
    told = _filled(template, [*_ASKED, thought, {"role": "user", "content": _wrapped(_RESULT)}])
    return Traits(
        source,
        offers=offers,
        results=_RESULT in _filled(template, [*_ASKED, {"role": "assistant", "content": _CALL}, _result()]),
        thinks="think>" in source or "[THINK]" in source,
        inside=prompt.endswith(("<think>", "[THINK]")),
        keeps=_THOUGHT in told,
    )


def _result() -> dict[str, str]:
    return {"role": "tool", "name": "search", "tool_call_id": "callnr001", "content": _RESULT}


def _wrapped(text: str) -> str:
    return f"<tool_response>\n{text}\n</tool_response>"


def _filled(template: ChatTemplate, messages: Sequence[Mapping[str, Any]], *, offered: bool = False) -> str:
    """The prompt; empty where the template refuses the messages."""
    try:
        return template.text(messages, tools.offered(web=False) if offered else ())
    except ModelError:
        return ""
