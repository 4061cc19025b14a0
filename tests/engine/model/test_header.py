"""What a GGUF header says, read without its weights; and that nothing in a damaged one does any harm."""

from __future__ import annotations

import contextlib
import random
import struct
import tracemalloc
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelError, ModelLoadFailed, ModelMissing
from engine.model.catalogue import starter_model
from engine.model.header import QUANTS, Header, read_header
from tests.engine.model import tiny


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny.write(tmp_path_factory.mktemp("tiny") / "llama.gguf", "llama", context=4096).read_bytes()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken") / "broken.gguf"


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_it_says_what_another_reader_says(tmp_path: Path, kind: tiny.Kind) -> None:
    path = tiny.write(tmp_path / "tiny.gguf", kind, context=4096)
    header, other = read_header(path), gguf.GGUFReader(path)
    scalars = [name for name, value in header.values.items() if not isinstance(value, tuple)]
    assert "general.architecture" in scalars
    for name in scalars:
        told = other.fields[name].contents()
        assert header.values[name] == (pytest.approx(told) if isinstance(told, float) else told)
    for name, count in header.counts.items():
        assert count == len(other.fields[name].data)
    assert header.tensors == len(other.tensors)
    assert header.weights == sum(int(tensor.n_bytes) for tensor in other.tensors)
    assert header.trained == 4096 and header.size == path.stat().st_size


def test_the_starter_model_is_read(tmp_path: Path) -> None:
    path = starter_model()
    assert path is not None
    header = read_header(path)
    assert (header.architecture, header.trained, header.vocabulary) == ("llama", 8192, 49_152)
    assert 0.95 < header.weights / header.size < 1


def test_the_sizes_of_every_type_are_those_of_the_library_that_writes_them() -> None:
    for kind, told in gguf.GGML_QUANT_SIZES.items():
        assert QUANTS.get(int(kind), tuple(told)) == tuple(told), kind
    assert set(QUANTS) <= {int(kind) for kind in gguf.GGML_QUANT_SIZES}
    assert len(QUANTS) > 30


def test_a_model_in_several_files_is_as_large_as_all_of_them(tmp_path: Path) -> None:
    whole = tiny.write(tmp_path / "big-00001-of-00003.gguf", "llama")
    alone = read_header(whole)
    (tmp_path / "big-00002-of-00003.gguf").write_bytes(b"x" * 1000)
    (tmp_path / "big-00003-of-00003.gguf").write_bytes(b"x" * 500)
    (tmp_path / "other-00002-of-00003.gguf").write_bytes(b"x" * 7000)
    header = read_header(whole)
    assert (header.size - alone.size, header.weights - alone.weights) == (1500, 1500)


def test_what_is_not_there_or_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        read_header(tmp_path / "none.gguf")
    with pytest.raises(ModelLoadFailed, match="cannot be read"):
        read_header(tmp_path)
    page = tmp_path / "page.gguf"
    page.write_text("<html>not found</html>" * 9)
    with pytest.raises(ModelLoadFailed, match=r"page\.gguf is no GGUF file"):
        read_header(page)


def test_a_download_that_was_cut_short_is_noticed(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "part.gguf"
    for share in (0.1, 0.5, 0.9, 0.999):
        path.write_bytes(sound[: int(len(sound) * share)])
        with pytest.raises(ModelLoadFailed, match="cut short"):
            read_header(path)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (4, struct.pack("<I", 9), "version 9"),
        (8, struct.pack("<Q", 1 << 60), "tensors"),
        (16, struct.pack("<Q", 1 << 60), "keys"),
        (24, struct.pack("<Q", 1 << 62), "key of more than|cut short"),
    ],
)
def test_claims_that_make_no_sense_are_refused(tmp_path: Path, sound: bytes, at: int, value: bytes, said: str) -> None:
    path = tmp_path / "claims.gguf"
    path.write_bytes(sound[:at] + value + sound[at + len(value) :])
    with pytest.raises(ModelLoadFailed, match=said):
        read_header(path)


@given(data=st.data())
@settings(max_examples=300)
def test_a_header_with_wrong_bytes_is_read_or_refused_in_words(data: st.DataObject, sound: bytes, broken: Path) -> None:
    raw = bytearray(sound)
    end = data.draw(st.sampled_from([200, 3000, len(raw)]))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, end - 9))
        wrong = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8])))
        raw[place : place + len(wrong)] = wrong
    broken.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]) if data.draw(st.booleans()) else bytes(raw))
    try:
        header = read_header(broken)
    except ModelError as error:
        assert str(error).startswith("broken.gguf") and error.hint
    else:
        assert isinstance(header, Header)
        _ = header.architecture, header.trained, header.vocabulary, header.each("attention.head_count_kv", 8)


def test_nothing_in_a_header_makes_it_take_much_memory(tmp_path: Path, sound: bytes) -> None:
    chance, path = random.Random(3), tmp_path / "hungry.gguf"
    tracemalloc.start()
    try:
        for _ in range(200):
            raw = bytearray(sound)
            for _ in range(4):
                place = chance.randrange(8, 3000)
                raw[place : place + 8] = struct.pack("<Q", chance.choice([1 << 30, 1 << 40, 1 << 63, len(raw) // 8]))
            path.write_bytes(raw)
            with contextlib.suppress(ModelError):
                read_header(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20
