"""What a server offers, found out once: which kind it is, which model, how much that can read, how its replies can be held
to a form. What a server does not tell is assumed, and said to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from engine.clean import clean_line
from engine.errors import EndpointError, ModelError, ModelMissing
from engine.model.endpoint.wire import Wire

Kind = Literal["llama-server", "llama-cpp-python", "vLLM", "Ollama", "LM Studio", "OpenAI"]

Form = Literal["gbnf", "structured", "schema", "json", "none"]
"""How replies can be held to a form: by a grammar of llama.cpp's kind, by vLLM's structured outputs, by a JSON schema,
to any JSON, or not at all."""

USUAL = 8192
"""The context assumed where neither the server nor the user says anything."""

_LOADING = 900.0
"""Seconds a first word may take: the server may have to load the model for it."""


@dataclass(frozen=True)
class Offer:
    """``model`` is the name to use in requests. ``told``: the server itself says how large ``context`` is. ``counts``: it
    counts tokens. ``bos``: the token that prompts begin with, where it is known and not part of the chat template.
    """

    kind: Kind
    model: str
    context: int
    told: bool
    form: Form
    counts: bool = False
    trained: int = 0
    parameters: int = 0
    bytes: int = 0
    bos: int | None = None

    @property
    def name(self) -> str:
        """What a person is told: some servers name a model by its file's path."""
        return clean_line(PurePosixPath(self.model).name.removesuffix(".gguf"), 80)


def probe(wire: Wire, *, model: str = "", context: int = 0) -> Offer:
    """Ask a server what it is. ``model``: the one the user wants; ``context``: what they want of it, where they choose.

    Raises EndpointError or ModelMissing.
    """
    entry = _choose(_models(wire), model, wire)
    found = _kinds(wire, entry, context)
    offer = next((offer for offer in found if offer is not None), None) or Offer(
        "OpenAI",
        _text(entry, "id"),
        _number(entry, "max_model_len") or _number(entry, "context_length") or context or USUAL,
        bool(_number(entry, "max_model_len") or _number(entry, "context_length")),
        _tried(wire, _text(entry, "id"), ("schema", "json", "none")),
        parameters=parameters_in(_text(entry, "id")),
    )
    if offer.context < 256:
        raise EndpointError(f"{wire.address.label} gives its model {offer.context} tokens, which is too few.")
    return offer


def _kinds(wire: Wire, entry: Mapping[str, Any], context: int) -> Iterator[Offer | None]:
    """The kinds of server there are, the surest signs first."""
    owner = entry.get("owned_by")
    if owner == "vllm":
        yield _vllm(wire, entry)
        return
    yield _llama_server(wire, entry)
    if owner != "llamacpp":
        yield _ollama(wire, entry, context)
        yield _lm_studio(wire, entry, context)
        yield _llama_cpp_python(wire, entry, context)


def _llama_server(wire: Wire, entry: Mapping[str, Any]) -> Offer | None:
    model = _text(entry, "id")
    props = _maybe(wire, "GET", "/props")
    context = _number(props.get("default_generation_settings"), "n_ctx")
    if not context:
        return None
    meta = entry.get("meta")
    first = _maybe(wire, "POST", "/tokenize", {"content": "", "add_special": True}).get("tokens")
    bos = first[0] if isinstance(first, list) and first and isinstance(first[0], int) else None
    return Offer(
        "llama-server",
        model,
        context,
        True,
        "gbnf",
        counts=True,
        trained=_number(meta, "n_ctx_train"),
        parameters=_number(meta, "n_params") or parameters_in(model),
        bytes=_number(meta, "size"),
        bos=bos,
    )


def _vllm(wire: Wire, entry: Mapping[str, Any]) -> Offer:
    model = _text(entry, "id")
    context = _number(entry, "max_model_len")
    form = _tried(wire, model, ("structured", "schema", "json", "none"))
    counts = "count" in _maybe(wire, "POST", "/tokenize", {"model": model, "prompt": "a"})
    return Offer("vLLM", model, context or USUAL, bool(context), form, counts=counts, parameters=parameters_in(model))


def _ollama(wire: Wire, entry: Mapping[str, Any], context: int) -> Offer | None:
    if "version" not in _maybe(wire, "GET", "/api/version"):
        return None
    model = _text(entry, "id")
    shown = _maybe(wire, "POST", "/api/show", {"model": model})
    known = shown.get("model_info")
    told = known if isinstance(known, dict) else {}
    trained = next((int(size) for key, size in told.items() if key.endswith(".context_length")), 0)
    details = shown.get("details")
    size = parameters_in(_text(details, "parameter_size")) if isinstance(details, dict) else 0
    # Its own context is small unless it is told otherwise, and what is too long for it would be cut off silently: so
    # each request says how large it has to be.
    asked = context or USUAL
    return Offer(
        "Ollama",
        model,
        min(asked, trained) if trained else asked,
        True,
        "schema",
        trained=trained,
        parameters=_number(told, "general.parameter_count") or size or parameters_in(model),
    )


