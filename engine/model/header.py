"""What a GGUF file says of itself, read from its header alone: no weights are loaded and no native code is asked.

The file may be anything, also a hostile one: every length in it is checked against what is left of the file before
anything of that length is read, and only values that can matter here are kept.
"""

from __future__ import annotations

import glob
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from engine.clean import clean_line
from engine.errors import ModelLoadFailed, ModelMissing

Value = int | float | bool | str | tuple[int | float | bool, ...]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_KEPT = 4096
"""Numbers of an array, and bytes of a string, that are kept. Longer ones (the vocabulary, the template) are counted."""

_KEY = 1024
_MOST = 1 << 17
"""Keys, and tensors, of which a header may have so many: real ones have some hundred."""

_PIECE = 1 << 20
_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")

QUANTS: Mapping[int, tuple[int, int]] = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
}
"""How many numbers each type of tensor keeps in how many bytes. A type that is not here is not measured."""


@dataclass(frozen=True)
class Header:
    """A header. ``counts`` holds the lengths of its arrays, ``tensors`` how many there are, ``size`` the file's bytes.

    ``weights`` are the bytes of all tensors; 0 where one is of a kind that is not known here.
    """

    path: Path
    size: int
    values: Mapping[str, Value] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    tensors: int = 0
    weights: int = 0

    @property
    def architecture(self) -> str:
        return clean_line(str(self.values.get("general.architecture", "")), 60)

    def number(self, key: str, otherwise: int = 0) -> int:
        """A whole number of the architecture's own keys; the largest where there is one for each layer."""
        found = self.values.get(f"{self.architecture}.{key}", otherwise)
        if isinstance(found, tuple):
            found = max(found, default=otherwise)
        return int(found) if isinstance(found, int | float) and abs(found) < 1 << 53 else otherwise

    def each(self, key: str, layers: int, otherwise: int = 0) -> Sequence[int]:
        """The number for each layer, whether the file gives one for all of them or one for each."""
        found = self.values.get(f"{self.architecture}.{key}")
        if isinstance(found, tuple):
            told = [int(each) for each in found[:layers] if abs(each) < 1 << 53]
            return [*told, *[otherwise] * (layers - len(told))]
        return [self.number(key, otherwise)] * layers

    @property
    def trained(self) -> int:
        """Tokens it was trained for, 0 where it does not say."""
        return max(0, self.number("context_length"))

    @property
    def vocabulary(self) -> int:
        return self.counts.get("tokenizer.ggml.tokens", 0) or max(0, self.number("vocab_size"))


def read_header(path: Path) -> Header:
    """The header of a model file.

    Raises ModelMissing where there is no file, and ModelLoadFailed where it is no GGUF, is damaged or is cut short.
    """
    try:
        with path.open("rb") as file:
            return _read(_Reader(file, path.stat().st_size), path)
    except FileNotFoundError as error:
        raise ModelMissing(f"there is no model file {path}", "Give the path of a .gguf file.") from error
    except OSError as error:
        raise ModelLoadFailed(f"{path.name} cannot be read: {error.strerror}") from error
    except _Damaged as error:
        raise ModelLoadFailed(
            f"{path.name} {error}", "Download it again, or name another file. Only GGUF files can be loaded."
        ) from error


class _Damaged(Exception):
    """What is wrong with the file, to be said after its name."""


