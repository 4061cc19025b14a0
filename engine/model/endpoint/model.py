"""A model at a server: llama-server, vLLM, Ollama, LM Studio, or anything else that speaks OpenAI's API.

The server owns the cache. It keeps what the prompts of two turns begin with alike, so a mask in the middle means that the
rest is read again there, as in the mode *strict* here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Literal

from engine.context.segments import View
from engine.errors import ContextOverflow, EndpointError, ModelMissing
from engine.model.base import Finished, Part, Prefilled, Price, Progress, Sampling, Text
from engine.model.endpoint import forms
from engine.model.endpoint.dialects import Prompt, Said, dialect
from engine.model.endpoint.probe import Offer, probe
from engine.model.endpoint.wire import BrokenOff, Patience, Record, Wire
from engine.protocol import ModelInfo, SegmentTokens
from engine.settings import Settings

MODE: Final = "server"
"""What is said of the cache: it is the server's."""

_SLACK = 64
"""Lines of a reply beyond one a token that are listened to: a server that never ends is left."""

_HELD: dict[str, str] = {
    "gbnf": "",
    "structured": "",
    "schema": "",
    "json": "Replies are held to JSON, but not to its form: some may have to be asked for twice.",
    "none": "Replies cannot be held to a form here: some may have to be asked for twice.",
}


def connect(settings: Settings, record: Record | None = None, *, patience: Patience | None = None) -> EndpointModel:
    """The model at the endpoint of the settings. ``record`` is told of each request that leaves this machine.

    Raises EndpointError or ModelMissing.
    """
    address = settings.server
    if address is None:
        raise ModelMissing("no endpoint is set", "Give one with --endpoint.")
    wire = Wire(address, record=record, patience=patience)
    try:
        return EndpointModel(wire, model=settings.endpoint_model, context=settings.context)
    except BaseException:
        wire.close()
        raise


