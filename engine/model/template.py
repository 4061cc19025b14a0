"""A model's own chat template, filled so that no text in a message can pass for template.

The template is rendered with a sentinel where each segment goes and cut at the sentinels. What lies between is the
template's own text and may hold special tokens; the segments never meet the template and are tokenised without them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.clean import clean_line
from engine.context.segments import Message, Segment, Tool, View
from engine.errors import ModelError
from engine.protocol import Role

_SENTINEL = re.compile("\ue000(\\d+)\ue001")

_GAP = Segment("template", "\n\n")
"""Between messages that had to become one."""

_TRAINING = re.compile(r"(?<=\{%)([-+]?\s*)(end)?generation(?=\s*[-+]?%\})")
"""A tag around what a model was trained to write. It means nothing here, and Jinja does not know it."""

PLAIN = (
    "{% for message in messages %}{{ message.role }}:\n{{ message.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)
"""For models that come without a template."""


@dataclass(frozen=True)
class Piece:
    """A piece of the prompt: a segment, or (``segment`` is None) text of the template."""

    text: str
    segment: Segment | None = None


class ChatTemplate:
    """A Jinja chat template, sandboxed: a model file is outside text too.

    ``render`` fills the messages into the template of a server instead.
    """

    def __init__(
        self,
        source: str,
        *,
        bos: str = "",
        eos: str = "",
        render: Callable[[Sequence[dict[str, str]]], str] | None = None,
    ) -> None:
        from jinja2.exceptions import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # A template is a program: besides its own errors it may raise what any expression raises.
        self._errors = (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        )
        self._bos, self._eos, self._elsewhere = bos, eos, render
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _json  # Jinja's own is made for HTML and would hide the sentinels
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        try:
            self._template = environment.from_string(_TRAINING.sub(_always, source or PLAIN))
        except self._errors as error:
            raise ModelError(f"the model's chat template cannot be read: {clean_line(str(error))}") from error

    def pieces(self, view: View) -> tuple[Piece, ...]:
        """The prompt for a view, ending where the reply begins (``view.opening`` comes after it).

        Raises ModelError where the template refuses the messages or loses one.
        """
        *others, last = _ways(view.messages)
        for messages in others:
            with suppress(ModelError):
                return self._render(messages, view)
        return self._render(last, view)

    def text(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool] = ()) -> str:
        """The prompt as a string, for messages that are no outside text. Raises ModelError."""
        try:
            if self._elsewhere is not None:
                return self._elsewhere([dict(message) for message in messages])
            return self._template.render(
                messages=messages,
                add_generation_prompt=True,
                bos_token=self._bos,
                eos_token=self._eos,
                tools=[tool.schema() for tool in tools] or None,
            )
        except self._errors as error:
            raise ModelError(f"the model's chat template refuses the conversation: {clean_line(str(error))}") from error

    def _render(self, messages: Sequence[Message], view: View) -> tuple[Piece, ...]:
        segments: list[Segment] = []
        filled = []
        for message in messages:
            places = range(len(segments), len(segments) + len(message.segments))
            segments += message.segments
            filled.append({"role": message.role, "content": "".join(f"\ue000{place}\ue001" for place in places)})
        parts = _SENTINEL.split(self.text(filled, view.tools))
        if parts[1::2] != [str(place) for place in range(len(segments))]:
            raise ModelError("the model's chat template drops or repeats messages")
        pieces = [Piece(parts[0])] if parts[0] else []
        for place, wrapper in zip(parts[1::2], parts[2::2], strict=True):
            segment = segments[int(place)]
            pieces.append(Piece(segment.text, segment))
            if wrapper:
                pieces.append(Piece(wrapper))
        return tuple(pieces)


def _ways(messages: tuple[Message, ...]) -> list[tuple[Message, ...]]:
    """The messages, and other ways to put them where a template knows fewer roles.

    Many refuse a system role, pass it over or move it; many know nothing of tools.
    """
    ways = [messages]
    if len(messages) > 1 and messages[0].role == "system":
        system, first, *rest = messages
        ways.append((Message(first.role, (*system.segments, _GAP, *first.segments)), *rest))
    if any(message.role == "tool" for message in messages):
        ways += [_without_tools(way) for way in ways]
    return ways


def _without_tools(messages: Sequence[Message]) -> tuple[Message, ...]:
    """With what tools returned said by the user, in one message where there were several."""
    said: list[Message] = []
    for message in messages:
        role: Role = "user" if message.role == "tool" else message.role
        if said and said[-1].role == role == "user":
            said[-1] = Message(role, (*said[-1].segments, _GAP, *message.segments))
        else:
            said.append(Message(role, message.segments))
    return tuple(said)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> Any:
    from jinja2.exceptions import TemplateError

    raise TemplateError(message)


def _always(tag: re.Match[str]) -> str:
    return f"{tag[1]} endif" if tag[2] else f"{tag[1]} if true"


def _now(form: str) -> str:
    from datetime import datetime

    return datetime.now().astimezone().strftime(form)
