"""A GGUF file through llama.cpp, in this process, on its low-level interface.

Native code can end the process without an exception, so the application runs this in a child (``engine.host``).
"""

from __future__ import annotations

import codecs
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from engine.context.segments import View
from engine.errors import ContextOverflow, ModelError
from engine.model import saved
from engine.model.base import Finished, Part, Piece, Prefilled, Price, Progress, Sampling, Saved, Text
from engine.model.edits import Mode, Plan, Span
from engine.model.families import GUIDED
from engine.model.kv import Aborted, Cache
from engine.model.sampling import Sampler
from engine.model.weights import USUAL, MemoryOptions, Weights
from engine.protocol import ModelInfo, SegmentTokens

_REMEMBERED = 256
"""Replies whose very tokens are remembered: their text, tokenised again, may give others."""


class LlamaCppModel:
    """A loaded model with one context. Implements :class:`engine.model.base.LanguageModel`.

    ``context`` tokens at most, never more than the model was trained for. ``threads`` 0 leaves one real core free.
    ``mode`` and ``resync`` say how the cache follows a view (:mod:`engine.model.edits`, :class:`engine.model.kv.Cache`);
    ``shift`` False leaves gaps where the memory could be moved, for models that are wrong after a move; ``memory``
    says how keys and values are kept.
    ``path`` may be weights that are loaded already; ``own`` False does not free them with this model. ``note`` says in
    words what following views in this mode means, for :class:`ModelInfo`. ``format`` is how the model is spoken to
    (:mod:`engine.model.families`); weights that are loaded already know theirs.
    Raises ModelMissing or ModelLoadFailed.
    """

    def __init__(
        self,
        path: str | Path | Weights,
        *,
        context: int = 8192,
        threads: int = 0,
        name: str = "",
        mode: Mode = "strict",
        resync: int = 0,
        shift: bool = True,
        memory: MemoryOptions = USUAL,
        note: str = "",
        own: bool = True,
        format: str = "auto",
    ) -> None:
        self._own = own
        self.weights = weights = path if isinstance(path, Weights) else Weights(path, format)
        self._lib = weights.lib
        self._cancelled: Callable[[], bool] = lambda: False
        try:
            self.context = weights.context(
                min(context, weights.trained) if weights.trained else context, threads, self._must_stop, memory
            )
        except ModelError:
            self._close_weights()
            raise
        self.cache = Cache(self.context.native, self.context.able(shift=shift), mode=mode, resync=resync)
        self._written: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._info = ModelInfo(
            name or weights.path.stem,  # the name inside the file is often that of a training run
            str(weights.path),
            weights.format,
            weights.parameters,
            self.context.size,
            weights.trained,
            weights.path.stat().st_size,
            self.cache.mode,
            note,
        )

    # ── LanguageModel ────────────────────────────────────────────────────────────────────────────

    @property
    def info(self) -> ModelInfo:
        return self._info

    def tell(self, *, note: str, memory: int, gpu: str) -> None:
        """Say in :attr:`info` what whoever loaded it knows of it."""
        self._info = replace(self._info, note=note, memory=memory, gpu=gpu)

    @property
    def chat_template(self) -> str:
        return self.weights.chat_template

    def count(self, text: str) -> int:
        return len(self.weights.tokens(text, False))

    def measure(self, view: View) -> tuple[SegmentTokens, ...]:
        return tuple(SegmentTokens(piece.kind, piece.tokens, piece.observation) for piece in self.pieces(view))

    def pieces(self, view: View) -> tuple[Piece, ...]:
        return tuple(
            Piece(each.kind, len(self._tokens(each.kind, each.text, each.tokens)), each.observation, each.text)
            for each in self.weights.tokenised(view)
        )

    def price(self, view: View) -> Price:
        todo = self.cache.plan(self.spans(view))
        return Price(todo.kept, todo.decoded, todo.removed + todo.drop)

    def generate(
        self,
        view: View,
        *,
        sampling: Sampling,
        grammar: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        self._check_open()
        wanted = self.spans(view)
        self._check_room(wanted, sampling.max_tokens)
        with Sampler(self._lib, self.weights.vocab, sampling, grammar) as sampler:
            self._cancelled = cancelled
            try:
                yield from self._read(wanted)
                yield from self._write(view.opening, sampler, sampling.max_tokens)
            except Aborted:
                yield Finished(view.opening, 0, "aborted", 0.0)
            finally:
                if self._cancelled is cancelled:  # not that of a later reply, if this one was left unfinished
                    self._cancelled = lambda: False

    def save(self, file: Path, *, key: str, most: int) -> Saved:
        size = saved.save(self.cache, file, self._fit(key), most=most)
        return Saved(len(self.cache) if size else 0, size)

    def restore(self, file: Path, *, key: str) -> int:
        if not saved.restore(self.cache, file, self._fit(key), room=self._info.context):
            return 0
        for held in self.cache.held:
            if held.span.reply:
                written = b"".join(map(self.weights.text, held.span.tokens))
                self._remember(written.decode("utf-8", errors="replace"), held.span.tokens)
        return len(self.cache)

    def _fit(self, key: str) -> dict[str, object]:
        """All that a saved cache depends on."""
        import llama_cpp

        options = {**asdict(self.context.options), "flash": self.context.flash}
        return {"model": key, "llama": str(llama_cpp.__version__), **options}

    def close(self) -> None:
        if self.context.native:
            self.cache.close()
            self.context.close()
            self._close_weights()

    # ── for measurements: what a model would say of a reply that is known ────────────────────────

    def spans(self, view: View) -> list[Span]:
        """The prompt as the cache follows it."""
        return [
            Span(
                self._tokens(piece.kind, piece.text, piece.tokens),
                piece.observation if piece.kind == "body" else 0,
                piece.kind in ("call", "thought", "answer"),
            )
            for piece in self.weights.tokenised(view)
            if piece.tokens
        ]

    def read(self, view: View) -> Prefilled:
        """Make the cache hold ``view``, without writing a reply."""
        *_, last = self._read(self.spans(view))
        assert isinstance(last, Prefilled)  # noqa: S101 - what _read ends with
        return last

    def force(self, text: str, listen: Callable[[], None] = lambda: None) -> int:
        """Write ``text`` as the reply, token by token as if drawn; ``listen`` is called before each. Returns how many."""
        tokens = self.weights.tokens(text, False)
        for token in tokens:
            listen()
            self._step(token)
        self._remember(text, tokens)
        return len(tokens)

    def logits(self) -> Any:
        """The next token's logits, as a new numpy array: after :meth:`read`, and before each token of :meth:`force`."""
        import numpy as np

        size = self._lib.llama_vocab_n_tokens(self.weights.vocab)
        return np.ctypeslib.as_array(self._lib.llama_get_logits_ith(self.context.native, -1), (size,)).copy()

    # ── reading and writing ──────────────────────────────────────────────────────────────────────

    def _read(self, wanted: Sequence[Span]) -> Iterator[Part]:
        began = time.monotonic()
        total = self.cache.plan(wanted).decoded
        yield Progress(0, total)
        steps = self.cache.follow(wanted)
        while True:
            try:
                done = next(steps)
            except StopIteration as stop:
                todo: Plan = stop.value
                break
            yield Progress(done, max(done, total))
        gone = todo.removed + todo.drop
        yield Prefilled(todo.kept, todo.decoded, gone, time.monotonic() - began, self.cache.mode, todo.redone)

    def _write(self, opening: str, sampler: Sampler, most: int) -> Iterator[Part]:
        began = time.monotonic()
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        text, written = opening, list[int]()
        sampler.wrote(text)
        reason: Literal["stop", "length", "aborted"] = "length"
        try:
            while len(written) < most:
                if self._cancelled():
                    raise Aborted
                token = sampler.sample(self.context.native)
                if self._lib.llama_vocab_is_eog(self.weights.vocab, token):
                    reason = "stop"
                    break
                written.append(token)
                if piece := decoder.decode(self.weights.text(token, marks=self.weights.format != GUIDED)):
                    text += piece
                    sampler.wrote(text)
                    yield Text(piece)
                self._step(token)
        except Aborted:
            reason = "aborted"
        if tail := decoder.decode(b"", final=True):
            text += tail
            yield Text(tail)
        if reason != "aborted":
            self._remember(text, (*self.weights.tokens(opening, False), *written))
        yield Finished(text, len(written), reason, time.monotonic() - began)

    def _step(self, token: int) -> None:
        for _ in self.cache.append((token,)):
            pass

    # ── the tokens of a reply are those that were written ────────────────────────────────────────

    def _remember(self, text: str, tokens: tuple[int, ...]) -> None:
        if any(map(self.weights.marker, tokens)):  # a marker the model wrote is text when it is read again
            return
        self._written[text] = tokens
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    def _tokens(self, kind: str, text: str, tokens: tuple[int, ...]) -> tuple[int, ...]:
        return self._written.get(text, tokens) if kind == "call" else tokens

    # ── ──────────────────────────────────────────────────────────────────────────────────────────

    def _must_stop(self) -> bool:
        return not self.cache.settling and bool(self._cancelled())

    def _check_open(self) -> None:
        if not self.context.native:  # native code would end the process
            raise ModelError(f"{self._info.name} has been closed")

    def _check_room(self, wanted: Sequence[Span], reply: int) -> None:
        tokens = sum(len(span.tokens) for span in wanted)
        if tokens + reply > self._info.context:
            raise ContextOverflow(
                f"{tokens:,} tokens and {reply:,} for the reply do not fit a context of {self._info.context:,}",
                "Use a model with a larger context, or ask something narrower.",
            )

    def _close_weights(self) -> None:
        if self._own:
            self.weights.close()
