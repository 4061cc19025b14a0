"""Tiny models with random weights: one small GGUF file for each way in which llama.cpp keeps what it has read.

They say nothing sensible, but attend, recur, slide and count positions like the architectures they are made of, so that
what may be done to a cache can be tried on each without a download. They also carry a vocabulary of bytes, in which
token n is byte n, with a few merges and markers after them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import gguf
import numpy as np
import numpy.typing as npt

Kind = Literal["llama", "llama-yarn", "qwen3", "gemma3", "gpt2", "qwen2vl", "mamba", "lfm2", "falcon-h1"]
"""``llama`` plain RoPE, ``llama-yarn`` stretched RoPE, ``qwen3`` normed queries and keys, ``gemma3`` every other layer
a sliding window, ``gpt2`` learned absolute positions, ``qwen2vl`` positions of several dimensions, ``mamba`` recurrent,
``lfm2`` hybrid with a memory of two tokens, ``falcon-h1`` hybrid with a long one."""

KINDS: tuple[Kind, ...] = get_args(Kind)

CHATML = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}"""

CHATML_TOOLS = (
    """\
{%- if tools %}
{{- '<|im_start|>system\\nYou may call these tools:\\n<tools>\\n' }}
{%- for tool in tools %}{{- tool | tojson + '\\n' }}{% endfor %}
{{- '</tools>\\nA call is <tool_call>{"name": ..., "arguments": {...}}</tool_call>.<|im_end|>\\n' }}
{%- endif %}
"""
    + CHATML
)

MERGES = ("t h", "th e", "Ċ Ċ")  # bytes as llama.cpp spells them: Ċ is a newline
CONTROL = ("<|bos|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<tool_call>", "</tool_call>", "<think>", "</think>")

_WIDTH, _FEED, _LAYERS = 64, 96, 4
_SHARP = 1.5  # how far apart attention scores lie; near 0 every token would count the same and no position would matter
_LOUD = 6.0  # how much of what attention read comes through: averaged over hundreds of tokens, little is left of each

Value = str | float | Sequence[int]
Settings = dict[str, Value]


@dataclass(frozen=True)
class _Shape:
    context: int
    window: int
    head: int

    @property
    def settings(self) -> Settings:
        """The settings of all that attend with rotated positions."""
        return {
            "feed_forward_length": _FEED,
            "attention.head_count": _WIDTH // self.head,
            "attention.head_count_kv": 1,
            "attention.key_length": self.head,
            "attention.value_length": self.head,
            "attention.layer_norm_rms_epsilon": 1e-6,
            "rope.dimension_count": self.head,
            "rope.freq_base": 10_000.0,
        }


