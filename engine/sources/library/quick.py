"""One short text to a vector, without what a library for batches does around it: a question is waited for."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.sources.library.embed import Vectors

_SAME = 0.9999
"""The least cosine to what the whole library makes of a text."""

_TRIALS = (
    "How is it done?",
    "max_wal_size",
    "Which of the two is better where the history is shared with others, and what is the price of it?",
)
"""Texts of several lengths: to compare with, and to be done with what only the first calls have to do."""


def quick(model: Any) -> Callable[[str], Vectors] | None:
    """A way to embed one text that is faster than ``model.encode`` and gives the same; None where there is none.

    The model is recorded as TorchScript with its weights laid out for this processor: in half the bytes where it can
    compute with them so, since for one text the reading of the weights is what takes long. Only models that take the
    mean of their tokens are made quick, which are most of the small ones.
    """
    if not _takes_the_mean(model):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is used here is called old-fashioned, and tells of every constant
        return _faithful(model, _halved) or _faithful(model, lambda network: network)


def _faithful(model: Any, make: Callable[[Any], Any]) -> Callable[[str], Vectors] | None:
    """A way through the network that is made of the model's own; None where that cannot be, or gives something else."""
    try:
        embed = _recorded(model, make(model[0].auto_model))
        same = all(float(embed(text) @ _encoded(model, text)) >= _SAME for text in _TRIALS)
    except Exception:  # noqa: BLE001 - whatever cannot be recorded goes another way, in the end the usual one
        return None
    return embed if same else None


def _takes_the_mean(model: Any) -> bool:
    names = [type(each).__name__ for each in model]
    if names not in (["Transformer", "Pooling", "Normalize"], ["Transformer", "Pooling"]) or model.default_prompt_name:
        return False
    told = model[1].get_config_dict()
    return bool(told.get("pooling_mode") == "mean" or told.get("pooling_mode_mean_tokens"))


def _halved(network: Any) -> Any:
    """The network with the weights of its linear layers in 16 bits; it computes in 32. Raises where that is unknown."""
    import torch

    # What is not replaced is shared with the network itself.
    twin = copy.deepcopy(network, {id(each): each for each in network.parameters()})
    return torch.ao.quantization.quantize_dynamic(twin, {torch.nn.Linear}, dtype=torch.float16, inplace=True)


def _recorded(model: Any, network: Any) -> Callable[[str], Vectors]:
    import torch

    def ids_of(text: str) -> Any:
        return torch.tensor([model.tokenizer(text, truncation=True, max_length=model.max_seq_length)["input_ids"]])

    with torch.no_grad():
        # Not strict: what it returns is a dictionary.
        traced = torch.jit.trace(network, (ids_of(_TRIALS[0]),), strict=False, check_trace=False)
        ready = torch.jit.optimize_for_inference(torch.jit.freeze(traced.eval()))

    def embed(text: str) -> Vectors:
        with torch.inference_mode():
            vector: Vectors = ready(ids_of(text))["last_hidden_state"].mean(1)[0].float().numpy()
        return vector / max(float((vector @ vector) ** 0.5), 1e-12)

    return embed


def _encoded(model: Any, text: str) -> Vectors:
    from engine.sources.library.precision import encode

    vector: Vectors = encode(model, [text])[0]
    return vector
