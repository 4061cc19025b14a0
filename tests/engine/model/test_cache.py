"""The cache on the starter model: mirror and memory agree, whatever was edited and wherever it was broken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.context.segments import Message, Segment, View
from engine.errors import GenerationFailed
from engine.model.base import Finished, Prefilled
from engine.model.edits import MODES, Mode, Span
from engine.model.llamacpp import LlamaCppModel
from engine.model.weights import Weights
from tests.engine.model import tiny
from tests.engine.model.cells import NOISE, divergence, positions
from tests.engine.model.views import ask, message, only, parts, prefilled, reply, view

pytestmark = pytest.mark.model

PAGE = "The lamp on the rock was lit each night at dusk by the keeper and by no one else. "


@dataclass(frozen=True)
class Look:
    """A view of a run: so many turns done, these bodies hidden; a fork is a run that went otherwise from turn 2 on."""

    turns: int
    hidden: frozenset[int] = frozenset()
    fork: bool = False

    def view(self) -> View:
        messages = [message("system", "You read pages.", kind="system"), message("user", "What do they say?")]
        for number in range(1, self.turns + 1):
            word = "lower" if self.fork and number > 1 else "upper"
            header = Segment("header", f"[{number}] Page {number}\n", number)
            body = Segment("body", f"Page {number}, {word} half: {number * number + 7}. {PAGE * 2}\n", number)
            shown = (header,) if number in self.hidden else (header, body)
            messages += [message("assistant", f"open page {number}, {word} half", kind="call"), Message("user", shown)]
        return view(*messages)


looks = st.builds(Look, st.integers(1, 5), st.frozensets(st.integers(1, 5), max_size=4), st.booleans())


def check(model: LlamaCppModel, what: View | None = None) -> None:
    """Whether the memory holds what the mirror says, all of it and nothing else, and that is a beginning of the view."""
    cache = model.cache
    assert cache.consistent
    if cache.memory.edit and not cache.memory.window and model.context.can_shift:  # else a state is written otherwise
        assert positions(model) == cache.positions
        assert positions(model, sequence=1) == []
    if what is not None:
        wanted = [token for span in model.spans(what) for token in span.tokens]
        assert all(old == new for old, new in zip(cache.tokens, wanted, strict=False))


@pytest.fixture(scope="module")
def by_mode(load: Callable[..., LlamaCppModel]) -> dict[Mode, LlamaCppModel]:
    return {mode: load(mode=mode) for mode in MODES}


def polled(most: int) -> Callable[[], bool]:
    """A stop that comes when native code, or ours, has asked so often."""
    left = iter(range(most))
    return lambda: next(left, None) is None


# ── following ────────────────────────────────────────────────────────────────────────────────────

Visit = tuple[Look, list[int]]
visits = st.lists(st.tuples(looks, st.lists(st.integers(0, 1500), max_size=2)), min_size=1, max_size=5)


def visit(model: LlamaCppModel, some: Sequence[Visit], *, broken: bool) -> None:
    """Look at one view after the other. The numbers are when to break off before it is looked at in full."""
    for look, aborts in some:
        what = look.view()
        for polls in aborts if broken else ():
            stream = parts(model, what, tokens=3, cancelled=polled(polls))
            assert isinstance(stream[-1], Finished)
            check(model)
        cost = model.read(what)
        assert cost.reused + cost.decoded == sum(size.tokens for size in model.measure(what))
        check(model, what)


def follows(model: LlamaCppModel, some: Sequence[Visit]) -> None:
    """Broken off or not, in whatever way the cache follows: the end is the same; read strictly, it is a fresh one's."""
    mode = model.cache.mode
    ends = []
    for broken in (True, False):
        model.cache.clear()
        visit(model, some, broken=broken)
        ends.append(model.logits())
    carried = any(held.stale for held in model.cache.held) or model.cache.exact < len(model.cache)
    what = some[-1][0].view()
    model.cache.mode = "strict"
    model.read(what)
    ends.append(model.logits())
    model.cache.clear()
    model.read(what)
    fresh = model.logits()
    model.cache.mode = mode
    assert divergence(ends[1], ends[0]) < NOISE, "what was broken off and taken up again is as if it had not been"
    assert divergence(fresh, ends[2]) < NOISE, "strict is what a fresh context holds"
    assert carried or divergence(fresh, ends[1]) < NOISE, "and so is all that says it is exact"