class EndpointModel:
    """A model at a server. Implements :class:`engine.model.base.LanguageModel`.

    The server is asked what it offers when this is made, and again after the connection to it was lost: it may have come
    back with another model. ``context``: the tokens to use where the server leaves that to who asks.
    """

    def __init__(self, wire: Wire, *, model: str = "", context: int = 0) -> None:
        self._wire = wire
        self._wanted, self._context = model, context
        self._lock = threading.Lock()
        self._last: tuple[object, ...] = ()  # the prompt that the server read last, as far as this process knows
        self._lost = False
        self._late = False  # whether the server tells only at the end what it had in its cache
        self._meet()

    def _meet(self) -> None:
        offer = probe(self._wire, model=self._wanted, context=self._context)
        self._offer = offer
        self._dialect = dialect(self._wire, offer)
        self._prompt: Callable[[View], Prompt] = lru_cache(maxsize=8)(self._dialect.prompt)
        self._info = _info(self._wire, offer)
        self._last, self._lost = (), False

    # ── LanguageModel ────────────────────────────────────────────────────────────────────────────

    @property
    def info(self) -> ModelInfo:
        return self._info

    def count(self, text: str) -> int:
        with self._watched():
            return self._dialect.count(text)

    def measure(self, view: View) -> tuple[SegmentTokens, ...]:
        with self._watched():
            return self._prompt(view).sizes

    def price(self, view: View) -> Price:
        with self._watched():
            units = self._prompt(view).units
        return self._priced(units, self._last)

    def generate(
        self,
        view: View,
        *,
        sampling: Sampling,
        grammar: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        with self._watched():
            prompt = self._prompt(view)
            self._check_room(prompt, sampling.max_tokens)
            before, self._last = self._last, prompt.units
            try:
                yield from self._reply(view, prompt, self._priced(prompt.units, before), sampling, grammar, cancelled)
            except BrokenOff:
                yield Finished(view.opening, 0, "aborted", 0.0)

    def close(self) -> None:
        self._wire.close()

    # ── a reply ──────────────────────────────────────────────────────────────────────────────────

    def _reply(
        self,
        view: View,
        prompt: Prompt,
        price: Price,
        sampling: Sampling,
        grammar: str,
        cancelled: Callable[[], bool],
    ) -> Iterator[Part]:
        reply = _Reply(view.opening, prompt.tokens, price, late=self._late)
        held = not grammar or self._offer.form in ("gbnf", "structured")
        most = sampling.max_tokens * 4 + _SLACK
        yield Progress(0, price.decoded)
        try:
            body = self._dialect.request(prompt, sampling, grammar)
            for number, line in enumerate(self._wire.lines(self._dialect.path, body, cancelled)):
                said = self._dialect.heard(line)
                yield from reply.take(said, tell=held)
                if said.done:
                    break
                if number > most or reply.pieces > sampling.max_tokens:
                    reply.reason = "length"  # it was told how long a reply may be, and does not keep to it
                    break
            else:
                if not reply.reason:
                    raise EndpointError(
                        f"{self._wire.address.label} broke off in the middle of a reply, without saying why.",
                        "Its own log may say more. Every finished turn is kept, and the run can go on.",
                    )
        except BrokenOff:
            reply.reason = "aborted"
        if not held and reply.reason != "aborted":
            reply.text = view.opening + forms.meant(reply.text[len(view.opening) :], grammar)
            yield Text(reply.text[len(view.opening) :])
        yield from reply.end()
        self._late = self._late or reply.late

    def _priced(self, units: Sequence[object], before: Sequence[object]) -> Price:
        same = 0
        for old, new in zip(before, units[:-1], strict=False):
            if old != new:
                break
            same += 1
        return Price(same, len(units) - same, len(before) - same)

    def _check_room(self, prompt: Prompt, reply: int) -> None:
        if prompt.tokens + reply > self._info.context:
            about = "about " if self._info.estimated else ""
            raise ContextOverflow(
                f"{about}{prompt.tokens:,} tokens and {reply:,} for the reply do not fit a context of {self._info.context:,}",
                "Start the server with a larger context, or ask something narrower.",
            )

    def _watched(self) -> _Watched:
        return _Watched(self)

    def _enter(self) -> None:
        if self._lost:
            with self._lock:
                if self._lost:
                    self._meet()

    def _leave(self, error: BaseException | None) -> None:
        if isinstance(error, EndpointError) and not error.status:
            self._lost = True


class _Watched:
    """While the server is spoken to: it is met again where it was lost before, and known to be lost where it is now."""

    def __init__(self, model: EndpointModel) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._model._enter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._model._leave(error)


class _Reply:
    """A reply as far as it has come, and what it took."""

    def __init__(self, opening: str, tokens: int, price: Price, *, late: bool) -> None:
        self.text = opening
        self.late = late
        self.pieces = 0
        self.reason: Literal["", "stop", "length", "aborted"] = ""
        self._tokens, self._price = tokens, price
        self._began = time.monotonic()
        self._first = 0.0
        self._told = self._exact = False
        self._said = Said()

    def take(self, said: Said, *, tell: bool) -> Iterator[Part]:
        if said.to_read:
            yield Progress(max(0, said.read - max(said.reused, 0)), max(0, said.to_read - max(said.reused, 0)))
        self._said = Said(
            reused=max(self._said.reused, said.reused),
            prompt=said.prompt or said.to_read or self._said.prompt,
            written=said.written or self._said.written,
        )
        if said.text:
            if not self._first:
                self._first = time.monotonic()
                if self._said.reused >= 0 or not self.late:
                    yield self._read()
                else:
                    yield Progress(self._price.decoded, self._price.decoded)
            self.text += said.text
            self.pieces += 1
            if tell:
                yield Text(said.text)
        self.reason = said.reason or self.reason or ("stop" if said.done else "")

    def end(self) -> Iterator[Part]:
        now = time.monotonic()
        self._first = self._first or now
        self.late = self._said.reused >= 0 and not self._exact
        if not self._told and self.reason != "aborted":
            yield self._read()
        reason: Literal["stop", "length", "aborted"] = self.reason or "stop"
        yield Finished(self.text, self._said.written or self.pieces, reason, now - self._first)

    def _read(self) -> Prefilled:
        """What the server read, from its own numbers where it tells them."""
        self._told, self._exact = True, self._said.reused >= 0
        prompt = self._said.prompt or self._tokens
        reused = min(self._said.reused, prompt) if self._said.reused >= 0 else min(self._price.reused, prompt)
        seconds = self._first - self._began
        return Prefilled(reused, prompt - reused, self._price.removed, seconds, MODE)


def _info(wire: Wire, offer: Offer) -> ModelInfo:
    at = wire.address.label
    counts = offer.counts and wire.address.here
    notes = [
        ""
        if offer.told
        else f"{at} does not tell its context: {offer.context:,} tokens are assumed (setting: context).",
        "" if counts else "Token counts are estimates.",
        _HELD[offer.form],
        "The key and all text travel unencrypted." if wire.address.scheme == "http" and not wire.address.here else "",
    ]
    return ModelInfo(
        offer.name,
        "",
        "guided",
        offer.parameters,
        offer.context,
        offer.trained or (offer.context if offer.told else 0),
        offer.bytes,
        MODE,
        f"at {offer.kind}, {at}: its cache keeps what two prompts begin with alike; after a mask the rest is read again",
        at,
        not counts,
        " ".join(note for note in notes if note),
    )
