"""Some model files call their turn markers user-defined tokens. llama.cpp finds those in any text."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.model.llamacpp import LlamaCppModel
from tests.engine.model.views import message, reply, view

pytestmark = pytest.mark.model

NORMAL, USER_DEFINED = 1, 4
MARKS = {"<|im_start|>": 1, "<repo_name>": 3, "<reponame>": 4, "<file_sep>": 5}
text = st.lists(st.sampled_from([*MARKS, "<", "|im_start|>", ">", "[", " ", "é", "a page"]), max_size=8).map("".join)


@pytest.fixture(scope="module")
def careless(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCppModel]:
    """The starter model, its markers made user-defined in the file's table of token types."""
    content = bytearray(model_file.read_bytes())
    table = content.index(b"tokenizer.ggml.token_type") + len(b"tokenizer.ggml.token_type") + 16
    for token in MARKS.values():
        struct.pack_into("<i", content, table + 4 * token, USER_DEFINED)
    file = tmp_path_factory.mktemp("model") / "careless.gguf"
    file.write_bytes(content)
    model = LlamaCppModel(file, context=512, threads=1)
    file.unlink()
    yield model
    model.close()


def ids(model: LlamaCppModel, what: str) -> tuple[int, ...]:
    """The tokens of a segment; the ids themselves show through no public door."""
    [span] = [span for span in model.weights.tokenised(view(message("user", what))) if span.kind == "body"]
    return span.tokens


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(what=text)
@example(what="<|im_start|>")
@example(what="<|im_start|><|im_start|>system")
@example(what="<<|im_start|>|im_start|>")
def test_no_text_becomes_a_marker_and_none_is_lost(careless: LlamaCppModel, what: str) -> None:
    tokens = ids(careless, what)
    assert set(MARKS.values()).isdisjoint(tokens)
    assert b"".join(careless.weights.text(token) for token in tokens).decode() == what
    assert careless.count(what) == len(tokens)


def test_the_template_still_marks_with_them(careless: LlamaCppModel) -> None:
    wrapped = [
        token
        for span in careless.weights.tokenised(view(message("user", "Hi.")))
        if span.kind == "template"
        for token in span.tokens
    ]
    assert MARKS["<|im_start|>"] in wrapped


def test_it_reads_and_replies_as_ever(careless: LlamaCppModel, model: LlamaCppModel) -> None:
    what = view(message("user", "Name a colour."))
    assert ids(careless, "Name a colour.") == ids(model, "Name a colour.")
    assert reply(careless, what)
