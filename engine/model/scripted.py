"""A model that says what it was told to say. It makes the loop deterministic, in tests and in recorded demos."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from engine.context.segments import Message, View
from engine.errors import ContextOverflow, GenerationFailed
from engine.model.base import Finished, Part, Prefilled, Progress, Sampling, Text
from engine.model.kv import plan
from engine.protocol import ModelInfo, SegmentTokens

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")

TEMPLATE_TOKENS = 4
"""What a message costs beside its text."""


def _tokens(message: Message) -> Iterator[str]:
    """A message as tokens. Segments are split apart, as in a real model's prompt."""
    yield from [message.role] * TEMPLATE_TOKENS
    for segment in message.segments:
        yield from _TOKEN.findall(segment.text)


class ScriptedModel:
    """Replies from a list, or from a function of the view. Every word, sign and run of white space is a token.

    ``views`` are those it was shown. It ignores grammars: a script may well break the rules. ``delay`` is the
    pause before each token, in seconds.
    """

    def __init__(
        self,
        replies: Sequence[str] | Callable[[View], str],
        *,
        context: int = 8192,
        name: str = "scripted",
        parameters: int = 0,
        delay: float = 0.0,
    ) -> None:
        self.views: list[View] = []
        self._replies = replies
        self._info = ModelInfo(name, parameters=parameters, context=context, trained=context)
        self._held: list[int] = []
        self._delay = delay
        self._next = 0

    @property
    def info(self) -> ModelInfo:
        return self._info

    def count(self, text: str) -> int:
        return len(_TOKEN.findall(text))

    def measure(self, view: View) -> tuple[SegmentTokens, ...]:
        sizes = []
        for message in view.messages:
            sizes.append(SegmentTokens("template", TEMPLATE_TOKENS))
            sizes += [SegmentTokens(s.kind, self.count(s.text), s.observation) for s in message.segments]
        return tuple(sizes)

    def generate(
        self,
        view: View,
        *,
        sampling: Sampling,
        grammar: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        del grammar
        began = time.monotonic()
        tokens = sum(size.tokens for size in self.measure(view))
        if tokens + sampling.max_tokens > self._info.context:
            raise ContextOverflow(f"{tokens} + {sampling.max_tokens} tokens do not fit {self._info.context}")
        self.views.append(view)
        wanted = [hash(token) for message in view.messages for token in _tokens(message)]
        edit = plan(self._held, wanted)
        self._held = wanted
        yield Progress(0, edit.decode)
        yield Prefilled(edit.keep, edit.decode, edit.remove, time.monotonic() - began)
        began = time.monotonic()
        text, written = view.opening, 0
        for token in _TOKEN.findall(self._reply(view).removeprefix(view.opening)):
            if written == sampling.max_tokens or cancelled():
                break
            time.sleep(self._delay)
            text, written = text + token, written + 1
            yield Text(token)
        reason: Literal["aborted", "length", "stop"] = "length" if written == sampling.max_tokens else "stop"
        if cancelled():
            reason = "aborted"
        yield Finished(text, written, reason, time.monotonic() - began)

    def _reply(self, view: View) -> str:
        if callable(self._replies):
            return self._replies(view)
        if self._next >= len(self._replies):
            raise GenerationFailed("the script has no more replies")
        self._next += 1
        return self._replies[self._next - 1]

    def close(self) -> None:
        self._held = []