class _Reader:
    """Reads on and on, never past the end of the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self.at = 0
        self._held, self._from = b"", 0

    def take(self, count: int) -> bytes:
        self.need(count)
        start = self.at - self._from
        if not 0 <= start <= len(self._held) - count:
            self._file.seek(self.at)
            self._held, self._from, start = self._file.read(max(count, _PIECE)), self.at, 0
            if len(self._held) < count:  # it became shorter while it was read
                raise _Damaged("is cut short")
        self.at += count
        return self._held[start : start + count]

    def skip(self, count: int) -> None:
        self.need(count)
        self.at += count

    def skip_texts(self, count: int) -> None:
        """Pass over so many strings: a vocabulary has some hundred thousand, so without a call for each."""
        self.need(count * 8)  # each has at least its length
        left, length_at = count, struct.Struct("<Q").unpack_from
        while left:
            self.take(8)  # the next length is held now
            at, held = self.at - 8 - self._from, self._held
            last = len(held) - 8
            while left and at <= last:
                at += 8 + length_at(held, at)[0]
                left -= 1
            self.at = self._from
            self.skip(at)

    def need(self, count: int) -> None:
        if count > self.size - self.at:
            raise _Damaged("is cut short, or damaged")

    def number(self, form: str) -> int | float:
        found: int | float = struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]
        return found

    def count(self, most: int, what: str) -> int:
        found = int(self.number("Q"))
        if found > most:
            raise _Damaged(f"is damaged: it claims to have {found:,} {what}")
        return found

    def text(self, kept: int) -> str | None:
        """The next string; None, passed over, where it is longer than what is kept."""
        length = int(self.number("Q"))
        if length > kept:
            self.skip(length)
            return None
        return self.take(length).decode("utf-8", errors="replace")


def _read(reader: _Reader, path: Path) -> Header:
    if reader.size < 24 or reader.take(4) != b"GGUF":
        raise _Damaged("is no GGUF file")
    version = int(reader.number("I"))
    if version not in (2, 3):
        raise _Damaged(f"is a GGUF of version {version}, which is not known")
    tensors, keys = reader.count(_MOST, "tensors"), reader.count(_MOST, "keys")
    values: dict[str, Value] = {}
    counts: dict[str, int] = {}
    for _ in range(keys):
        key = reader.text(_KEY)
        if key is None:
            raise _Damaged("is damaged: it has a key of more than 1,024 bytes")
        kind = int(reader.number("I"))
        if kind == _ARRAY:
            counts[key], found = _array(reader)
        else:
            found = _scalar(reader, kind)
        if found is not None:
            values[key] = found
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment > 1 << 20:
        raise _Damaged("is damaged: its alignment makes no sense")
    weights, rest = _tensors(reader, tensors, alignment), _other_parts(path)
    return Header(path, reader.size + rest, values, counts, tensors, weights + rest if weights else 0)


def _other_parts(path: Path) -> int:
    """The bytes of the other files of a model that is split over several; llama.cpp finds them by their names."""
    if not (part := _PART.search(path.name)):
        return 0
    others = path.parent.glob(f"{glob.escape(path.name[: part.start()])}-*-of-{part[1]}.gguf")
    return sum(other.stat().st_size for other in others if other.name != path.name)


def _scalar(reader: _Reader, kind: int) -> Value | None:
    if kind == _STRING:
        return reader.text(_KEPT)
    return reader.number(_form(kind))


def _array(reader: _Reader) -> tuple[int, Value | None]:
    kind, length = int(reader.number("I")), int(reader.number("Q"))
    if kind == _STRING:
        reader.skip_texts(length)
        return length, None
    form = _form(kind)
    size = struct.calcsize("<" + form)
    if length > _KEPT:
        reader.skip(length * size)
        return length, None
    return length, struct.unpack(f"<{length}{form}", reader.take(length * size))


def _form(kind: int) -> str:
    if kind not in _SCALARS:
        raise _Damaged(f"is damaged: it has a value of an unknown kind ({kind})")
    return _SCALARS[kind]


def _tensors(reader: _Reader, count: int, alignment: int) -> int:
    """The bytes of all tensors; 0 where they cannot be told. Checks that the file is long enough for each."""
    ends: list[tuple[int, int]] = []
    total, known = 0, True
    for _ in range(count):
        if reader.text(_KEY) is None:
            raise _Damaged("is damaged: a tensor has a name of more than 1,024 bytes")
        dimensions = int(reader.number("I"))
        if dimensions > 8:
            raise _Damaged(f"is damaged: a tensor has {dimensions:,} dimensions")
        numbers = 1
        for _ in range(dimensions):
            numbers *= int(reader.number("Q"))
        kind, offset = int(reader.number("I")), int(reader.number("Q"))
        block, size = QUANTS.get(kind, (1, 0))
        known = known and size > 0
        total += numbers // block * size
        ends.append((offset, numbers // block * size))
    start = -(-reader.at // alignment) * alignment
    for offset, size in ends:
        if start + offset + size > reader.size:
            raise _Damaged("is cut short: not all of its weights are there")
    return total if known else 0
