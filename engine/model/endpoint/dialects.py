"""How each kind of server is spoken to: what a view costs there, what a request looks like, what a line of a reply means.

The law that no text may pass for template holds in two ways. A llama-server is sent tokens: its template is filled with
sentinels, cut at them, and only the template's own pieces may become special tokens, as in this process. Other servers
fill their templates themselves, so marks that could be special tokens are broken in all text before it is sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, Protocol

from engine.context.segments import Message, View
from engine.errors import EndpointError
from engine.model.base import Sampling
from engine.model.endpoint import forms
from engine.model.endpoint.probe import Offer
from engine.model.endpoint.wire import Wire, said_in
from engine.model.template import ChatTemplate
from engine.protocol import SegmentTokens

TEMPLATE_TOKENS = 5
"""What a message costs beside its text, about, where a server does not tell."""

_BYTES = 3.2
"""Bytes of a token, about. English has four and more: an estimate that is too high spares a prompt that is cut off."""

_BREAK = "\u200b"
"""Put into a mark, it is no mark any more, and nobody sees it."""

_MARK = re.compile(
    r"<(?=[|｜/]|(?:start|end)_of|turn|eos|bos|unk|pad|s>|think|tool|function|channel|message)|\[(?=/?INST|/?SYSTEM|/?TOOL|/?AVAILABLE)"
    r"|<(?=<SYS>>)",
    re.IGNORECASE,
)
_MARKER = re.compile(r"[<\[].+[>\]]", re.DOTALL)
"""How tokens look that mark turns and calls."""


@dataclass(frozen=True)
class Prompt:
    """A view as a server reads it. ``units``: what its cache compares, about one a token; ``body``: the request's part."""

    sizes: tuple[SegmentTokens, ...]
    units: tuple[object, ...]
    body: dict[str, Any]

    @property
    def tokens(self) -> int:
        return sum(size.tokens for size in self.sizes)


@dataclass(frozen=True)
class Said:
    """One line of a reply. ``read``/``to_read``: prompt tokens so far and in all; ``reused``: those that were in the cache, -1
    where it is not told; ``prompt`` and ``written``: tokens in all, 0 where not told.
    """

    text: str = ""
    done: bool = False
    reason: Literal["", "stop", "length"] = ""
    read: int = 0
    to_read: int = 0
    reused: int = -1
    prompt: int = 0
    written: int = 0


class Dialect(Protocol):
    """One kind of server. ``path`` is where replies are asked for."""

    path: str

    def count(self, text: str) -> int:
        """Tokens of a text, exactly or about."""
        ...

    def prompt(self, view: View) -> Prompt:
        """A view as it would be sent."""
        ...

    def request(self, prompt: Prompt, sampling: Sampling, grammar: str) -> dict[str, Any]:
        """The body of the request for a reply."""
        ...

    def heard(self, line: str) -> Said:
        """What a line of the reply says. Raises EndpointError."""
        ...


def dialect(wire: Wire, offer: Offer) -> Dialect:
    """How to speak to this server."""
    if offer.kind == "llama-server":
        return LlamaServer(wire, offer)
    return Ollama(wire, offer) if offer.kind == "Ollama" else Chat(wire, offer)


def estimate(text: str) -> int:
    """About how many tokens a text has; rather too many than too few."""
    return math.ceil(len(text.encode("utf-8", errors="replace")) / _BYTES)


def harmless(text: str) -> str:
    """``text`` with all that a server could take for a special token broken, so that it reads the same and is none."""
    return _MARK.sub(lambda mark: mark[0] + _BREAK, text)


# ── llama-server: tokens in, text out ────────────────────────────────────────────────────────────


