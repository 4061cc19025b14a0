"""A GGUF file through llama.cpp, in this process, on its low-level interface.

Native code can end the process without an exception, so the application runs this in a child (``engine.host``).
"""

from __future__ import annotations

import codecs
import ctypes
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from engine.clean import clean_line
from engine.context.segments import View
from engine.errors import ContextOverflow, ModelError, ModelLoadFailed, ModelMissing
from engine.model.base import Finished, Part, Prefilled, Progress, Sampling, Text
from engine.model.kv import Aborted, Cache, plan
from engine.model.sampling import Sampler
from engine.model.template import ChatTemplate
from engine.protocol import ModelInfo, SegmentKind, SegmentTokens

_native_errors: deque[str] = deque(maxlen=8)
"""What llama.cpp last complained about: the reason in ModelLoadFailed."""

_log: list[Any] = []
"""The callback that llama.cpp logs to, once it is set: native code holds it, so Python must not free it."""


_MARKER = re.compile(r"[<\[].+[>\]]", re.DOTALL)
"""How tokens look that mark turns and calls."""


@dataclass(frozen=True)
class _Span:
    """The tokens of one piece of a prompt."""

    kind: SegmentKind
    observation: int
    tokens: tuple[int, ...]


class LlamaCppModel:
    """A loaded model with one context. Implements :class:`engine.model.base.LanguageModel`.

    ``context`` tokens at most, never more than the model was trained for. ``threads`` 0 leaves one real core free.
    Raises ModelMissing or ModelLoadFailed.
    """

    def __init__(self, path: str | Path, *, context: int = 8192, threads: int = 0, name: str = "") -> None:
        path = Path(path)
        if not path.is_file():
            raise ModelMissing(f"there is no model file {path}", "Give the path of a .gguf file.")
        self._lib = lib = _library()
        self._cancelled: Callable[[], bool] = lambda: False
        self._model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        if not self._model:
            raise ModelLoadFailed(
                f"{path.name} could not be loaded: {_last_error('llama.cpp does not say why')}",
                "The file may be incomplete, not a GGUF, or of a kind that this version of llama.cpp does not know.",
            )
        self._vocab = lib.llama_model_get_vocab(self._model)
        trained = int(lib.llama_model_n_ctx_train(self._model))
        self._context = self._new_context(min(context, trained) if trained else context, threads)
        self._cache = Cache(self._context)
        try:
            self._template = ChatTemplate(
                self._metadata("tokenizer.chat_template"), bos=self._special("bos"), eos=self._special("eos")
            )
        except ModelError:
            self.close()
            raise
        self._tokens = lru_cache(maxsize=4096)(self._tokenise)
        self._marker = lru_cache(maxsize=None)(self._find_marker)
        self._info = ModelInfo(
            name or path.stem,  # the name inside the file is often that of a training run
            str(path),
            "guided",
            int(lib.llama_model_n_params(self._model)),
            int(lib.llama_n_ctx(self._context)),
            trained,
            path.stat().st_size,
        )

    # ── LanguageModel ────────────────────────────────────────────────────────────────────────────

    @property
    def info(self) -> ModelInfo:
        return self._info

    def count(self, text: str) -> int:
        return len(self._tokens(text, False))

    def measure(self, view: View) -> tuple[SegmentTokens, ...]:
        return tuple(SegmentTokens(span.kind, len(span.tokens), span.observation) for span in self._spans(view))

    def generate(
        self,
        view: View,
        *,
        sampling: Sampling,
        grammar: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        self._check_open()
        wanted = [token for span in self._spans(view) for token in span.tokens]
        if len(wanted) + sampling.max_tokens > self._info.context:
            raise ContextOverflow(
                f"{len(wanted):,} tokens and {sampling.max_tokens:,} for the reply do not fit"
                f" a context of {self._info.context:,}",
                "Use a model with a larger context, or ask something narrower.",
            )
        with Sampler(self._lib, self._vocab, sampling, grammar) as sampler:
            self._cancelled = cancelled
            try:
                yield from self._prefill(wanted)
                yield from self._write(view.opening, sampler, sampling.max_tokens)
            except Aborted:
                yield Finished(view.opening, 0, "aborted", 0.0)
            finally:
                if self._cancelled is cancelled:  # not that of a later reply, if this one was left unfinished
                    self._cancelled = lambda: False

    def _check_open(self) -> None:
        if not self._context:  # native code would end the process
            raise ModelError(f"{self._info.name} has been closed")

    def close(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
            self._lib.llama_model_free(self._model)
            self._context = self._model = None

    # ── reading and writing ──────────────────────────────────────────────────────────────────────

    def _prefill(self, wanted: list[int]) -> Iterator[Part]:
        began = time.monotonic()
        held = len(self._cache.tokens)
        self._cache.remove_from(plan(self._cache.tokens, wanted).keep)
        keep = len(self._cache.tokens)  # less than planned where the memory could not be cut
        yield Progress(0, len(wanted) - keep)
        for done in self._cache.decode(wanted[keep:]):
            yield Progress(done, len(wanted) - keep)
        yield Prefilled(keep, len(wanted) - keep, held - keep, time.monotonic() - began)

    def _write(self, opening: str, sampler: Sampler, most: int) -> Iterator[Part]:
        began = time.monotonic()
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        text, count = opening, 0
        reason: Literal["stop", "length", "aborted"] = "length"
        try:
            while count < most:
                if self._cancelled():
                    raise Aborted
                token = sampler.sample(self._context)
                if self._lib.llama_vocab_is_eog(self._vocab, token):
                    reason = "stop"
                    break
                count += 1
                if piece := decoder.decode(self._piece(token)):
                    text += piece
                    yield Text(piece)
                for _ in self._cache.decode([token]):
                    pass
        except Aborted:
            reason = "aborted"
        if tail := decoder.decode(b"", final=True):
            text += tail
            yield Text(tail)
        yield Finished(text, count, reason, time.monotonic() - began)

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────

    def _spans(self, view: View) -> list[_Span]:
        """The prompt, piece by piece. Only the template's own pieces may become special tokens."""
        spans = []
        for piece in self._template.pieces(view):
            if piece.segment is None:
                spans.append(_Span("template", 0, self._tokens(piece.text, True)))
            else:
                spans.append(_Span(piece.segment.kind, piece.segment.observation, self._tokens(piece.text, False)))
        bos = int(self._lib.llama_vocab_bos(self._vocab))
        if self._lib.llama_vocab_get_add_bos(self._vocab) and spans and spans[0].tokens[:1] != (bos,):
            spans.insert(0, _Span("template", 0, (bos,)))
        if view.opening:
            spans.append(_Span("template", 0, self._tokens(view.opening, False)))
        return spans

    def _tokenise(self, text: str, special: bool) -> tuple[int, ...]:
        """Tokens of ``text``; ``special`` lets markers in it be markers.

        Without it llama.cpp still makes markers of the kind called user-defined (``<tool_call>`` in some models), so
        that text holding one is cut inside it and tokenised on either side.
        """
        tokens = self._native_tokens(text, special)
        if special or not (markers := {mark for token in set(tokens) if (mark := self._marker(token))}):
            return tokens
        found = re.finditer("|".join(map(re.escape, markers)), text)
        inside = [match.start() + 1 for match in found] or [len(text) // 2]  # the middle, if it was spelt otherwise
        parts = (text[start:end] for start, end in pairwise([0, *inside, len(text)]))
        return tuple(token for part in parts for token in self._tokenise(part, False))

    def _find_marker(self, token: int) -> str:
        """The text of a token that a template may give a meaning to; empty for a token that is only text."""
        attributes = int(self._lib.llama_vocab_get_attr(self._vocab, token))
        if not attributes & (self._lib.LLAMA_TOKEN_ATTR_CONTROL | self._lib.LLAMA_TOKEN_ATTR_USER_DEFINED):
            return ""
        text = str(self._lib.llama_vocab_get_text(self._vocab, token).decode("utf-8", errors="replace"))
        return text if _MARKER.fullmatch(text) else ""  # some models define plain words and runs of spaces too

    def _native_tokens(self, text: str, special: bool) -> tuple[int, ...]:
        self._check_open()
        raw = text.encode("utf-8", errors="replace")
        size = len(raw) + 8
        while True:
            buffer = (ctypes.c_int32 * size)()
            found = self._lib.llama_tokenize(self._vocab, raw, len(raw), buffer, size, False, special)
            if found >= 0:
                return tuple(buffer[:found])
            size = -found

    def _piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            found = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if found >= 0:
                return buffer.raw[:found]
            size = -found

    def _metadata(self, key: str) -> str:
        size = 1024
        while True:
            buffer = ctypes.create_string_buffer(size)
            found = self._lib.llama_model_meta_val_str(self._model, key.encode(), buffer, size)
            if found < size:
                return "" if found < 0 else buffer.raw[:found].decode("utf-8", errors="replace")
            size = found + 1

    def _special(self, which: str) -> str:
        token = getattr(self._lib, f"llama_vocab_{which}")(self._vocab)
        if token < 0:
            return ""
        return str(self._lib.llama_vocab_get_text(self._vocab, token).decode("utf-8", errors="replace"))

    def _new_context(self, size: int, threads: int) -> Any:
        lib = self._lib
        params = lib.llama_context_default_params()
        params.n_ctx = size
        params.n_threads = params.n_threads_batch = threads or _free_cores()
        abort = lib.ggml_abort_callback(lambda _: bool(self._cancelled()))
        self._abort = abort  # native code holds it; Python must not free it
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            lib.llama_model_free(self._model)
            raise ModelLoadFailed(
                f"no context of {size:,} tokens: {_last_error('probably not enough memory')}",
                "Set a smaller context, or use a smaller model.",
            )
        if not lib.llama_get_memory(context):
            lib.llama_free(context)
            lib.llama_model_free(self._model)
            raise ModelLoadFailed("this model reads text but does not write any", "Use an instruct or chat model.")
        lib.llama_set_abort_callback(context, abort, ctypes.c_void_p(0))
        return context


def _library() -> Any:
    """llama.cpp's functions, with its messages caught: it prints a lot, and errors are wanted in words."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # or a failed assertion starts a debugger
    from llama_cpp import llama_cpp as lib

    if not _log:

        def log(level: int, text: bytes, _: Any) -> None:
            if level == 4:  # an error; 5 continues a line, mostly with the dots of a progress bar
                _native_errors.append(text.decode("utf-8", errors="replace").strip())

        callback = lib.llama_log_callback(log)
        _log.append(callback)
        lib.llama_log_set(callback, ctypes.c_void_p(0))
        lib.llama_backend_init()
    _native_errors.clear()
    return lib


def _last_error(otherwise: str) -> str:
    """The first complaint: those after it only say that something failed."""
    return clean_line(_native_errors[0] if _native_errors else otherwise)


def _free_cores() -> int:
    """Real cores this process may use, less one: threads that wait for a busy core slow each other down."""
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return max(1, min(cores, allowed) - 1)
