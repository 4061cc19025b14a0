"""A GGUF file in memory: its vocabulary, its chat template, and what it says of itself. Contexts are made over it."""

from __future__ import annotations

import ctypes
import os
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from engine.clean import clean_line
from engine.context.segments import View
from engine.errors import ModelError, ModelLoadFailed, ModelMissing
from engine.model import families
from engine.model.kv import CHUNK, SEQUENCES, Memory
from engine.model.template import ChatTemplate
from engine.protocol import SegmentKind

_native_errors: deque[str] = deque(maxlen=8)
"""What llama.cpp last complained about: the reason in ModelLoadFailed."""

_native_notes: deque[str] = deque(maxlen=64)
"""What it told of the context it made last: sizes, and whether attention is fused."""

_log: list[Any] = []
"""The callback that llama.cpp logs to, once it is set: native code holds it, so Python must not free it."""


_MARKER = re.compile(r"[<\[].+[>\]]", re.DOTALL)
"""How tokens look that mark turns and calls."""


@dataclass(frozen=True)
class Tokenised:
    """The tokens of one piece of a prompt, maybe none."""

    kind: SegmentKind
    observation: int
    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class MemoryOptions:
    """How a context keeps keys and values. ``kv``: their type. ``flash``: fused attention; None chooses, by whether there is a GPU.
    ``whole_window``: a sliding window's layers keep all cells, which carrying needs, not only those in the window.
    """

    kv: Literal["f16", "q8_0"] = "f16"
    flash: bool | None = None
    whole_window: bool = True


USUAL = MemoryOptions()


