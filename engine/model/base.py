"""The seam to language models: a view in, a stream of parts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from engine.context.segments import View
from engine.protocol import ModelInfo, SegmentKind, SegmentTokens


@dataclass(frozen=True)
class Lazy:
    """A grammar that holds from some place of a reply on.

    ``root`` is given the reply so far, after each token, and names the rule that all further text must match; empty
    where none does yet. A rule has to allow white space first: the token that ended the text may have brought some.
    """

    rules: str
    root: Callable[[str], str]


@dataclass(frozen=True)
class Sampling:
    """How a reply is drawn. ``temperature`` 0 is greedy. ``max_tokens`` is the most the reply may be long.

    ``lazy`` is a grammar for part of the reply; a model that cannot follow one passes it over.
    """

    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    repeat_penalty: float = 1.0
    seed: int = 0
    max_tokens: int = 256
    lazy: Lazy | None = None


@dataclass(frozen=True)
class Progress:
    """Prompt tokens decoded so far, of those that have to be."""

    done: int
    total: int


@dataclass(frozen=True)
class Prefilled:
    """The cache now holds the view: tokens kept, read anew and dropped, and how long that took.

    ``mode`` is how the cache follows views; ``repaired`` of the tokens read were read again to mend what was carried.
    """

    reused: int
    decoded: int
    removed: int
    seconds: float
    mode: str = "strict"
    repaired: int = 0


@dataclass(frozen=True)
class Price:
    """What showing a view to the model would take now: tokens kept in its cache, read, and dropped from it."""

    reused: int
    decoded: int
    removed: int


@dataclass(frozen=True)
class Saved:
    """What was written of a cache: its tokens, and the file's bytes. Both 0 where nothing was."""

    tokens: int
    bytes: int


@dataclass(frozen=True)
class Text:
    """New text of the reply, whole characters only."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The end. ``text`` is the whole reply, with the view's ``opening`` in front."""

    text: str
    tokens: int
    reason: Literal["stop", "length", "aborted"]
    seconds: float


Part = Progress | Prefilled | Text | Finished


@dataclass(frozen=True)
class Piece:
    """A piece of a prompt, the template's own ones included: its size in tokens, and its text as the model reads it."""

    kind: SegmentKind
    tokens: int
    observation: int
    text: str


class LanguageModel(Protocol):
    """A model that reads views. It owns its cache and knows nothing of masking. Used from one thread at a time,
    but for :meth:`price`.
    """

    @property
    def info(self) -> ModelInfo:
        """What is loaded."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a piece of plain text."""
        ...

    def measure(self, view: View) -> tuple[SegmentTokens, ...]:
        """The exact size of each piece of the view, template pieces included, in order."""
        ...

    def price(self, view: View) -> Price:
        """What :meth:`generate` would have to do to read ``view`` now. May be asked from any thread, at any time."""
        ...

    def generate(
        self,
        view: View,
        *,
        sampling: Sampling,
        grammar: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        """Read the view and reply to it, held to ``grammar`` (GBNF, root ``root``) if one is given.

        Ends with :class:`Finished`; with reason ``aborted`` within 200 ms of ``cancelled()`` turning true.
        Raises ContextOverflow if view and ``max_tokens`` do not fit, GenerationFailed if decoding fails.
        """
        ...

    def close(self) -> None:
        """Free the model. It cannot be used afterwards."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A model that can tell its whole prompt. One behind a server fills a template of its own, which nobody else sees."""

    def pieces(self, view: View) -> tuple[Piece, ...]:
        """What :meth:`LanguageModel.measure` counts, with its text."""
        ...


@runtime_checkable
class Templated(Protocol):
    """A model that comes with a chat template of its own."""

    @property
    def chat_template(self) -> str:
        """The template's source, empty if there is none."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """A model whose cache can be kept on disk."""

    def save(self, file: Path, *, key: str, most: int) -> Saved:
        """Write the cache to a file of ``most`` bytes at the most, for :meth:`restore`.

        ``key`` names the model's file by its contents. Raises OSError.
        """
        ...

    def restore(self, file: Path, *, key: str) -> int:
        """Hold again what was saved; returns how many tokens, 0 if the file is not there or not this model's."""
        ...