class _Weights:
    """Named tensors, each scaled so that what passes through it keeps its size."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.tensors: dict[str, npt.NDArray[np.generic]] = {}

    def normal(self, name: str, inputs: int, outputs: int, scale: float) -> None:
        self.tensors[f"{name}.weight"] = self._normal(inputs, outputs, scale).astype(np.float16)

    def matrix(self, name: str, inputs: int, outputs: int, gain: float = 1.0) -> None:
        self.normal(name, inputs, outputs, gain / np.sqrt(inputs))

    def convolution(self, name: str, length: int, channels: int) -> None:
        self.tensors[f"{name}.weight"] = self._normal(length, channels, 1 / np.sqrt(length))

    def constant(self, name: str, value: float, *shape: int) -> None:
        self.tensors[name] = np.full(shape, value, np.float32)

    def norm(self, name: str, size: int = _WIDTH, value: float = 1.0) -> None:
        self.constant(f"{name}.weight", value, size)

    def spread(self, name: str, low: float, high: float, *shape: int) -> None:
        self.tensors[name] = self._random.uniform(low, high, shape).astype(np.float32)

    def _normal(self, inputs: int, outputs: int, scale: float) -> npt.NDArray[np.float32]:
        return (self._random.standard_normal((outputs, inputs)) * scale).astype(np.float32)


def write(
    path: Path,
    kind: Kind,
    *,
    context: int = 1024,
    seed: int = 0,
    window: int = 32,
    head: int = 64,
    template: str = CHATML,
    bos: bool = False,
) -> Path:
    """Write a model of this kind to ``path``; the same arguments give the same file. Returns ``path``.

    ``context`` is the length it claims to be trained for, ``window`` that of gemma3's sliding layers, ``head`` the size
    of an attention head (64 or 32), ``template`` its chat template (none if empty), ``bos`` whether a prompt begins
    with a special token.
    """
    weights = _Weights(seed)
    architecture, settings = _KINDS[kind](weights, _Shape(context, window, head))
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"tiny {kind}")
    vocabulary = _vocabulary(writer, bos)
    if template:
        writer.add_chat_template(template)
    common: Settings = {"context_length": context, "embedding_length": _WIDTH, "block_count": _LAYERS}
    for key, value in (common | settings).items():
        _set(writer, f"{architecture}.{key}", value)
    weights.normal("token_embd", _WIDTH, vocabulary, 1 / np.sqrt(_WIDTH) if kind == "gemma3" else 1)  # gemma scales it
    weights.matrix("output", _WIDTH, vocabulary, 2)
    for name, tensor in weights.tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# ── architectures: what each is called in a file, its settings and its tensors ───────────────────────────────────────


def _llama(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    weights.norm("output_norm")
    for layer in _layers():
        weights.norm(f"{layer}.attn_norm")
        _attention(weights, shape, layer)
        _feed_forward(weights, layer)
    return "llama", shape.settings


def _llama_yarn(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    architecture, settings = _llama(weights, shape)
    return architecture, settings | {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": shape.context // 4,
    }


def _qwen3(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    weights.norm("output_norm")
    for layer in _layers():
        weights.norm(f"{layer}.attn_norm")
        _attention(weights, shape, layer, normed=True)
        _feed_forward(weights, layer)
    return "qwen3", shape.settings


def _gemma3(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    weights.norm("output_norm")
    for layer in _layers():
        weights.norm(f"{layer}.attn_norm")
        _attention(weights, shape, layer, normed=True)
        weights.norm(f"{layer}.post_attention_norm")
        _feed_forward(weights, layer)
        weights.norm(f"{layer}.post_ffw_norm")
    return "gemma3", shape.settings | {"attention.sliding_window": shape.window, "attention.sliding_window_pattern": 2}


def _qwen2vl(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    _llama(weights, shape)
    half = shape.head // 2
    sections = [half // 4, half * 3 // 8, half * 3 // 8, 0]  # time, height, width
    return "qwen2vl", shape.settings | {"rope.dimension_sections": sections}


def _gpt2(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    def norm(name: str) -> None:
        weights.norm(name)
        weights.constant(f"{name}.bias", 0, _WIDTH)

    def linear(name: str, inputs: int, outputs: int, gain: float = 1.0) -> None:
        weights.matrix(name, inputs, outputs, gain)
        weights.constant(f"{name}.bias", 0, outputs)

    weights.normal("position_embd", _WIDTH, shape.context, 1)
    norm("output_norm")
    for layer in _layers():
        norm(f"{layer}.attn_norm")
        linear(f"{layer}.attn_qkv", _WIDTH, 3 * _WIDTH, np.sqrt(_SHARP))
        linear(f"{layer}.attn_output", _WIDTH, _WIDTH, _LOUD)
        norm(f"{layer}.ffn_norm")
        linear(f"{layer}.ffn_up", _WIDTH, _FEED)
        linear(f"{layer}.ffn_down", _FEED, _WIDTH)
    return "gpt2", {
        "feed_forward_length": _FEED,
        "attention.head_count": _WIDTH // shape.head,
        "attention.layer_norm_epsilon": 1e-5,
    }


def _mamba(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    inner, state, rank, kernel = 2 * _WIDTH, 16, 4, 4
    weights.norm("output_norm")
    for layer in _layers():
        weights.norm(f"{layer}.attn_norm")
        weights.matrix(f"{layer}.ssm_in", _WIDTH, 2 * inner)
        weights.matrix(f"{layer}.ssm_x", inner, rank + 2 * state, 4)
        weights.matrix(f"{layer}.ssm_dt", rank, inner, 0.1)
        _state(weights, layer, kernel, inner, rates=(inner, state), skips=(inner,))
        weights.matrix(f"{layer}.ssm_out", inner, _WIDTH)
    return "mamba", {
        "attention.layer_norm_rms_epsilon": 1e-6,
        "ssm.conv_kernel": kernel,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": rank,
    }


def _lfm2(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    kernel = 3
    kv_heads = [0, 1] * (_LAYERS // 2)  # no heads: a layer that convolves instead
    weights.norm("token_embd_norm")  # which in this architecture comes before the output
    for layer, heads in zip(_layers(), kv_heads, strict=True):
        weights.norm(f"{layer}.attn_norm")
        if heads:
            _attention(weights, shape, layer, normed=True)
        else:
            weights.convolution(f"{layer}.shortconv.conv", kernel, _WIDTH)
            weights.matrix(f"{layer}.shortconv.in_proj", _WIDTH, 3 * _WIDTH)
            weights.matrix(f"{layer}.shortconv.out_proj", _WIDTH, _WIDTH)
        _feed_forward(weights, layer)
    return "lfm2", shape.settings | {"attention.head_count_kv": kv_heads, "shortconv.l_cache": kernel}


def _falcon_h1(weights: _Weights, shape: _Shape) -> tuple[str, Settings]:
    inner, state, heads, groups, kernel = _WIDTH, 16, 4, 1, 4
    convolved = inner + 2 * groups * state
    weights.norm("output_norm")
    for layer in _layers():
        weights.norm(f"{layer}.attn_norm")
        _attention(weights, shape, layer)
        weights.matrix(f"{layer}.ssm_in", _WIDTH, inner + convolved + heads)
        _state(weights, layer, kernel, convolved, rates=(heads, 1), skips=(heads, 1))
        weights.matrix(f"{layer}.ssm_out", inner, _WIDTH, 4)
        _feed_forward(weights, layer)
        weights.tensors[f"{layer}.ffn_norm"] = weights.tensors.pop(f"{layer}.ffn_norm.weight")  # so called here only
    return "falcon-h1", shape.settings | {
        "ssm.conv_kernel": kernel,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": heads,
        "ssm.group_count": groups,
    }


_KINDS: dict[Kind, Callable[[_Weights, _Shape], tuple[str, Settings]]] = {
    "llama": _llama,
    "llama-yarn": _llama_yarn,
    "qwen3": _qwen3,
    "gemma3": _gemma3,
    "gpt2": _gpt2,
    "qwen2vl": _qwen2vl,
    "mamba": _mamba,
    "lfm2": _lfm2,
    "falcon-h1": _falcon_h1,
}


# ── what they share ──────────────────────────────────────────────────────────────────────────────────────────────────


def _layers() -> list[str]:
    return [f"blk.{layer}" for layer in range(_LAYERS)]


def _attention(weights: _Weights, shape: _Shape, layer: str, *, normed: bool = False) -> None:
    sharp = np.sqrt(_SHARP)
    weights.matrix(f"{layer}.attn_q", _WIDTH, _WIDTH, sharp)
    weights.matrix(f"{layer}.attn_k", _WIDTH, shape.head, sharp)
    weights.matrix(f"{layer}.attn_v", _WIDTH, shape.head)
    weights.matrix(f"{layer}.attn_output", _WIDTH, _WIDTH, _LOUD)
    if normed:
        weights.norm(f"{layer}.attn_q_norm", shape.head, sharp)
        weights.norm(f"{layer}.attn_k_norm", shape.head, sharp)


def _feed_forward(weights: _Weights, layer: str) -> None:
    weights.norm(f"{layer}.ffn_norm")
    weights.matrix(f"{layer}.ffn_gate", _WIDTH, _FEED)
    weights.matrix(f"{layer}.ffn_up", _WIDTH, _FEED)
    weights.matrix(f"{layer}.ffn_down", _FEED, _WIDTH)


def _state(
    weights: _Weights, layer: str, kernel: int, channels: int, *, rates: tuple[int, ...], skips: tuple[int, ...]
) -> None:
    """What a recurrent layer takes up, and how fast it forgets: half of it within five to 280 tokens."""
    weights.convolution(f"{layer}.ssm_conv1d", kernel, channels)
    weights.constant(f"{layer}.ssm_conv1d.bias", 0, channels)
    weights.spread(f"{layer}.ssm_dt.bias", -6, -2, rates[0])  # the step of each part is softplus of this
    weights.constant(f"{layer}.ssm_a", -1, *rates)
    weights.constant(f"{layer}.ssm_d", 0.1, *skips)


def _vocabulary(writer: gguf.GGUFWriter, bos: bool) -> int:
    merged = [merge.replace(" ", "") for merge in MERGES]
    tokens = [*_byte_characters(), *merged, *CONTROL, *MARKERS]
    plain, control, marker = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([plain] * (256 + len(merged)) + [control] * len(CONTROL) + [marker] * len(MARKERS))
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(tokens.index("<|bos|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(bos)
    return len(tokens)


def _byte_characters() -> list[str]:
    """The visible character that stands for each byte in vocabularies of this sort: itself, or one above U+0100."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in visible else chr(next(others)) for byte in range(256)]


def _set(writer: gguf.GGUFWriter, key: str, value: Value) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_array(key, list(value))
