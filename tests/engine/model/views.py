"""Short ways to write a view, and to read what a model makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engine.context.segments import Message, Segment, View
from engine.model.base import Finished, LanguageModel, Part, Prefilled, Sampling
from engine.protocol import Role, SegmentKind

PartT = TypeVar("PartT", bound=Part)


def message(role: Role, *texts: str, kind: SegmentKind = "body", observation: int = 0) -> Message:
    return Message(role, tuple(Segment(kind, text, observation) for text in texts))


def view(*messages: Message, opening: str = "") -> View:
    return View(messages, opening)


def ask(question: str, opening: str = "") -> View:
    return view(message("system", "You are terse."), message("user", question), opening=opening)


def parts(
    model: LanguageModel,
    what: View,
    *,
    tokens: int = 12,
    grammar: str = "",
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Part]:
    return list(model.generate(what, sampling=Sampling(max_tokens=tokens), grammar=grammar, cancelled=cancelled))


def only(kind: type[PartT], among: list[Part]) -> PartT:
    [found] = [part for part in among if isinstance(part, kind)]
    return found


def reply(model: LanguageModel, what: View, *, tokens: int = 12, grammar: str = "") -> str:
    return only(Finished, parts(model, what, tokens=tokens, grammar=grammar)).text


def prefilled(model: LanguageModel, what: View, *, tokens: int = 12) -> Prefilled:
    return only(Prefilled, parts(model, what, tokens=tokens))