class LlamaServer:
    """The server of llama.cpp, sent tokens."""

    path = "/completion"

    def __init__(self, wire: Wire, offer: Offer) -> None:
        self._wire, self._offer = wire, offer
        self._template = ChatTemplate("", render=self._filled)
        self._tokens = lru_cache(maxsize=8192)(self._tokenise)

    def count(self, text: str) -> int:
        return len(self._tokens(text, False)) if self._wire.address.here else estimate(text)

    def prompt(self, view: View) -> Prompt:
        pieces = [
            (SegmentTokens("template", 0), self._tokens(piece.text, True))
            if piece.segment is None
            else (SegmentTokens(piece.segment.kind, 0, piece.segment.observation), self._tokens(piece.text, False))
            for piece in self._template.pieces(view)
        ]
        bos = self._offer.bos
        if bos is not None and pieces and pieces[0][1][:1] != (bos,):
            pieces.insert(0, (SegmentTokens("template", 0), (bos,)))
        if view.opening:
            pieces.append((SegmentTokens("template", 0), self._tokens(view.opening, False)))
        sizes = tuple(SegmentTokens(size.kind, len(tokens), size.observation) for size, tokens in pieces)
        units = tuple(token for _, tokens in pieces for token in tokens)
        return Prompt(sizes, units, {"prompt": list(units)})

    def request(self, prompt: Prompt, sampling: Sampling, grammar: str) -> dict[str, Any]:
        return {
            **prompt.body,
            "model": self._offer.model,
            "stream": True,
            "cache_prompt": True,
            "return_progress": True,
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": 0.0,
            "repeat_penalty": sampling.repeat_penalty,
            "seed": sampling.seed,
            **({"grammar": grammar} if grammar else {}),
        }

    def heard(self, line: str) -> Said:
        data = _event(line, self._wire)
        if data is None:
            return Said()
        progress, timings = _part(data, "prompt_progress"), _part(data, "timings")
        if data.get("stop") is True:
            return Said(
                _content(data.get("content")),
                True,
                "length" if data.get("stop_type") == "limit" or data.get("stopped_limit") is True else "stop",
                reused=_count(timings.get("cache_n")) if "cache_n" in timings else -1,
                prompt=_count(data.get("tokens_evaluated")),
                written=_count(data.get("tokens_predicted")),
            )
        if progress:
            reused = _count(progress.get("cache"))
            return Said(read=_count(progress.get("processed")), to_read=_count(progress.get("total")), reused=reused)
        return Said(_content(data.get("content")))

    def _filled(self, messages: Sequence[dict[str, str]]) -> str:
        body = {"messages": list(messages), "chat_template_kwargs": {"enable_thinking": False}}
        answer = self._wire.ask("POST", "/apply-template", body | {"model": self._offer.model})
        text = answer.get("prompt") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise EndpointError(f"{self._wire.address.label} does not fill its chat template.")
        return text

    def _tokenise(self, text: str, special: bool) -> tuple[int, ...]:
        """Tokens of ``text``; ``special`` lets markers in it be markers.

        Without it llama.cpp still makes markers of the kind called user-defined, so that text that holds one is cut
        inside it and tokenised on either side.
        """
        if not text:
            return ()
        body = {"content": text, "add_special": False, "parse_special": special, "with_pieces": not special}
        answer = self._wire.ask("POST", "/tokenize", body | {"model": self._offer.model})
        found = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise EndpointError(f"{self._wire.address.label} does not count tokens.")
        pairs = [(each.get("id"), each.get("piece")) if isinstance(each, dict) else (each, "") for each in found]
        if not all(isinstance(token, int) for token, _ in pairs):
            raise EndpointError(f"{self._wire.address.label} counts tokens that are no numbers.")
        markers = {str(piece) for _, piece in pairs if isinstance(piece, str) and _MARKER.fullmatch(piece)}
        if special or not markers or len(text) < 2:
            return tuple(int(str(token)) for token, _ in pairs)
        inside = [match.start() + 1 for match in re.finditer("|".join(map(re.escape, markers)), text)] or [
            len(text) // 2
        ]
        parts = (text[start:end] for start, end in pairwise([0, *inside, len(text)]))
        return tuple(token for part in parts for token in self._tokenise(part, False))


# ── the others: messages in, text out ────────────────────────────────────────────────────────────


