"""Makes a model's cache hold a view by the cheapest edit it knows.

A :class:`Cache` is llama.cpp's memory for one conversation and a mirror of it: which tokens sit at which positions,
span by span. :mod:`engine.model.edits` plans on the mirror, without touching anything; here the plan is carried out.

The rule that holds between any two steps: every token of the mirror sits in sequence 0 at its position, and nothing
else does. Each step either happens whole or not at all, so that an abort leaves a cache that the next plan can go on
from. Where the memory refuses a step, the cache is emptied and the view read from its beginning.

How llama.cpp wants to be treated, found by trying:

- It decodes only behind the highest position of a sequence. The middle is therefore read in a second sequence that
  borrows the cells before it, and the finished cells are then handed over (cells belong to sequences by marks alone).
- Moving cells is only noted down and done at the beginning of the next decode. Interrupted there, some layers are moved
  twice: so that decode is of one token and cannot be aborted. A state saved before it would hold the old places.
- A sliding window's cells may be overwritten once they are out of the window. Reading on from an earlier place needs
  those before it: the lowest position still held says whether they are there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import GenerationFailed
from engine.model.edits import Held, Insert, Mode, Plan, Redo, Remove, Span, plan

CHUNK = 256
"""Prompt tokens decoded at a time, at most: how often progress is told."""

_MAIN, _SCRATCH = 0, 1

SEQUENCES = 2
"""Sequences a context must allow (``n_seq_max``, with ``kv_unified``) for a cache to work in it."""


@dataclass(frozen=True)
class Memory:
    """What a model's memory can do. ``shift``: move cells, and be right afterwards. ``edit``: lose some from the middle
    at all. ``window``: the width of its sliding window in tokens, 0 for none. ``limit``: positions it was trained for.
    """

    edit: bool = True
    shift: bool = True
    window: int = 0
    limit: int = 0


class Aborted(Exception):
    """Decoding was interrupted. Mirror and memory agree on what was finished before."""


class _Refused(Exception):
    """llama.cpp did not do it; the argument says what it was. Mirror and memory may disagree: the cache must be emptied."""


class Cache:
    """One conversation in a llama.cpp context, and the only way to change it.

    ``resync``: after so many plans that carried something, the next one is strict; 0 for never.
    """

    def __init__(self, context: Any, memory: Memory = Memory(), *, mode: Mode = "strict", resync: int = 0) -> None:
        from llama_cpp import llama_cpp as lib

        self._lib = lib
        self._context = context
        self._native = lib.llama_get_memory(context)
        self._batch = lib.llama_batch_init(CHUNK, 0, 1)
        self.memory = memory
        self.mode: Mode = mode if memory.edit else "strict"
        self.resync = resync
        self.chunk = CHUNK
        self.settling = False
        """Whether what is being decoded must not be aborted. Whoever polls for an abort has to ask."""
        self._moved = False  # cells were moved, but only on paper: the next decode does it
        self._held: list[Held] = []
        self._tail: list[int] = []  # tokens behind those, not yet a span: what the model writes, or what is being read
        self._tail_at = 0
        self._carried: int | None = None  # how many tokens stand before the first one that is not exact; None: all are
        self._edits = 0  # plans that carried something, since all was exact

    def close(self) -> None:
        """Free what native code holds for this cache; not the context."""
        self._lib.llama_batch_free(self._batch)

    # ── what is held ─────────────────────────────────────────────────────────────────────────────

    @property
    def held(self) -> tuple[Held, ...]:
        """The mirror. What was read or written behind the last view's spans is one reply."""
        tail = (Held(Span(tuple(self._tail), reply=True), self._tail_at),) if self._tail else ()
        return (*self._held, *tail)

    @property
    def tokens(self) -> list[int]:
        """The tokens held, in order."""
        return [token for held in self.held for token in held.span.tokens]

    @property
    def positions(self) -> list[int]:
        """Where they sit, in the same order."""
        return [position for held in self.held for position in range(held.at, held.end)]

    @property
    def exact(self) -> int:
        """How many of them, from the first, are what a fresh context would hold."""
        return len(self) if self._carried is None else self._carried

    def __len__(self) -> int:
        return sum(len(held.span.tokens) for held in self._held) + len(self._tail)

    @property
    def _next(self) -> int:
        """The position that the next token gets."""
        if self._tail:
            return self._tail_at + len(self._tail)
        return self._held[-1].end if self._held else 0

    @property
    def consistent(self) -> bool:
        """Whether lowest and highest position are the mirror's. A window's lowest may be gone; a state has but the last."""
        positions = self.positions or [-1]
        lowest = self._lib.llama_memory_seq_pos_min(self._native, _MAIN)
        highest = self._lib.llama_memory_seq_pos_max(self._native, _MAIN)
        slid = (self.memory.window or not self.memory.edit) and lowest > positions[0]
        return bool(highest == positions[-1] and (lowest == positions[0] or slid))

    # ── following a view ─────────────────────────────────────────────────────────────────────────

    def plan(self, wanted: Sequence[Span], mode: Mode | None = None) -> Plan:
        """What following ``wanted`` would take. Changes nothing, and may be asked from any thread."""
        if self.resync and self._edits >= self.resync:
            mode = "strict"
        return plan(self.held, wanted, mode or self.mode, exact=self.exact, shift=self.memory.shift)

    def follow(self, wanted: Sequence[Span]) -> Generator[int, None, Plan]:
        """Make the cache hold ``wanted``, yielding how many tokens are read so far; returns the plan that was carried out.

        Logits of the last token are ready afterwards. Raises Aborted, or GenerationFailed after emptying the cache.
        """
        todo = self.plan(wanted)
        if not self._reaches(todo) or self._overshoots(todo):
            self.clear()
            todo = self.plan(wanted)
        empty = not len(self)
        try:
            yield from self._carry_out(todo, wanted)
        except _Refused as refused:
            self.clear()
            if empty:
                raise _failed(refused) from None
            todo = self.plan(wanted)
            try:
                yield from self._carry_out(todo, wanted)
            except _Refused as again:
                self.clear()
                raise _failed(again) from None
        return todo

    def append(self, tokens: Sequence[int]) -> Iterator[int]:
        """Read ``tokens`` behind what is held, yielding how many are done. Raises like :meth:`follow`."""
        try:
            yield from self._append(tokens)
        except _Refused as refused:
            self.clear()
            raise _failed(refused) from None

    def move_all(self, by: int) -> None:
        """Move everything held by some positions, which should change nothing: a test of whether the model can be moved."""
        self._move(0, 0, by)

    def clear(self) -> None:
        """Forget everything."""
        self._lib.llama_memory_clear(self._native, True)
        self._held.clear()
        self._tail.clear()
        self._tail_at = self._edits = 0
        self._carried = None
        self._moved = False

    # ── on disk ──────────────────────────────────────────────────────────────────────────────────

    def state(self) -> bytes:
        """What the memory holds of the conversation, as llama.cpp writes it; good for :meth:`restore` only."""
        if self._moved:  # moves on paper are not written: one token, read aside, makes them real
            self._aside(self.held[-1].span.tokens[-1:], self._next)
            self._lib.llama_memory_seq_rm(self._native, _SCRATCH, -1, -1)
        size = self._lib.llama_state_seq_get_size(self._context, _MAIN)
        state = (ctypes.c_uint8 * size)()
        return bytes(state[: self._lib.llama_state_seq_get_data(self._context, state, size, _MAIN)])

    def restore(self, state: bytes, held: Sequence[Held], exact: int) -> bool:
        """Hold what was held when ``state`` was taken; says whether it could be, and is empty if not."""
        self.clear()
        data = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if not self._lib.llama_state_seq_set_data(self._context, data, len(state), _MAIN):
            return False
        self._held = list(held)
        self._tail_at = self._next
        self._carried = exact if exact < len(self) else None
        self._edits = self._carried is not None
        if not self.consistent:
            self.clear()
            return False
        return True

    # ── carrying out a plan ──────────────────────────────────────────────────────────────────────

    def _carry_out(self, todo: Plan, wanted: Sequence[Span]) -> Iterator[int]:
        """First all that goes, then what is read in the middle, from the left, then the end."""
        self._held = list(self.held)  # the plan was made with the tail as a span, and may keep it as one
        self._tail.clear()
        place = 0
        if todo.first is not None:
            self._carried = min(todo.first, self.exact)
            self._edits += 1
        for edit in todo.edits:
            if isinstance(edit, Remove):
                self._remove(place, edit.close)
            elif not isinstance(edit, Insert):
                place += 1
        self._cut(place, todo.match)
        if self._carried is not None and self._carried >= len(self):
            self._carried, self._edits = None, 0
        done = place = 0
        for edit in todo.edits:
            if isinstance(edit, Remove):
                continue
            if isinstance(edit, Insert):
                self._insert(place, edit.span)
                yield (done := done + len(edit.span.tokens))
            elif isinstance(edit, Redo):
                self._redo(place)
                yield (done := done + len(self._held[place].span.tokens))
            place += 1
        for read in self._append(todo.append):
            yield done + read
        self._label(wanted)

    def _remove(self, place: int, close: bool) -> None:
        gone = self._held[place]
        if not self._lib.llama_memory_seq_rm(self._native, _MAIN, gone.at, gone.end):
            raise _Refused(f"remove {len(gone.span.tokens):,} tokens from the middle")
        del self._held[place]
        reader = next((n for n in range(place, len(self._held)) if self._held[n].span.reply), None)
        if reader is not None:
            self._held[reader] = self._held[reader]._replace(stale=True)
        if close:
            self._move(place, gone.end, -len(gone.span.tokens))

    def _move(self, place: int, start: int, by: int) -> None:
        """Move everything from ``start`` on, which is what is held from ``place`` on."""
        if place == len(self._held) and not self._tail:
            return
        self._lib.llama_memory_seq_add(self._native, _MAIN, start, -1, by)
        self._moved = True
        self._held[place:] = [held._replace(at=held.at + by) for held in self._held[place:]]
        self._tail_at += by

    def _cut(self, place: int, match: int) -> None:
        """Of what is held from ``place`` on keep the first ``match`` tokens, as no span in particular."""
        rest = self._held[place:]
        start = rest[0].at if match else self._held[place - 1].end if place else 0
        # Asked of the memory also where the mirror ends there: should an exception ever have come between a decode and
        # the mirror, the memory holds more, and what is appended next would land behind it.
        if start + match == 0 or not self._lib.llama_memory_seq_rm(self._native, _MAIN, start + match, -1):
            held = len(self)
            self.clear()
            if held and start + match:
                raise _Refused("drop the end of what is held")
            return
        tail = [token for held in rest for token in held.span.tokens][:match]
        del self._held[place:]
        self._tail, self._tail_at = tail, start

    def _redo(self, place: int) -> None:
        old = self._held[place]
        self._aside(old.span.tokens, old.at)
        self._lib.llama_memory_seq_rm(self._native, _MAIN, old.at, old.end)
        self._take_over(old.at, old.end)
        self._held[place] = old._replace(stale=False)

    def _insert(self, place: int, span: Span) -> None:
        at = self._held[place - 1].end if place else 0
        self._aside(span.tokens, at)
        self._move(place, at, len(span.tokens))
        self._take_over(at, at + len(span.tokens))
        self._held.insert(place, Held(span, at))
        reader = next((n for n in range(place, len(self._held)) if self._held[n].span.reply), None)
        if reader is not None:
            self._held[reader] = self._held[reader]._replace(stale=True)

    def _aside(self, tokens: Sequence[int], at: int) -> None:
        """Read ``tokens`` at ``at``, upon what stands before it, into the scratch sequence. What is held is not touched."""
        lib, native = self._lib, self._native
        lib.llama_memory_seq_rm(native, _SCRATCH, -1, -1)
        lib.llama_memory_seq_cp(native, _MAIN, _SCRATCH, 0, at)
        try:
            for start in range(0, len(tokens), self.chunk):
                self._decode(tokens[start : start + self.chunk], at + start, _SCRATCH, logits=False)
        except (Aborted, _Refused):
            lib.llama_memory_seq_rm(native, _SCRATCH, -1, -1)
            raise

    def _take_over(self, start: int, end: int) -> None:
        """Give the conversation what was read aside."""
        self._lib.llama_memory_seq_cp(self._native, _SCRATCH, _MAIN, start, end)
        self._lib.llama_memory_seq_rm(self._native, _SCRATCH, -1, -1)

    def _append(self, tokens: Sequence[int]) -> Iterator[int]:
        if not self._tail:
            self._tail_at = self._next
        for start in range(0, len(tokens), self.chunk):
            chunk = tokens[start : start + self.chunk]
            before = self._next
            try:
                self._decode(chunk, before, _MAIN, logits=start + len(chunk) == len(tokens))
            except Aborted:
                done = self._lib.llama_memory_seq_pos_max(self._native, _MAIN) + 1 - before
                if not self.memory.edit or not 0 <= done <= len(chunk):
                    self.clear()  # a state that was being written when it was broken off is spoilt
                else:
                    self._tail += chunk[:done]
                raise
            self._tail += chunk
            yield start + len(chunk)

    def _label(self, wanted: Sequence[Span]) -> None:
        """All of ``wanted`` is held now: the tail becomes its last spans."""
        at = self._tail_at
        for span in wanted[len(self._held) :]:
            self._held.append(Held(span, at))
            at += len(span.tokens)
        self._tail.clear()

    # ── llama.cpp ────────────────────────────────────────────────────────────────────────────────

    def _decode(self, tokens: Sequence[int], at: int, sequence: int, *, logits: bool) -> None:
        """One call, of at most CHUNK tokens; ``logits`` of the last one. Raises Aborted or _Refused."""
        if self._moved:
            self.settling = True
            try:
                self._call(tokens[:1], at, sequence, logits=logits and len(tokens) == 1)
            finally:
                self.settling = False
            self._moved = False
            tokens, at = tokens[1:], at + 1
        if tokens:
            self._call(tokens, at, sequence, logits=logits)

    def _call(self, tokens: Sequence[int], at: int, sequence: int, *, logits: bool) -> None:
        batch = self._batch
        for n, token in enumerate(tokens):
            batch.token[n] = token
            batch.pos[n] = at + n
            batch.n_seq_id[n] = 1
            batch.seq_id[n][0] = sequence
            batch.logits[n] = False
        batch.logits[len(tokens) - 1] = logits
        batch.n_tokens = len(tokens)
        status = self._lib.llama_decode(self._context, batch)
        if status == 2:
            raise Aborted
        if status != 0:
            raise _Refused(f"decode {len(tokens):,} tokens at {at:,} (status {status})")

    def _reaches(self, todo: Plan) -> bool:
        """Whether all that reading on needs is still there. Only a sliding window loses anything."""
        if not self.memory.window or not len(self):
            return True
        if todo.first is None and not todo.drop:
            return True
        token = len(self) - todo.drop if todo.first is None else todo.first
        position = self.positions[min(token, len(self) - 1)]
        lowest = int(self._lib.llama_memory_seq_pos_min(self._native, _MAIN))
        return lowest <= max(
            0, position - self.memory.window + 1
        )  # a token sees itself and what is less than a window away

    def _overshoots(self, todo: Plan) -> bool:
        """Whether gaps have driven the positions beyond those the model was trained for."""
        return bool(self.memory.limit and self._next > len(self) and self._next + len(todo.append) > self.memory.limit)


def _failed(refused: _Refused) -> GenerationFailed:
    return GenerationFailed(f"llama.cpp could not {refused}", "Ask again. If it happens often, use a smaller context.")