@pytest.fixture(scope="module", params=tiny.KINDS)
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Mode, LlamaCppModel]]:
    """A tiny model of each kind of memory, in each mode; gaps where moving would be wrong."""
    kind: tiny.Kind = request.param
    weights = Weights(tiny.write(tmp_path_factory.mktemp("tiny") / f"{kind}.gguf", kind, context=2048))
    moves = kind != "llama-yarn"
    made = {mode: LlamaCppModel(weights, context=2048, threads=1, mode=mode, shift=moves, own=False) for mode in MODES}
    yield made
    for model in made.values():
        model.close()
    weights.close()


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=visits)
def test_any_memory_follows_any_view_wherever_it_is_broken_off(
    small: dict[Mode, LlamaCppModel], some: Sequence[Visit], mode: Mode
) -> None:
    follows(small[mode], some)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mode=st.sampled_from(MODES), some=visits)
def test_the_starter_model_does_too(by_mode: dict[Mode, LlamaCppModel], some: Sequence[Visit], mode: Mode) -> None:
    follows(by_mode[mode], some)


@pytest.mark.parametrize("mode", MODES)
def test_masking_costs_what_the_mode_says(by_mode: dict[Mode, LlamaCppModel], mode: Mode) -> None:
    model = by_mode[mode]
    model.cache.clear()
    model.read(Look(4).view())
    model.force("open page 5, upper half")
    spans = model.spans(Look(5, frozenset({1})).view())
    size = {span.body: len(span.tokens) for span in model.spans(Look(5).view()) if span.body}
    cost = model.read(Look(5, frozenset({1})).view())
    reader = next(len(span.tokens) for span in spans[1:] if span.reply and span is not spans[1])
    new = cost.decoded - cost.repaired
    if mode == "strict":
        assert cost.decoded > sum(size[number] for number in (2, 3, 4, 5))
    else:
        assert size[5] < new < size[5] + 40
        assert cost.removed == size[1]
        assert cost.repaired == (reader if mode == "carry+repair" else 0)
    check(model, Look(5, frozenset({1})).view())


@pytest.mark.parametrize("mode", ["carry", "carry+repair"])
def test_what_comes_back_is_read_where_it_stood(by_mode: dict[Mode, LlamaCppModel], mode: Mode) -> None:
    model = by_mode[mode]
    model.cache.clear()
    model.read(Look(4, frozenset({1, 2})).view())
    told = model.price(Look(4, frozenset({1})).view())
    cost = model.read(Look(4, frozenset({1})).view())
    assert (told.reused, told.decoded, told.removed) == (cost.reused, cost.decoded, cost.removed)
    size = {span.body: len(span.tokens) for span in model.spans(Look(4).view())}
    assert size[2] < cost.decoded < size[2] + 30
    check(model, Look(4, frozenset({1})).view())
    model.force("The number on page 2 is")
    with_it = model.logits()
    model.cache.clear()
    model.read(Look(4, frozenset({1})).view())
    model.force("The number on page 2 is")
    assert divergence(model.logits(), with_it) < 0.5, "the model reads what came back"


def test_a_price_changes_nothing(by_mode: dict[Mode, LlamaCppModel]) -> None:
    model = by_mode["carry"]
    model.read(Look(3).view())
    before = model.cache.held
    model.price(Look(5, frozenset({1, 2})).view())
    assert model.cache.held == before
    check(model, Look(3).view())


def test_every_so_many_edits_all_is_read_again(load: Callable[..., LlamaCppModel]) -> None:
    model = load(mode="carry", resync=2)
    exact = []
    for turns in range(3, 7):
        look = Look(turns, frozenset(range(1, turns - 1)))
        model.read(look.view())
        exact.append(model.cache.exact == len(model.cache))
    assert exact == [True, False, False, True]
    model.close()


def test_without_a_shift_gaps_are_left_and_closed_before_the_limit(load: Callable[..., LlamaCppModel]) -> None:
    model = load(mode="carry+repair", shift=False)
    for turns in range(3, 7):
        look = Look(turns, frozenset(range(1, turns - 1)))
        model.read(look.view())
        check(model, look.view())
    assert model.cache.positions[-1] + 1 > len(model.cache), "there are gaps"
    model.cache.memory = replace(model.cache.memory, limit=model.cache.positions[-1] + 50)
    look = Look(7, frozenset(range(1, 6)))
    model.read(look.view())
    check(model, look.view())
    assert model.cache.positions[-1] + 1 == len(model.cache), "no position beyond those the model knows"
    model.close()