@dataclass
class Chat:
    """Any server that speaks OpenAI's chat API."""

    wire: Wire
    offer: Offer
    path: str = "/v1/chat/completions"
    _wrapped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._counted = lru_cache(maxsize=8192)(self._ask_count)

    def count(self, text: str) -> int:
        if not text:
            return 0
        counts = self.offer.counts and self.wire.address.here
        return self._counted(harmless(text)) if counts else estimate(text)

    def prompt(self, view: View) -> Prompt:
        messages, sizes, units = [], list[SegmentTokens](), list[object]()
        for message in _mergeable(view.messages):
            messages.append({"role": message.role, "content": harmless(message.text)})
            sizes.append(SegmentTokens("template", TEMPLATE_TOKENS))
            units += [(message.role, place) for place in range(TEMPLATE_TOKENS)]
            for segment in message.segments:
                size = self.count(segment.text)
                sizes.append(SegmentTokens(segment.kind, size, segment.observation))
                units += [(hash(segment.text), place) for place in range(size)]
        return Prompt(tuple(sizes), tuple(units), {"messages": messages})

    def request(self, prompt: Prompt, sampling: Sampling, grammar: str) -> dict[str, Any]:
        body = {
            **prompt.body,
            "model": self.offer.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if self.offer.kind == "vLLM":
            body |= {"top_k": sampling.top_k, "repetition_penalty": sampling.repeat_penalty}
            body["chat_template_kwargs"] = {"enable_thinking": False}
        elif self.offer.kind != "OpenAI":
            body |= {"top_k": sampling.top_k, "repeat_penalty": sampling.repeat_penalty}
        return body | self._form(grammar)

    def heard(self, line: str) -> Said:
        data = _event(line, self.wire)
        if data is None:
            return Said(done=line.removeprefix("data:").strip() == "[DONE]")
        usage = _part(data, "usage")
        details = _part(usage, "prompt_tokens_details")
        choices = data.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        reason = choice.get("finish_reason")
        return Said(
            _content(_part(choice, "delta").get("content")),
            reason="length" if reason == "length" else "stop" if reason else "",
            reused=_count(details.get("cached_tokens")) if "cached_tokens" in details else -1,
            prompt=_count(usage.get("prompt_tokens")),
            written=_count(usage.get("completion_tokens")),
        )

    def _form(self, grammar: str) -> dict[str, Any]:
        if not grammar:
            return {}
        if self.offer.form == "gbnf":
            return {"grammar": grammar}
        if self.offer.form == "structured":
            return {"structured_outputs": {"grammar": grammar}}
        if self.offer.form == "schema" and (schema := forms.asked(grammar)):
            return {"response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}}
        if self.offer.form == "json" and forms.schema(grammar):
            return {"response_format": {"type": "json_object"}}
        return {}

    def _ask_count(self, text: str) -> int:
        if self.offer.kind == "vLLM":
            body = {"model": self.offer.model, "prompt": text, "add_special_tokens": False}
            answer = self.wire.ask("POST", "/tokenize", body)
        else:
            answer = self.wire.ask("POST", "/extras/tokenize/count", {"model": self.offer.model, "input": text})
        found = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(found, int):
            raise EndpointError(f"{self.wire.address.label} does not count tokens.")
        return found


class Ollama(Chat):
    """Ollama's own API: only there the context can be named, and nothing is cut off without a word."""

    def __init__(self, wire: Wire, offer: Offer) -> None:
        super().__init__(wire, offer, "/api/chat")

    def request(self, prompt: Prompt, sampling: Sampling, grammar: str) -> dict[str, Any]:
        options = {
            "num_ctx": self.offer.context,
            "num_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "repeat_penalty": sampling.repeat_penalty,
            "seed": sampling.seed,
        }
        body = {**prompt.body, "model": self.offer.model, "stream": True, "think": False, "truncate": False}
        form = {"format": schema} if grammar and (schema := forms.asked(grammar)) else {}
        return body | {"shift": False, "options": options} | form

    def heard(self, line: str) -> Said:
        data = _json(line, self.wire)
        message = _part(data, "message")
        done = data.get("done") is True
        return Said(
            _content(message.get("content")),
            done,
            "length" if data.get("done_reason") == "length" else "stop" if done else "",
            prompt=_count(data.get("prompt_eval_count")),
            written=_count(data.get("eval_count")),
        )


# ── reading lines ────────────────────────────────────────────────────────────────────────────────


def _mergeable(messages: Sequence[Message]) -> Iterator[Message]:
    """Messages without those that say nothing: some servers refuse them."""
    return (message for message in messages if message.text)


def _event(line: str, wire: Wire) -> dict[str, Any] | None:
    """The object that a line of a stream of events carries; None where it carries none."""
    name, colon, rest = line.partition(":")
    if name == "error" and colon:
        raise EndpointError(f"{wire.address.label} broke off: {_error(rest)}")
    if name != "data" or not colon:
        if name in ("event", "id", "retry") and colon:
            return None
        raise EndpointError(f"{wire.address.label} sends what is no stream of events.")
    return None if rest.strip() == "[DONE]" else _json(rest, wire)


def _json(text: str, wire: Wire) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise EndpointError(f"{wire.address.label} sends a reply that cannot be read.", "Its own log may say why.")
    if data.get("error"):
        raise EndpointError(f"{wire.address.label} broke off: {said_in(data)}", "Its own log may say more.")
    return data


def _error(text: str) -> str:
    try:
        return said_in(json.loads(text))
    except ValueError:
        return said_in(text)


def _part(data: object, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def _content(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0
