"""Tries a model out as a question would use it: load it, have it write one call, take something out of its cache."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.context.segments import Message, Segment, View
from engine.model import grammar as gbnf
from engine.model.base import Finished, Prefilled, Sampling
from engine.model.llamacpp import LlamaCppModel
from engine.model.loading import load_file
from engine.model.memory import size
from engine.protocol import ModelInfo
from engine.settings import Settings

_BEFORE, _AFTER = gbnf.literal('{"do":"search","query":'), gbnf.literal("}")
_GRAMMAR = f"root ::= {_BEFORE} {gbnf.json_string(2, 40)} {_AFTER}\n"

_PAGES = (
    "The lighthouse was built by hand from granite that barges brought over, and its lamp was lit with whale oil. ",
    "The ferry leaves at six and at noon, in winter only at noon, and the crossing takes an hour past the reef. ",
    "The keeper rents three rooms, cooks what was caught that day, and writes the weather down every four hours. ",
)


@dataclass(frozen=True)
class Trial:
    """What was seen. ``call`` is the call it wrote, ``sound`` whether that is one. Tokens a second for ``reads`` and
    ``writes``. After a mask ``kept`` tokens of its cache stayed and ``again`` were read. Bytes: ``taken`` by loading it
    and reading a page, where that can be told.
    """

    model: ModelInfo
    load_seconds: float
    call: str
    sound: bool
    reads: float
    writes: float
    kept: int
    again: int
    removed: int
    taken: int

    @property
    def lines(self) -> Iterator[str]:
        """The same for a person."""
        info = self.model
        note = f" ({info.note})" if info.note else ""
        yield f"loaded in {self.load_seconds:.1f} s, with {info.context:,} tokens of context{note}"
        yield f"memory: about {size(info.memory)} when the context is full, {size(self.taken)} taken so far"
        if info.gpu:
            yield f"computed on: {info.gpu}"
        yield f"a call it was held to: {self.call if self.sound else f'not well-formed: {self.call!r}'}"
        yield f"reads {self.reads:,.0f} tokens a second, writes {self.writes:,.1f}"
        yield f"after a mask: {self.removed:,} tokens taken out, {self.kept:,} kept, {self.again:,} read again"


def try_out(settings: Settings) -> Trial:
    """Try the model of the settings. Raises ModelError."""
    before, began = _resident(), time.monotonic()
    model = load_file(settings)
    try:
        return _tried(model, time.monotonic() - began, before)
    finally:
        model.close()


def _tried(model: LlamaCppModel, load_seconds: float, before: int) -> Trial:
    first, written = _reply(model, _view(set()))
    try:
        told: Any = json.loads(written.text)
        sound = isinstance(told, dict) and told.get("do") == "search" and isinstance(told.get("query"), str)
    except ValueError:
        sound = False
    model.read(_view(set(), written.text))
    taken = max(0, _resident() - before)
    edited = model.read(_view({1}, written.text))
    return Trial(
        model.info,
        load_seconds,
        written.text,
        sound,
        first.decoded / max(first.seconds, 1e-6),
        written.tokens / max(written.seconds, 1e-6),
        edited.reused,
        edited.decoded,
        edited.removed,
        taken,
    )


def _reply(model: LlamaCppModel, view: View) -> tuple[Prefilled, Finished]:
    parts = list(model.generate(view, sampling=Sampling(max_tokens=64), grammar=_GRAMMAR))
    return next(part for part in parts if isinstance(part, Prefilled)), next(
        part for part in parts if isinstance(part, Finished)
    )


def _view(hidden: set[int], *said: str) -> View:
    """A short run with three pages, of which some are masked."""
    messages = [
        Message("system", (Segment("system", "You search documents. Reply with one JSON object."),)),
        Message("user", (Segment("question", "Who keeps the light, and where could one stay the night?"),)),
    ]
    for number, text in enumerate(_PAGES, 1):
        body = () if number in hidden else (Segment("body", text * 3 + "\n", number),)
        messages.append(Message("assistant", (Segment("call", '{"do":"open","id":%d}' % number),)))  # noqa: UP031
        messages.append(Message("user", (Segment("header", f"[{number}] Page {number}\n", number), *body)))
    for reply in said:
        messages.append(Message("assistant", (Segment("call", reply),)))
        messages.append(Message("user", (Segment("note", "Nothing was found."),)))
    return View(tuple(messages))


def _resident() -> int:
    """Bytes of memory that this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)