def test_what_the_model_wrote_is_not_read_again(load: Callable[..., LlamaCppModel]) -> None:
    """Though its text, tokenised, would give other tokens than the grammar let it write."""
    model = load()
    first = ask("Name a colour.")
    written = reply(model, first, tokens=24, grammar='root ::= [a-z] [a-z] [a-z] [a-z] [a-z] [a-z] " " [a-z]+')
    held = model.cache.held[-1].span.tokens
    longer = view(*first.messages, message("assistant", written, kind="call"), message("user", "Go on."))
    cost = prefilled(model, longer)
    assert cost.reused >= sum(size.tokens for size in model.measure(first)) + len(held)
    model.close()


@pytest.mark.timeout(1200)
def test_two_hundred_turns_leave_nothing_behind(load: Callable[..., LlamaCppModel]) -> None:
    """No cell too many, no position off its place, no memory that grows."""
    import psutil

    model = load(mode="carry+repair", context=8192)
    memory = psutil.Process().memory_info
    settled = 0
    start = message("system", "You read pages.", kind="system"), message("user", "What do they say?")
    turns: list[Message] = []
    for number in range(1, 201):
        header, body = Segment("header", f"[{number}]\n", number), Segment("body", f"It is {number}.\n", number)
        if number > 4:
            turns[2 * (number - 4) - 1] = Message("user", (turns[2 * (number - 4) - 1].segments[0],))
        turns += [message("assistant", f"open {number}", kind="call"), Message("user", (header, body))]
        cost = model.read(view(*start, *turns))
        assert number < 6 or cost.decoded - cost.repaired < 40
        if number % 40 == 0:
            check(model)
            assert model.cache.positions == list(range(len(model.cache)))
            settled = settled or memory().rss
    assert sum(size.tokens for size in model.measure(view(*start, *turns))) == len(model.cache)
    assert memory().rss - settled < 24 << 20
    model.close()


# ── when native code does not do as it is told ───────────────────────────────────────────────────


def test_a_failed_decode_is_an_error_and_the_next_call_starts_clean(
    model: LlamaCppModel, load: Callable[..., LlamaCppModel]
) -> None:
    reply(model, ask("Something else."))
    beyond = 10**6  # no vocabulary has such a token, so llama.cpp refuses the batch
    with pytest.raises(GenerationFailed, match="could not decode 2 tokens at") as caught:
        list(model.cache.append([1, beyond]))
    assert caught.value.hint
    assert model.cache.tokens == []
    assert model.cache.consistent
    fresh = load()
    stream = parts(model, ask("Name a colour."))
    assert only(Prefilled, stream).reused == 0
    assert only(Finished, stream).text == reply(fresh, ask("Name a colour."))
    fresh.close()


def test_without_a_free_cell_for_the_edit_all_is_read_again(load: Callable[..., LlamaCppModel]) -> None:
    """A repair needs cells of its own while it lasts. Here the context is full to the last."""
    model = load(mode="carry+repair", context=512)
    word = model.weights.tokens(" lamp", False)
    before = [Span(word * 100), Span(word * 5, body=1), Span(word * 80, reply=True), Span(word * 326), Span(word)]
    list(model.cache.follow(before))
    assert len(model.cache) == model.info.context
    wanted = [span for span in before if not span.body]
    planned = model.cache.plan(wanted)
    steps = list(model.cache.follow(wanted))
    assert planned.redone == 80
    assert steps[-1] == len(model.cache) == 507, "from its beginning"
    assert positions(model) == model.cache.positions == list(range(507))
    model.close()


def test_a_memory_that_holds_more_than_the_mirror_is_put_right(model: LlamaCppModel) -> None:
    """As it is after an exception, Ctrl-C say, between a decode and the mirror."""
    first = view(message("user", "One."))
    reply(model, first)
    shared = sum(size.tokens for size in model.measure(first)[:-1])
    model.cache._tail.clear()
    while len(model.cache) > shared:
        model.cache._held.pop()
    assert not model.cache.consistent
    longer = view(*first.messages, message("user", "Name a colour."))
    assert prefilled(model, longer).reused >= shared - 1, "nothing in the mirror has to go"
    assert model.cache.consistent
