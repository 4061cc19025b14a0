"""Each tiny model behaves as the architecture does that it stands for.

The table holds what llama.cpp says and does about each; a new version that changes a line changes what may be done to a
cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from engine.context.segments import Message, Segment, View
from engine.model.base import Finished, Prefilled, Sampling
from engine.model.llamacpp import LlamaCppModel
from engine.model.template import ChatTemplate
from tests.engine.model import tiny
from tests.engine.model.native import Native, divergence
from tests.engine.model.tiny import KINDS, Kind

pytestmark = pytest.mark.model


@dataclass(frozen=True)
class Facts:
    recurrent: bool = False
    hybrid: bool = False
    window: int = 0
    rope: str = "NORM"
    may_shift: bool = True
    """What llama_memory_can_shift says. It is no promise: see ``shifts``."""
    may_shift_small: bool = True
    """The same where sliding layers keep only their window (``swa_full`` false)."""
    shifts: bool = True
    """Whether a memory that was shifted means the same as before. None can tell but by trying."""
    gaps: bool = False
    """Whether decoding may go on further behind than the last position."""

    @property
    def cuts(self) -> bool:
        """Whether the last tokens can be taken back."""
        return not (self.recurrent or self.hybrid)


FACTS: dict[Kind, Facts] = {
    "llama": Facts(),
    "llama-yarn": Facts(shifts=False),  # every shift scales the keys once more
    "qwen3": Facts(rope="NEOX"),
    "gemma3": Facts(rope="NEOX", window=32, may_shift_small=False),
    "gpt2": Facts(rope="NONE", shifts=False),  # a shift moves nothing: positions were added to the tokens
    "qwen2vl": Facts(rope="MROPE", may_shift=False, may_shift_small=False, shifts=False, gaps=True),
    "mamba": Facts(rope="NONE", recurrent=True),
    "lfm2": Facts(rope="NEOX", hybrid=True),
    "falcon-h1": Facts(rope="NEOX", hybrid=True),
}

NOISE = 1e-4
"""More than any two ways of computing the same differ by (KL in nats; 2e-5 at most was seen)."""

TEXT = [int(token) for token in np.random.default_rng(7).integers(32, 127, 160)]


@pytest.fixture(scope="module")
def open_kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Native]]:
    folder, opened = tmp_path_factory.mktemp("tiny"), dict[Kind, Native]()

    def find(kind: Kind) -> Native:
        if kind not in opened:
            opened[kind] = Native(tiny.write(folder / f"{kind}.gguf", kind))
        return opened[kind]

    yield find
    for native in opened.values():
        native.close()


every_kind = pytest.mark.parametrize("kind", KINDS)


def kinds(wanted: Callable[[Facts], bool]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", [kind for kind in KINDS if wanted(FACTS[kind])])


# ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────────


@every_kind
def test_each_kind_is_told_by_its_flags(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native, facts = open_kind(kind), FACTS[kind]
    lib, model = native.lib, native.model
    assert lib.llama_model_is_recurrent(model) == facts.recurrent
    assert lib.llama_model_is_hybrid(model) == facts.hybrid
    assert lib.llama_model_n_swa(model) == facts.window
    assert lib.llama_model_rope_type(model) == getattr(lib, f"LLAMA_ROPE_TYPE_{facts.rope}")
    assert lib.llama_model_n_ctx_train(model) == 1024
    for full, expected in ((True, facts.may_shift), (False, facts.may_shift_small)):
        with native.context(swa_full=full) as context:
            assert context.may_shift == expected


@every_kind
def test_what_comes_next_depends_on_each_token_and_its_place(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native = open_kind(kind)
    expected = native.read(TEXT)
    assert np.isfinite(expected).all()
    assert 1 < expected.std() < 4
    assert divergence(expected, native.read(TEXT, n_ubatch=32)) < NOISE
    early = [*TEXT[:3], TEXT[3] ^ 1, *TEXT[4:]]
    assert divergence(expected, native.read(early)) > 5 * NOISE
    turned = [*TEXT[:20], *reversed(TEXT[20:140]), *TEXT[140:]]
    assert divergence(expected, native.read(turned)) > 20 * NOISE


# ── what may be done to its memory ───────────────────────────────────────────────────────────────────────────────────


@kinds(lambda facts: facts.may_shift and facts.cuts)
def test_only_some_of_what_may_be_shifted_still_means_the_same(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native = open_kind(kind)
    with native.context() as context:
        expected = context.decode(TEXT, 0)
        last = len(TEXT) - 1
        for _ in range(4):
            context.remove(last, -1)
            context.shift(0, 29)
            last += 29
            found = context.decode(TEXT[-1:], last)
    assert (divergence(expected, found) < NOISE) == FACTS[kind].shifts


@every_kind
def test_the_end_can_be_taken_back_only_where_nothing_recurs(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native = open_kind(kind)
    with native.context() as context:
        context.decode(TEXT, 0)
        assert context.remove(150, -1) == FACTS[kind].cuts
        if FACTS[kind].cuts:
            other = TEXT[:10]
            assert divergence(native.read([*TEXT[:150], *other]), context.decode(other, 150)) < NOISE


@every_kind
def test_removing_the_middle_is_said_to_work_even_where_it_does_nothing(
    open_kind: Callable[[Kind], Native], kind: Kind
) -> None:
    native, facts, other = open_kind(kind), FACTS[kind], TEXT[:10]
    expected = native.read([*TEXT, *other])
    with native.context() as context:
        context.decode(TEXT, 0)
        assert context.remove(40, 120)
        assert context.positions == (0 if facts.cuts else 159, 159)
        change = divergence(expected, context.decode(other, len(TEXT)))
    assert change == 0 if facts.recurrent else change > 5 * NOISE


@every_kind
def test_a_gap_is_refused_but_by_positions_of_several_dimensions(
    open_kind: Callable[[Kind], Native], kind: Kind
) -> None:
    with open_kind(kind).context() as context:
        context.decode(TEXT, 0)
        assert (context.try_decode(TEXT[:5], len(TEXT) + 30) is not None) == FACTS[kind].gaps


@kinds(lambda facts: facts.hybrid)
def test_a_hybrid_copies_a_part_of_its_past_without_the_state_that_goes_with_it(
    open_kind: Callable[[Kind], Native], kind: Kind
) -> None:
    """The copy ends at 100, decodes without complaint and remembers what came after."""
    native = open_kind(kind)
    with native.context(n_seq_max=2, kv_unified=True) as context:
        context.decode(TEXT, 0)
        context.copy(100)
        found = context.decode(TEXT[100:102], 100, sequence=1)
    assert divergence(native.read(TEXT[:102]), found) > 5 * NOISE


@kinds(lambda facts: not facts.cuts)
def test_a_state_that_recurs_can_be_put_back(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native = open_kind(kind)
    with native.context() as context:
        context.decode(TEXT[:100], 0)
        saved = context.save()
        context.decode(TEXT[100:], 100)
        context.restore(saved)
        assert context.remove(100, -1)
        found = context.decode(TEXT[:10], 100)
    assert divergence(native.read([*TEXT[:100], *TEXT[:10]]), found) < NOISE


@kinds(lambda facts: facts.window > 0)
def test_a_small_cache_keeps_the_window_only(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native, long = open_kind(kind), TEXT * 3
    expected = native.read(long)
    for full in (True, False):
        with native.context(swa_full=full) as context:
            assert divergence(expected, context.decode(long, 0)) < NOISE
            assert (context.positions[0] == 0) == full


@kinds(lambda facts: facts.cuts)
def test_a_quantised_cache_works(open_kind: Callable[[Kind], Native], kind: Kind) -> None:
    native, facts = open_kind(kind), FACTS[kind]
    eight_bits = native.lib.GGML_TYPE_Q8_0
    expected = native.read(TEXT)
    with native.context(type_k=eight_bits, type_v=eight_bits) as context:
        assert divergence(expected, context.decode(TEXT, 0)) < 50 * NOISE
        if facts.may_shift and facts.shifts:
            context.remove(159, -1)
            context.shift(0, 29)
            assert divergence(expected, context.decode(TEXT[-1:], 188)) < 50 * NOISE


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "head", "settings"),
    [
        ("qwen2vl", 64, {}),  # can_shift is false: llama.cpp asserts
        ("llama", 32, {"type_k": 8}),  # can_shift is true: quantised keys are rotated in blocks of 64
        ("llama", 64, {"type_k": 30}),  # can_shift is true: nothing rotates keys of type bf16
    ],
)
def test_a_shift_may_end_the_process(tmp_path: Path, kind: Kind, head: int, settings: dict[str, int]) -> None:
    tiny.write(tmp_path / "tiny.gguf", kind, head=head)
    code = f"""
        from pathlib import Path
        from tests.engine.model.native import Native
        from tests.engine.model.test_tiny import TEXT

        with Native(Path("tiny.gguf")).context(**{settings}) as context:
            context.decode(TEXT, 0)
            context.remove(40, 120)
            print("removed", flush=True)
            context.shift(120, -80)
            context.decode(TEXT[:1], 80)
            print("decoded", flush=True)
        """
    root = str(Path(__file__).parents[3])
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "removed\n"
    assert ended.returncode != 0


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@every_kind
def test_files_are_small_and_the_same_for_the_same_arguments(tmp_path: Path, kind: Kind) -> None:
    one, same, other = (
        tiny.write(tmp_path / f"{n}.gguf", kind, seed=seed).read_bytes() for n, seed in enumerate((1, 1, 2))
    )
    assert one == same != other
    assert len(one) < 500_000


def test_the_context_and_the_window_are_as_asked(tmp_path: Path) -> None:
    native = Native(tiny.write(tmp_path / "tiny.gguf", "gemma3", context=256, window=8))
    try:
        assert native.lib.llama_model_n_ctx_train(native.model) == 256
        assert native.lib.llama_model_n_swa(native.model) == 8
    finally:
        native.close()


@every_kind
def test_it_answers_as_any_model_does(tmp_path: Path, kind: Kind) -> None:
    model = LlamaCppModel(tiny.write(tmp_path / "tiny.gguf", kind, bos=True), context=512, threads=1)
    try:
        assert model.count("eat") == 3  # a token for each byte
        assert model.count("the path\n\n") == 6  # but "the", "th" and an empty line
        view = View((Message("user", (Segment("question", "the path"),)),))
        parts = list(model.generate(view, sampling=Sampling(temperature=0, max_tokens=8)))
        # bos, <|im_start|>, user, newline, the text, <|im_end|>, newline; <|im_start|>, assistant, newline
        assert [part.decoded for part in parts if isinstance(part, Prefilled)] == [
            1 + 1 + 4 + 1 + 5 + 1 + 1 + 1 + 9 + 1
        ]
        assert isinstance(parts[-1], Finished)
        assert parts[-1].reason in ("stop", "length")
    finally:
        model.close()


def test_the_template_with_tools_is_another_one() -> None:
    import jinja2

    messages = [{"role": "user", "content": "hello"}]
    plain, tools = (jinja2.Template(source) for source in (tiny.CHATML, tiny.CHATML_TOOLS))
    expected = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    for template in (plain, tools):
        assert template.render(messages=messages, add_generation_prompt=True) == expected
    offered = tools.render(messages=messages, tools=[{"name": "search"}], add_generation_prompt=True)
    assert offered.endswith(expected)
    assert '{"name": "search"}' in offered
    view = View((Message("user", (Segment("question", "hello"),)),))
    assert "".join(piece.text for piece in ChatTemplate(tiny.CHATML_TOOLS).pieces(view)) == expected