def _lm_studio(wire: Wire, entry: Mapping[str, Any], context: int) -> Offer | None:
    listed = _maybe(wire, "GET", "/api/v0/models").get("data")
    model = _text(entry, "id")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("id") == model and "max_context_length" in each:
            form = _tried(wire, model, ("schema", "json", "none"))
            loaded, most = _number(each, "loaded_context_length"), _number(each, "max_context_length")
            return Offer(
                "LM Studio",
                model,
                loaded or min(context or USUAL, most or USUAL),
                bool(loaded),
                form,
                trained=most,
                parameters=parameters_in(model),
            )
    return None


def _llama_cpp_python(wire: Wire, entry: Mapping[str, Any], context: int) -> Offer | None:
    model = _text(entry, "id")
    if "count" not in _maybe(wire, "POST", "/extras/tokenize/count", {"input": "a"}):
        return None
    return Offer(
        "llama-cpp-python", model, context or USUAL, False, "gbnf", counts=True, parameters=parameters_in(model)
    )


# ── helpers ──────────────────────────────────────────────────────────────────────────────────────

_FORMS: Mapping[Form, Mapping[str, Any]] = {
    "structured": {"structured_outputs": {"grammar": 'root ::= "{" [a-z]{0,3} "}"'}},
    "schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "action", "schema": {"type": "object", "properties": {"do": {"type": "string"}}}},
        }
    },
    "json": {"response_format": {"type": "json_object"}},
    "none": {},
}


def _tried(wire: Wire, model: str, forms: tuple[Form, ...]) -> Form:
    """The first of ``forms`` that the server takes and keeps to, found by having a word written in each: some servers
    pass over what they do not know.
    """
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": 4,
        "messages": [{"role": "user", "content": "Say hello, not in JSON."}],
    }
    for form in forms:
        try:
            answer = wire.ask("POST", "/v1/chat/completions", {**body, **_FORMS[form]}, seconds=_LOADING)
        except EndpointError as error:
            if form == forms[-1] or error.status not in (400, 404, 415, 422, 500, 501):
                raise
        else:
            if form == forms[-1] or _kept(answer):
                return form
    return forms[-1]


def _kept(answer: object) -> bool:
    """Whether a reply was held to JSON, which its request did not ask for. Nothing at all may be a thought."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = _text(choice.get("message"), "content").strip() if isinstance(choice, dict) else ""
    return not said or said.startswith("{")


def _models(wire: Wire) -> list[dict[str, Any]]:
    listed = wire.ask("GET", "/v1/models")
    data = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(data, list):
        raise EndpointError(
            f"{wire.address.label} does not say which models it has.",
            "Is this the address of a model server? It speaks OpenAI's API.",
        )
    return [each for each in data if isinstance(each, dict) and isinstance(each.get("id"), str)]


def _choose(models: list[dict[str, Any]], wanted: str, wire: Wire) -> dict[str, Any]:
    """The entry of the model to use."""
    named = {str(each["id"]): each for each in models}
    if not wanted and models:
        return models[0]
    for name in (wanted, f"{wanted}:latest"):
        if name in named:
            return named[name]
    has = clean_line(", ".join(named), 300) or "none"
    what = f"no model {clean_line(wanted, 80)!r}" if wanted else "no model"
    raise ModelMissing(f"{wire.address.label} has {what}. It has: {has}.", "Name one with --endpoint-model.")


def _maybe(wire: Wire, method: str, path: str, body: object = None) -> dict[str, Any]:
    """An answer that need not be there: empty where the server does not know the question."""
    try:
        answer = wire.ask(method, path, body)
    except EndpointError as error:
        if error.status:
            return {}
        raise
    except ModelError:
        return {}
    return answer if isinstance(answer, dict) else {}


_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?([bm])(?![a-z])", re.IGNORECASE)


def parameters_in(name: str) -> int:
    """How many parameters a model's name says that it has (``Qwen3-0.6B``, ``smollm2:135m``); 0 where it does not."""
    found = _SIZE.search(name.replace("_", "-"))
    return round(float(found[1]) * (1e9 if found[2] in "bB" else 1e6)) if found else 0


def _text(data: object, key: str) -> str:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


def _number(data: object, key: str) -> int:
    value = data.get(key) if isinstance(data, dict) else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1 << 62 else 0
