from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.segments import Message, Segment, View
from engine.errors import ModelError
from engine.model.template import ChatTemplate, Piece
from tests.engine.model.views import message, view

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{{- bos_token }}\n{%- if messages[0]['role'] == 'system' %}\n"
    "    {%- set system_message = messages[0]['content'] | trim %}\n    {%- set messages = messages[1:] %}\n"
    "{%- else %}\n    {%- set system_message = '' %}\n{%- endif %}\n"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' + system_message + '<|eot_id|>' }}\n"
    "{%- for message in messages %}\n"
    "    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim"
    " + '<|eot_id|>' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
REFUSES_SYSTEM = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}<turn>{{ message.role }}\n{{ message.content | trim }}<end>\n{% endfor %}<turn>model\n"
)
PASSES_SYSTEM_OVER = "{% for m in messages if m.role != 'system' %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
SYSTEM_IN_THE_LAST = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST]"
    "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}"
    "{{ m.content }}[/INST]{% elif m.role == 'assistant' %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
ALL = [CHATML, LLAMA, REFUSES_SYSTEM, PASSES_SYSTEM_OVER, SYSTEM_IN_THE_LAST, ""]

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["{{ bos_token }}", "{% raw %}", "<|im_end|>", "\ue0000\ue001", "\ue0001\ue001", "  \n", "]]>", "{#"]
    ),
)
bodies = st.lists(texts, min_size=1, max_size=3).map(lambda some: tuple(Segment("body", text) for text in some))


@st.composite
def conversations(draw: st.DrawFn) -> View:
    system = [Message("system", draw(bodies))] if draw(st.booleans()) else []
    rest = [Message("user", draw(bodies))]
    for _ in range(draw(st.integers(0, 3))):
        rest += [Message("assistant", draw(bodies)), Message("user", draw(bodies))]
    return View((*system, *rest))


def joined(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize("source", ALL)
@given(what=conversations())
def test_every_segment_comes_out_once_in_order_and_as_it_is(source: str, what: View) -> None:
    pieces = ChatTemplate(source, bos="<s>", eos="</s>").pieces(what)
    found = [piece.segment for piece in pieces if piece.segment is not None and piece.segment.kind != "template"]
    assert found == list(what.segments())
    assert all(piece.text == piece.segment.text for piece in pieces if piece.segment is not None)


@pytest.mark.parametrize("source", ALL)
@given(what=conversations())
def test_the_templates_own_text_does_not_depend_on_what_is_said(source: str, what: View) -> None:
    def wrappers(what: View) -> list[str]:
        return [piece.text for piece in template.pieces(what) if piece.segment is None]

    template = ChatTemplate(source, bos="<s>")
    silent = View(tuple(Message(m.role, tuple(Segment(s.kind, "") for s in m.segments)) for m in what.messages))
    assert wrappers(what) == wrappers(silent)


def test_chatml_is_rendered_like_anywhere_else() -> None:
    what = view(message("system", "You search."), message("user", "Who", " am I?"))
    assert joined(ChatTemplate(CHATML).pieces(what)) == (
        "<|im_start|>system\nYou search.<|im_end|>\n<|im_start|>user\nWho am I?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_llama_is_rendered_like_anywhere_else() -> None:
    what = view(message("system", "You search."), message("user", "Who am I?"))
    assert joined(ChatTemplate(LLAMA, bos="<|begin_of_text|>").pieces(what)) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou search.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWho am I?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_a_trimming_template_trims_no_segment() -> None:
    what = view(message("user", "  indented\n"))
    assert "user\n  indented\n<|im_end|>" in joined(ChatTemplate(CHATML).pieces(what))


@pytest.mark.parametrize("source", [REFUSES_SYSTEM, PASSES_SYSTEM_OVER, SYSTEM_IN_THE_LAST])
def test_the_system_message_goes_into_the_first_user_message_where_it_has_no_place(source: str) -> None:
    what = view(
        message("system", "You search."), message("user", "Hi."), message("assistant", "Hi!"), message("user", "So?")
    )
    told = joined(ChatTemplate(source).pieces(what))
    assert "You search.\n\nHi." in told
    assert told.count("You search.") == 1


def test_a_template_that_drops_a_message_is_an_error() -> None:
    keeps_the_last = ChatTemplate("{{ messages[-1].content }}")
    with pytest.raises(ModelError, match="drops or repeats"):
        keeps_the_last.pieces(view(message("user", "one"), message("assistant", "two"), message("user", "three")))


def test_a_template_that_repeats_a_message_is_an_error() -> None:
    with pytest.raises(ModelError, match="drops or repeats"):
        ChatTemplate("{{ messages[0].content }}{{ messages[0].content }}").pieces(view(message("user", "one")))


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('only in \x1b[31mpairs') }}",
        "{{ messages[0].content + 1 }}",
        "{{ 1 // 0 }}",
        "{{ nobody.knows }}",
        "{{ range(10 ** 9) }}",
        "{{ ''.__class__.__mro__ }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_whatever_a_template_raises_is_a_model_error_in_safe_words(source: str) -> None:
    with pytest.raises(ModelError, match="refuses the conversation") as caught:
        ChatTemplate(source).pieces(view(message("system", "You search."), message("user", "one")))
    assert str(caught.value).isprintable()


def test_a_template_that_is_none_is_an_error() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        ChatTemplate("{% for %}")


def test_tags_for_training_mean_nothing() -> None:
    tagged = "{% for m in messages %}{%- generation -%} {{ m.content }} {%- endgeneration %}{% endfor %}"
    assert joined(ChatTemplate(tagged).pieces(view(message("user", "one"), message("assistant", "two")))) == "onetwo"


def test_the_year_may_be_asked_for() -> None:
    told = joined(
        ChatTemplate("{{ strftime_now('%Y') }} {{ messages[0].content }}").pieces(view(message("user", "one")))
    )
    assert told[:4].isdigit()
