from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.context.segments import View
from engine.errors import GenerationFailed
from engine.model.base import Finished, Prefilled, Sampling
from engine.model.llamacpp import LlamaCppModel
from tests.engine.model.views import ask, message, only, parts, prefilled, reply, view

pytestmark = pytest.mark.model

LONG = "The lamp on the rock was lit each night at dusk by the keeper and by no one else. " * 24

views = st.lists(st.sampled_from(["A page.", "Another one.", LONG]), min_size=1, max_size=4).map(
    lambda bodies: view(*[message("user", body) for body in bodies])
)


def mirrored(model: LlamaCppModel, what: View) -> bool:
    """Whether the memory holds what the mirror says, and that is a beginning of the view, perhaps with a reply."""
    wanted = [token for span in model._spans(what) for token in span.tokens]
    held = model._cache.tokens
    return model._cache.consistent and all(old == new for old, new in zip(held, wanted, strict=False))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(st.tuples(views, st.integers(0, 3000), st.integers(1, 12)), min_size=1, max_size=3))
def test_mirror_and_memory_agree_wherever_a_reply_is_broken_off(
    model: LlamaCppModel, some: list[tuple[View, int, int]]
) -> None:
    """``polls``: how often native code may ask before it is told to stop. ``listens``: how many parts are listened to."""
    for what, polls, listens in some:
        left = iter(range(polls))
        stream = model.generate(
            what, sampling=Sampling(max_tokens=4), cancelled=lambda left=left: next(left, None) is None
        )
        for _ in range(listens):
            next(stream, None)
        stream.close()
        assert mirrored(model, what)
    last = some[-1][0]
    cost = prefilled(model, last)
    assert cost.reused + cost.decoded == sum(size.tokens for size in model.measure(last))
    assert mirrored(model, last)


def test_a_failed_decode_is_an_error_and_the_next_call_starts_clean(
    model: LlamaCppModel, load: Callable[[], LlamaCppModel]
) -> None:
    reply(model, ask("Something else."))
    beyond = 10**6  # no vocabulary has such a token, so llama.cpp refuses the batch
    with pytest.raises(GenerationFailed, match="could not decode 2 tokens after") as caught:
        list(model._cache.decode([1, beyond]))
    assert caught.value.hint
    assert model._cache.tokens == []
    assert model._cache.consistent
    fresh = load()
    stream = parts(model, ask("Name a colour."))
    assert only(Prefilled, stream).reused == 0
    assert only(Finished, stream).text == reply(fresh, ask("Name a colour."))
    fresh.close()


def test_a_memory_that_holds_more_than_the_mirror_is_put_right(model: LlamaCppModel) -> None:
    """As it is after an exception, Ctrl-C say, between a decode and the mirror."""
    first = view(message("user", "One."))
    reply(model, first)
    shared = sum(size.tokens for size in model.measure(first)[:-1])
    del model._cache.tokens[shared - 1 :]
    assert not model._cache.consistent
    longer = view(*first.messages, message("user", "Name a colour."))
    assert prefilled(model, longer).reused == shared - 1, (
        "nothing in the mirror has to go: it is a beginning of this view"
    )
    assert mirrored(model, longer)
