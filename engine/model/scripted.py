"""A model that says what it was told to say. It makes the loop deterministic, in tests and in recorded demos."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

from engine.context.segments import View
from engine.errors import ContextOverflow, GenerationFailed
from engine.model.base import Finished, Part, Piece, Prefilled, Price, Progress, Sampling, Text
from engine.model.edits import Held, Mode, Plan, Span, plan
from engine.model.families import GUIDED
from engine.protocol import ModelInfo, SegmentTokens

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")

TEMPLATE_TOKENS = 4
"""What a message costs beside its text."""


def _spans(view: View) -> list[Span]:
    """A view as a cache would follow it. Segments are split apart, as in a real model's prompt."""
    spans = []
    for message in view.messages:
        spans.append(Span((hash(message.role),) * TEMPLATE_TOKENS))
        for segment in message.segments:
            tokens = tuple(map(hash, _TOKEN.findall(segment.text)))
            body = segment.observation if segment.kind == "body" else 0
            spans.append(Span(tokens, body, message.role == "assistant"))
    return [span for span in spans if span.tokens]


class ScriptedModel:
    """Replies from a list, or from a function of the view. Every word, sign and run of white space is a token.

    ``views`` are those it was shown. It ignores grammars: a script may well break the rules. ``delay`` is the
    pause before each token, in seconds. ``mode`` is how it says its cache follows a view, ``format`` and
    ``chat_template`` how it says it is spoken to.
    """

    def __init__(
        self,
        replies: Sequence[str] | Callable[[View], str],
        *,
        context: int = 8192,
        name: str = "scripted",
        parameters: int = 0,
        delay: float = 0.0,
        mode: Mode = "carry",
        format: str = GUIDED,
        chat_template: str = "",
    ) -> None:
        self.views: list[View] = []
        self._replies = replies
        self.chat_template = chat_template
        self._info = ModelInfo(name, format=format, parameters=parameters, context=context, trained=context, cache=mode)
        self._mode = mode
        self._held: list[Held] = []
        self._delay = delay
        self._next = 0

    @property
    def info(self) -> ModelInfo:
        return self._info

    def count(self, text: str) -> int:
        return len(_TOKEN.findall(text))

    def measure(self, view: View) -> tuple[SegmentTokens, ...]:
        return tuple(SegmentTokens(piece.kind, piece.tokens, piece.observation) for piece in self.pieces(view))

    def pieces(self, view: View) -> tuple[Piece, ...]:
        told = []
        for message in view.messages:
            told.append(Piece("template", TEMPLATE_TOKENS, 0, f"<|{message.role}|>\n"))
            told += [Piece(s.kind, self.count(s.text), s.observation, s.text) for s in message.segments]
        return tuple(told)

    def price(self, view: View) -> Price:
        edit = self._plan(_spans(view))
        return Price(edit.kept, edit.decoded, edit.removed + edit.drop)

    def _plan(self, wanted: Sequence[Span]) -> Plan:
        return plan(self._held, wanted, self._mode)

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
        wanted = _spans(view)
        edit = self._plan(wanted)
        ends = accumulate(len(span.tokens) for span in wanted)
        self._held = [Held(span, end - len(span.tokens)) for span, end in zip(wanted, ends, strict=True)]
        yield Progress(0, edit.decoded)
        gone = edit.removed + edit.drop
        yield Prefilled(edit.kept, edit.decoded, gone, time.monotonic() - began, self._mode, edit.redone)
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
