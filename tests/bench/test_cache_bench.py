"""The bench of the cache measures what it says: its run, its lower bound, its chart and its page."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.segments import View
from engine.context.view import body_text, header_text
from engine.model.catalogue import starter_model
from tests.bench.cache import chart, ours, race, report, trajectory
from tests.bench.cache.method import NotMeasured, Seconds, Step, lower_bound
from tests.bench.cache.others import Server
from tests.bench.cache.overhead import Overhead
from tests.bench.cache.race import Race, Result

LENGTHS = sorted(trajectory.SHAPES)
SVG = "{http://www.w3.org/2000/svg}"


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("turns", LENGTHS)
def test_the_run_has_its_length_and_pieces_of_the_wanted_size(turns: int) -> None:
    shape = trajectory.SHAPES[turns]
    made = trajectory.record(turns)
    assert len(made.turns) == turns
    for turn in made.turns:
        (observation,) = turn.observations
        low, high = shape.body
        assert low <= trajectory.estimate(body_text(observation)) <= high, observation.header
        assert trajectory.estimate(turn.raw) <= shape.reply + 6, turn.raw
        assert not observation.error


@pytest.mark.parametrize("turns", LENGTHS)
def test_the_run_is_the_same_every_time(turns: int) -> None:
    first = trajectory.record(turns)
    trajectory.record.cache_clear()
    assert trajectory.record(turns) == first


def test_replies_are_the_calls_that_were_made_and_no_call_is_made_twice_running() -> None:
    turns = trajectory.record(20).turns
    for turn in turns:
        data = json.loads(turn.raw)
        (call,) = turn.calls
        assert data["do"] == call.tool
        assert turn.thought == data["thought"]
        assert turn.observations[0].call == call.id
    assert {turn.calls[0].tool for turn in turns} == {"search", "open", "find"}
    for before, after in itertools.pairwise(turns):
        assert (before.calls[0].tool, before.calls[0].arguments) != (after.calls[0].tool, after.calls[0].arguments)


def test_observations_are_lines_of_the_guide() -> None:
    lines = {line for document in trajectory.guide().documents for line in document.text.split("\n")}
    read = [turn.observations[0] for turn in trajectory.record(20).turns if turn.calls[0].tool == "open"]
    for observation in read:
        shown = [line.partition(": ")[2] for line in observation.body.split("\n")]
        assert set(shown) <= lines
        assert observation.last - observation.first == len(shown) - 1


def test_the_page_of_figures_is_not_read_itself() -> None:
    assert not [document for document in trajectory.guide().documents if trajectory.OWN in document.path]


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    assert trajectory.record(4).turns == trajectory.record(20).turns[:4]
    with pytest.raises(ValueError, match="no trajectory has 61 turns"):
        trajectory.record(61)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("window", [0, 4])
def test_no_call_is_separated_from_its_observation(window: int, batch: int) -> None:
    made = trajectory.record(20)
    for turn in range(20):
        messages = trajectory.look(made, turn, window=window, batch=batch).messages
        assert messages[1].text == trajectory.QUESTION
        rest = messages[2:]
        assert len(rest) == 2 * turn
        for past, call, result in zip(made.turns, rest[::2], rest[1::2], strict=False):
            assert call.text == past.raw
            assert result.text.startswith(header_text(past.observations[0]))


def test_views_show_the_bodies_of_the_window_and_those_not_yet_released() -> None:
    made = trajectory.record(20)

    def shown(turn: int, window: int, batch: int = 1) -> int:
        segments = trajectory.look(made, turn, window=window, batch=batch).segments()
        return sum(segment.kind == "body" for segment in segments)

    assert [shown(turn, 4) for turn in range(20)] == [min(turn, 4) for turn in range(20)]
    assert [shown(turn, 0) for turn in range(20)] == list(range(20))
    assert [shown(turn, 4, batch=4) for turn in range(20)] == [*range(8), *(4 + turn % 4 for turn in range(8, 20))]


# ── the lower bound ──────────────────────────────────────────────────────────────────────────────

SYSTEM, ASK, CALL, HEAD, BODY, NEXT = (1, 1, 1), (2,), (3, 3), (4,), (5,) * 9, (6,)


@pytest.mark.parametrize(
    ("before", "wanted", "least"),
    [
        ((), (SYSTEM, ASK), 4),
        ((SYSTEM, ASK), (SYSTEM, ASK), 0),
        ((SYSTEM, ASK, CALL), (SYSTEM, ASK, CALL, HEAD, BODY), 10),  # the reply was written, not read
        ((SYSTEM, HEAD, BODY, CALL), (SYSTEM, HEAD, CALL, NEXT), 1),  # a body masked, one span new
        ((SYSTEM, HEAD, CALL), (SYSTEM, HEAD, BODY, CALL), 9),  # shown again
        ((ASK, SYSTEM), (SYSTEM, ASK), 1),  # only one of two can stay where order changed: the heavier one
        ((HEAD, HEAD, ASK), (HEAD, HEAD, HEAD, ASK), 1),  # equal spans count as often as they stand there
    ],
)
def test_the_lower_bound_is_what_is_new(before: race.Spans, wanted: race.Spans, least: int) -> None:
    assert lower_bound(before, wanted) == least


spans = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple), max_size=7)


@given(spans, spans)
def test_the_lower_bound_is_the_best_of_all_selections(
    before: list[tuple[int, ...]], wanted: list[tuple[int, ...]]
) -> None:
    def stands_in(selected: Sequence[tuple[int, ...]], whole: Sequence[tuple[int, ...]]) -> bool:
        rest = iter(whole)
        return all(span in rest for span in selected)

    kept = max(
        sum(map(len, selected))
        for count in range(len(wanted) + 1)
        for selected in itertools.combinations(wanted, count)
        if stands_in(selected, before)
    )
    assert lower_bound(before, wanted) == sum(map(len, wanted)) - kept


def words(view: View) -> race.Spans:
    return tuple(tuple(map(hash, segment.text.split())) for segment in view.segments())


@pytest.mark.parametrize("window", [0, 4])
def test_what_is_new_in_a_view_is_the_newest_result_masked_or_not(window: int) -> None:
    made = trajectory.record(20)
    found = race.bounds(made, window, 1, spans=words, reply_tokens=lambda text: tuple(map(hash, text.split())))
    news = [len(body_text(o).split()) + len(header_text(o).split()) for o in made.observations()]
    assert list(found[1:]) == news[:-1]


# ── race, chart, page ────────────────────────────────────────────────────────────────────────────


def result(name: str, decoded: Sequence[int], seconds: float = 1.0) -> Result:
    spent = Seconds(seconds, seconds / 2)
    return Result(name, tuple(Step(n, 7, 100 + n, spent, spent) for n in decoded), (10,) * len(decoded))


RACE = Race(
    3,
    0,
    {
        "no-mask": result("no mask", [10, 10, 10]),
        "strict": result("strict", [10, 30, 50], 2.0),
        "repair": result("carry + repair", [10, 15, 14]),
        "server": Result("a <server>", missing="no llama-server given"),
    },
)


class Scripted:
    """A method that does nothing but note its turns."""

    window = 4
    batch = 1

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self.name = name
        self.log = log

    def step(self, view: View, reply: str) -> Step:
        self.log.append((self.name, len(view.messages)))
        return Step(1, 2, 3, Seconds(), Seconds())

    def close(self) -> None:
        self.log.append((self.name, 0))


def test_methods_take_every_turn_together_in_an_order_that_the_seed_sets() -> None:
    def log(seed: int) -> list[tuple[str, int]]:
        noted: list[tuple[str, int]] = []
        methods = {name: Scripted(name, noted) for name in ("a", "b", "c")}
        race.run(trajectory.record(8), methods, spans=words, reply_tokens=lambda text: (), seed=seed)
        return noted

    noted = log(1)
    turns = [noted[start : start + 3] for start in range(0, len(noted), 3)]
    assert [{name for name, _ in turn} for turn in turns] == [{"a", "b", "c"}] * 8
    assert [{size for _, size in turn} for turn in turns] == [{2 + 2 * turn} for turn in range(8)]
    assert len({tuple(name for name, _ in turn) for turn in turns}) > 1
    assert log(1) == noted != log(2)


def test_the_table_gives_tokens_and_ratios() -> None:
    table = report.markdown(report.Report(("a fact",), (RACE,)))
    rows = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if line.startswith("| ")}
    assert rows["strict"] == "| strict | 90 | 3.00 | 1.00 / 1.00 | 2.00 / 2.00 | 1.00 / 1.00 | 2.00 / 2.00 | 150 |"
    assert "| 39 | 1.30 | 0.50 / 0.50 | 1.00 / 1.00 |" in rows["carry + repair"]
    assert "not measured (no llama-server given)" in rows["a <server>"]
    assert {line.count("|") for line in table.splitlines() if line.startswith("|")} == {9}


def test_ratios_to_what_was_not_run_are_left_out() -> None:
    table = report.markdown(report.Report((), (Race(3, 0, {"repair": RACE.results["repair"]}),)))
    assert "| carry + repair | 39 | 1.30 | – | – | – | – | 115 |" in table


def test_what_was_saved_is_what_is_read() -> None:
    found = report.Report(("a fact",), (RACE,), (Overhead(True, 200, 9.0, 0.01, 0.02, 0.0),))
    assert report.Report.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_only_the_block_of_the_page_is_replaced() -> None:
    page = f"# Benchmarks\n\nbefore\n\n{report.BEGIN}\nold | table\n{report.END}\n\nafter\n"
    replaced = report.replace_block(page, "new")
    assert replaced == f"# Benchmarks\n\nbefore\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nafter\n"
    assert report.replace_block(replaced, "new") == replaced
    with pytest.raises(ValueError, match="lacks"):
        report.replace_block("# Benchmarks\n", "new")


def test_the_page_has_a_place_for_the_block() -> None:
    page = (trajectory.ROOT / "docs" / trajectory.OWN).read_text(encoding="utf-8")
    assert report.replace_block(page, "new") != page


def test_the_chart_is_well_formed_and_draws_each_method_once() -> None:
    image = ElementTree.fromstring(chart.tokens(RACE))
    assert image.tag == f"{SVG}svg"
    texts = [element.text for element in image.iter(f"{SVG}text")]
    for name in ("no mask", "strict", "carry + repair"):
        assert texts.count(name) == 1
    assert not any("server" in (text or "") for text in texts)  # not measured, not drawn
    assert len([line for line in image.iter(f"{SVG}polyline") if line.get("class") == "line"]) == 3


@given(
    st.dictionaries(
        st.text("ab<&\"'>", min_size=1), st.lists(st.integers(0, 5000), min_size=1, max_size=70), min_size=1, max_size=9
    )
)
def test_a_chart_of_anything_stays_on_its_ground_and_names_everything(series: dict[str, list[int]]) -> None:
    image = ElementTree.fromstring(chart.line_chart("t <&>", "s", series, across="turn"))
    texts = [element.text for element in image.iter(f"{SVG}text")]
    assert set(series) <= set(texts)
    for line in image.iter(f"{SVG}polyline"):
        for point in str(line.get("points")).split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= chart.WIDTH
            assert line.get("class") != "line" or 0 <= y <= chart.HEIGHT


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        chart.line_chart("t", "s", {}, across="turn")


def test_without_a_server_program_there_is_no_server() -> None:
    with pytest.raises(NotMeasured, match="no llama-server given"):
        Server("s", None, trajectory.ROOT, prompt=lambda view: (), reply=lambda text: ())


def test_a_program_that_is_no_server_is_said_to_have_ended() -> None:
    with pytest.raises(NotMeasured, match="ended at once"):
        Server("s", Path(sys.executable), Path("model.gguf"), prompt=lambda view: (), reply=lambda text: ())


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.cache", *arguments], cwd=trajectory.ROOT, capture_output=True, text=True
    )


def test_saved_figures_are_shown_again(tmp_path: Path) -> None:
    found = report.Report(("a fact",), (RACE,))
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(found.to_json()))
    shown = command("--read", str(file))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == report.markdown(found) + "\n"


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    refused = command("--methods", "strict,magic")
    assert refused.returncode == 2
    assert "no method magic; there are no-mask, strict" in refused.stderr


# ── with the model ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.model
def test_four_turns_of_two_methods() -> None:
    """Until the window is full nothing is masked: both read what is new and nothing else, and the counts are exact."""
    path = starter_model()
    assert path is not None
    made = trajectory.record(4)
    methods = {"strict": ours.Ours("strict", path), "no-mask": ours.Ours("no mask", path, window=0)}
    try:
        model = methods["strict"].model
        sizes = [sum(segment.tokens for segment in model.measure(trajectory.look(made, t, window=4))) for t in range(4)]
        replies = [len(ours.tokens(model, turn.raw)) for turn in made.turns]
        results = race.run(
            made,
            methods,
            spans=lambda view: ours.spans(model, view),
            reply_tokens=lambda text: ours.tokens(model, text),
            seed=0,
        )
        for turns in LENGTHS:
            whole = trajectory.record(turns)
            last = model.measure(trajectory.look(whole, turns - 1, window=0))
            assert sum(segment.tokens for segment in last) + 100 < 8192
            for turn in whole.turns:
                (observation,) = turn.observations
                low, high = trajectory.SHAPES[turns].body
                assert low * 0.9 <= model.count(body_text(observation)) <= high * 1.1
    finally:
        for method in methods.values():
            method.close()
    for found in results.values():
        assert [step.decoded for step in found.steps] == list(found.bounds)
        assert found.to_bound == 1.0
        assert [step.decoded + step.reused for step in found.steps] == sizes
        assert [step.cells for step in found.steps] == [a + b for a, b in zip(sizes, replies, strict=True)]