class Weights:
    """A loaded model without a context. ``format`` is how it is spoken to, ``auto``: as its template and size say.
    ``layers`` of it are computed on a graphics card, if the build can; None leaves that to llama.cpp.

    Raises ModelMissing or ModelLoadFailed.
    """

    def __init__(self, path: str | Path, format: str = "auto", *, layers: int | None = None) -> None:
        path = Path(path)
        if not path.is_file():
            raise ModelMissing(f"there is no model file {path}", "Give the path of a .gguf file.")
        self.path = path
        self.lib = lib = _library()
        params = lib.llama_model_default_params()
        if layers is not None:
            params.n_gpu_layers = layers
        self.model = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self.model:
            raise ModelLoadFailed(
                f"{path.name} could not be loaded: {_last_error('llama.cpp does not say why')}",
                "The file may be incomplete, not a GGUF, or of a kind that this version of llama.cpp does not know.",
            )
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.trained = int(lib.llama_model_n_ctx_train(self.model))
        self.parameters = int(lib.llama_model_n_params(self.model))
        self.window = int(lib.llama_model_n_swa(self.model))
        self.recurrent = bool(lib.llama_model_is_recurrent(self.model) or lib.llama_model_is_hybrid(self.model))
        self.chat_template = self.metadata("tokenizer.chat_template")
        self.format = families.family(
            self.chat_template, self.metadata("general.architecture"), self.parameters, wanted=format
        )
        try:
            self._template = ChatTemplate(
                families.spoken(self.format, self.chat_template), bos=self._special("bos"), eos=self._special("eos")
            )
        except ModelError:
            self.close()
            raise
        self.tokens = lru_cache(maxsize=4096)(self._tokenise)
        self.marker = lru_cache(maxsize=None)(self._find_marker)

    def close(self) -> None:
        if self.model:
            self.lib.llama_model_free(self.model)
            self.model = None

    @property
    def head(self) -> int:
        """The size of an attention head, 0 where it is not known."""
        told = self.metadata(f"{self.metadata('general.architecture')}.attention.key_length")
        heads = int(self.lib.llama_model_n_head(self.model))
        return int(told) if told.isdecimal() else int(self.lib.llama_model_n_embd(self.model)) // heads if heads else 0

    def context(self, size: int, threads: int, abort: Callable[[], bool], memory: MemoryOptions) -> Context:
        """A new context of ``size`` tokens over these weights; ``abort`` is asked all the time while it computes."""
        return Context(self, size, threads, abort, memory)

    def tokenised(self, view: View) -> list[Tokenised]:
        """The prompt, piece by piece. Only the template's own pieces may become special tokens."""
        self.check_open()
        made = []
        for piece in self._template.pieces(view):
            if piece.segment is None:
                made.append(Tokenised("template", 0, piece.text, self.tokens(piece.text, True)))
            else:
                kind = piece.segment.kind
                tokens = self.tokens(piece.text, kind == "template")
                made.append(Tokenised(kind, piece.segment.observation, piece.text, tokens))
        bos = int(self.lib.llama_vocab_bos(self.vocab))
        if self.lib.llama_vocab_get_add_bos(self.vocab) and made and made[0].tokens[:1] != (bos,):
            text = self.lib.llama_vocab_get_text(self.vocab, bos).decode("utf-8", errors="replace")
            made.insert(0, Tokenised("template", 0, text, (bos,)))
        if view.opening:
            made.append(Tokenised("template", 0, view.opening, self.tokens(view.opening, False)))
        return made

    def _tokenise(self, text: str, special: bool) -> tuple[int, ...]:
        """Tokens of ``text``; ``special`` lets markers in it be markers.

        Without it llama.cpp still makes markers of the kind called user-defined (``<tool_call>`` in some models), so
        that text holding one is cut inside it and tokenised on either side.
        """
        tokens = self._native_tokens(text, special)
        if special or not (markers := {mark for token in set(tokens) if (mark := self.marker(token))}):
            return tokens
        found = re.finditer("|".join(map(re.escape, markers)), text)
        inside = [match.start() + 1 for match in found] or [len(text) // 2]  # the middle, if it was spelt otherwise
        parts = (text[start:end] for start, end in pairwise([0, *inside, len(text)]))
        return tuple(token for part in parts for token in self._tokenise(part, False))

    def _find_marker(self, token: int) -> str:
        """The text of a token that a template may give a meaning to; empty for a token that is only text."""
        attributes = int(self.lib.llama_vocab_get_attr(self.vocab, token))
        if not attributes & (self.lib.LLAMA_TOKEN_ATTR_CONTROL | self.lib.LLAMA_TOKEN_ATTR_USER_DEFINED):
            return ""
        text = str(self.lib.llama_vocab_get_text(self.vocab, token).decode("utf-8", errors="replace"))
        return text if _MARKER.fullmatch(text) else ""  # some models define plain words and runs of spaces too

    def _native_tokens(self, text: str, special: bool) -> tuple[int, ...]:
        self.check_open()
        raw = text.encode("utf-8", errors="replace")
        size = len(raw) + 8
        while True:
            buffer = (ctypes.c_int32 * size)()
            found = self.lib.llama_tokenize(self.vocab, raw, len(raw), buffer, size, False, special)
            if found >= 0:
                return tuple(buffer[:found])
            size = -found

    def text(self, token: int, *, marks: bool = False) -> bytes:
        """What a token stands for: maybe only part of a character. Control tokens are silent, unless ``marks``."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            found = self.lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, marks)
            if found >= 0:
                return buffer.raw[:found]
            size = -found

    def metadata(self, key: str) -> str:
        """A value from the file's header, empty if there is none."""
        size = 1024
        while True:
            buffer = ctypes.create_string_buffer(size)
            found = self.lib.llama_model_meta_val_str(self.model, key.encode(), buffer, size)
            if found < size:
                return "" if found < 0 else buffer.raw[:found].decode("utf-8", errors="replace")
            size = found + 1

    def _special(self, which: str) -> str:
        token = getattr(self.lib, f"llama_vocab_{which}")(self.vocab)
        if token < 0:
            return ""
        return str(self.lib.llama_vocab_get_text(self.vocab, token).decode("utf-8", errors="replace"))

    def check_open(self) -> None:
        """Raises ModelError after closing: native code would end the process."""
        if not self.model:
            raise ModelError(f"{self.path.stem} has been closed")


class Context:
    """A llama.cpp context and what its memory can do. Close it before the weights."""

    def __init__(
        self, weights: Weights, size: int, threads: int, abort: Callable[[], bool], memory: MemoryOptions
    ) -> None:
        self._lib = lib = weights.lib
        params = lib.llama_context_default_params()
        params.n_ctx = size
        params.n_threads = params.n_threads_batch = threads or free_cores()
        params.n_seq_max, params.kv_unified = SEQUENCES, True
        params.swa_full = memory.whole_window
        params.type_k = params.type_v = lib.GGML_TYPE_Q8_0 if memory.kv == "q8_0" else lib.GGML_TYPE_F16
        flash = memory.flash
        if flash is None and memory.kv == "f16" and not lib.llama_supports_gpu_offload():
            flash = False  # on a processor alone it makes writing slower (26 ms a token at 1,500 instead of 18)
        if flash is not None:
            params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.n_ubatch = CHUNK  # no more is ever decoded at once, and the room to compute in grows with it
        _native_notes.clear()
        self._abort = lib.ggml_abort_callback(lambda _: abort())  # native code holds it; Python must not free it
        self.native = lib.llama_init_from_model(weights.model, params)
        if not self.native:
            raise ModelLoadFailed(
                f"no context of {size:,} tokens: {_last_error('probably not enough memory')}",
                "Set a smaller context, or use a smaller model.",
            )
        native = lib.llama_get_memory(self.native)
        if not native:
            lib.llama_free(self.native)
            raise ModelLoadFailed("this model reads text but does not write any", "Use an instruct or chat model.")
        lib.llama_set_abort_callback(self.native, self._abort, ctypes.c_void_p(0))
        self.size = int(lib.llama_n_ctx(self.native))
        self._weights = weights
        self.options = memory
        self.flash = any("Flash Attention enabled" in note for note in _native_notes) or bool(flash)
        self.cache_bytes = sum(_bytes(note) for note in _native_notes)
        self.can_shift = bool(lib.llama_memory_can_shift(native))

    def able(self, *, shift: bool = True) -> Memory:
        """What the memory can do, as llama.cpp tells it; ``shift`` False is knowing better."""
        known = self._weights
        can = not known.recurrent  # asked to remove or move something, a recurrent memory says it did, and did not
        return Memory(can, can and shift and self.can_shift, known.window, known.trained)

    def close(self) -> None:
        if self.native:
            self._lib.llama_free(self.native)
            self.native = None


def _library() -> Any:
    """llama.cpp's functions, with its messages caught: it prints a lot, and errors are wanted in words."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # or a failed assertion starts a debugger
    from llama_cpp import llama_cpp as lib

    if not _log:

        def log(level: int, text: bytes, _: Any) -> None:
            if level == 4:  # an error; 5 continues a line, mostly with the dots of a progress bar
                _native_errors.append(text.decode("utf-8", errors="replace").strip())
            elif level == 2 and (b"size = " in text or b"Flash Attention" in text):
                _native_notes.append(text.decode("utf-8", errors="replace").strip())

        callback = lib.llama_log_callback(log)
        _log.append(callback)
        lib.llama_log_set(callback, ctypes.c_void_p(0))
        lib.llama_backend_init()
    _native_errors.clear()
    return lib


def _bytes(note: str) -> int:
    """The size of a cache, from the line that tells of it; 0 for other lines."""
    told = re.search(r"_cache\S*: size = +([\d.]+) MiB", note)
    return int(float(told[1]) * 2**20) if told else 0


def _last_error(otherwise: str) -> str:
    """The first complaint: those after it only say that something failed."""
    return clean_line(_native_errors[0] if _native_errors else otherwise)


def free_cores() -> int:
    """Real cores this process may use, less one: threads that wait for a busy core slow each other down."""
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return max(1, min(cores, allowed) - 1)
