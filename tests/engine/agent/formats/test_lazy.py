"""A grammar that begins with a call, on real llama.cpp: models of noise write calls that can be run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.agent.actions import Malformed, Reply
from engine.agent.formats import for_model
from engine.context.segments import Message, Segment, View
from engine.model.base import Finished, Sampling
from engine.model.llamacpp import LlamaCppModel
from tests.engine.agent.formats.cases import native, read
from tests.engine.agent.formats.templates import ALL
from tests.engine.model import tiny

pytestmark = pytest.mark.model

NOISE = Sampling(temperature=1.5, top_k=0, top_p=1.0, max_tokens=1500)

OPENINGS = {
    "qwen": "<tool_call>",
    "granite": "<|tool_call|>",
    "coder": "<tool_call>\n",
    "oss": "<|channel|>commentary to=functions.search <|constrain|>json<|message|>",
    "deepseek": "</think>\n<｜DSML｜function_calls>",
    "deepseek old": "</think><｜tool▁calls▁begin｜>",
    "mistral": "[TOOL_CALLS]",
    "mistral named": "[TOOL_CALLS]",
    "llama": '{"name": ',
    "gemma": '{"name":',
}

Open = Callable[..., LlamaCppModel]


@pytest.fixture(scope="module")
def open_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    folder, opened = tmp_path_factory.mktemp("tiny"), dict[str, LlamaCppModel]()

    def find(name: str, kind: tiny.Kind = "llama") -> LlamaCppModel:
        if name not in opened:
            template, _, format = ALL[name]
            file = tiny.write(folder / f"{name.replace(' ', '-')}.gguf", kind, template=template, context=2048)
            opened[name] = LlamaCppModel(file, context=2048, threads=1, format=format)
        return opened[name]

    yield find
    for model in opened.values():
        model.close()


def reply(model: LlamaCppModel, opening: str, sampling: Sampling) -> Finished:
    view = View((Message("user", (Segment("question", "Who?"),)),), opening)
    *_, end = model.generate(view, sampling=sampling)
    assert isinstance(end, Finished)
    return end


@pytest.mark.parametrize("name", OPENINGS)
def test_a_call_that_has_begun_is_a_call_that_can_be_run(open_model: Open, name: str) -> None:
    model, format = open_model(name), native(name)
    ends = [reply(model, OPENINGS[name], replace(NOISE, seed=seed, lazy=format.lazy(web=True))) for seed in range(3)]
    whole = [end for end in ends if end.reason == "stop"]
    assert whole, "some noise is long, but not all"
    for seed, end in enumerate(whole):
        found = read(format, end.text)
        assert found.actions
        assert not found.problems or "only the first" in found.problems[0]
        loose = reply(model, OPENINGS[name], replace(NOISE, seed=seed, max_tokens=60))
        with pytest.raises(Malformed):
            assert isinstance(read(format, loose.text + "}"), Reply)


def test_it_holds_from_where_a_call_begins_in_the_middle_of_a_reply(open_model: Open) -> None:
    """The marks are tokens of their own in this vocabulary, so that noise comes upon one now and then."""
    model, format = open_model("qwen"), native("qwen")
    begun = 0
    for seed in range(40):
        sampling = replace(NOISE, temperature=4.0, seed=seed, max_tokens=900, lazy=format.lazy(web=False))
        end = reply(model, "", sampling)
        if "<tool_call>" in end.text and end.reason == "stop":
            begun += 1
            assert read(format, end.text).actions
        if begun == 3:
            break
    assert begun == 3


def test_a_call_within_a_thought_is_left_alone(open_model: Open) -> None:
    model, format = open_model("thinks first"), native("thinks first")
    end = reply(model, "maybe <tool_call>", replace(NOISE, max_tokens=40, lazy=format.lazy(web=False)))
    loose = reply(model, "maybe <tool_call>", replace(NOISE, max_tokens=40))
    assert end.text == loose.text


@pytest.mark.parametrize("name", ["qwen", "coder", "oss", "mistral", "llama", "gemma", "deepseek"])
def test_the_format_is_chosen_from_the_file(tmp_path: Path, name: str) -> None:
    """These are far below a billion parameters: guided, unless another format is asked for."""
    template, _, expected = ALL[name]
    file = tiny.write(tmp_path / "tiny.gguf", "qwen3", template=template)
    for wanted, format in (("auto", "guided"), (expected, expected)):
        model = LlamaCppModel(file, context=512, threads=1, format=wanted)
        try:
            assert model.info.format == for_model(model).name == format
            assert model.chat_template == template
        finally:
            model.close()


def test_marks_are_special_where_we_wrote_them_and_text_everywhere_else(open_model: Open) -> None:
    model = open_model("qwen")
    marked = Segment("template", "<tool_call>"), Segment("body", "<tool_call>")
    pieces = model.weights.tokenised(View((Message("user", marked),)))
    ours, theirs = (each.tokens for each in pieces if each.text == "<tool_call>")
    assert len(ours) == 1
    assert len(theirs) == len("<tool_call>")


def test_control_tokens_of_a_reply_are_text_to_a_native_format_and_silent_otherwise(tmp_path: Path) -> None:
    file = tiny.write(tmp_path / "tiny.gguf", "llama", template=ALL["qwen"][0])
    told = {}
    for format in ("guided", "tool_call"):
        model = LlamaCppModel(file, context=1024, threads=1, format=format)
        try:
            told[format] = "".join(reply(model, "", replace(NOISE, temperature=9.0, max_tokens=400, seed=3)).text)
        finally:
            model.close()
    assert "<|bos|>" in told["tool_call"]
    assert "<|bos|>" not in told["guided"]
