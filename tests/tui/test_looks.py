"""What a screen says, it says in characters; and how the colours of a screen are read and written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content
from textual.theme import Theme

from engine.doctor import Check
from engine.protocol import CitationState, Event, RunEnded, State, WebMode, WebSet
from engine.settings import Settings
from tests import record
from tests.tui import fakes, looks
from tests.tui.looks import Cell
from tests.tui.models_told import MODELS
from tui import themes
from tui.fold import fold_all
from tui.screens import doctor, models
from tui.state import AppState, ObservationRow, RunState
from tui.widgets import grid, status, turns, words
from tui.widgets.answer import citation_row
from tui.widgets.context_map import Scale, map_rows, observation_row

# ── nothing by colour alone ──────────────────────────────────────────────────────────────────────


def told(*events: Event) -> AppState:
    return fold_all([*fakes.READY, *events])


def run_of(state: AppState) -> RunState:
    assert state.run is not None
    return state.run


ROW = run_of(told(*fakes.RUN)).observations[5]
STATES: tuple[State, ...] = get_args(State)


def in_state(state: State) -> ObservationRow:
    """The same observation, in another state, for no reason that is told."""
    return dataclasses.replace(ROW, state=state, pending=state, reason="", used=None)


def in_list(row: ObservationRow) -> Content:
    run = run_of(told(*fakes.RUN))
    turn = next(turn for turn in run.turns if row.number in turn.observations)
    return turns.call_row(turn, 0, turn.calls[0], row, last=True)


def ended(why: str) -> AppState:
    state = told(*fakes.RUN)
    return dataclasses.replace(state, run=dataclasses.replace(run_of(state), ended=why, running=False, turns=()))


def narrow(row: ObservationRow) -> Content:
    return observation_row(row, None, Scale(40, 2000, False))


SAID: Mapping[str, Sequence[Content | str]] = {
    "the map": [narrow(in_state(state)) for state in STATES],
    "the map, with words": [observation_row(in_state(state), None, Scale(90, 2000, False)) for state in STATES],
    "what will be": [observation_row(in_state("live"), each, Scale(40, 2000, True)) for each in ("masked", "pinned", None)],
    "the list of turns": [in_list(in_state(state)) for state in STATES],
    "citations": [
        citation_row(0, dataclasses.replace(fakes.CITATIONS[0], state=state)) for state in get_args(CitationState)
    ],
    "how a run ended": [
        status.status(ended(why), 120, fakes.START) for why in ("answered", "not_told", "stopped", "failed")
    ],
    "the web": [status.status(told(WebSet(mode)), 120, fakes.START) for mode in get_args(WebMode)],
    "the doctor": [doctor._row(Check("disk", ok, "seen")).content for ok in (True, False, None)],
    "models": [
        models._row(dataclasses.replace(MODELS[1], name="m", in_use=used)).content for used in (True, False)
    ],
    "what if": ["".join(str(part[0]) for part in grid._cell(state, mark, 3, differs=differs)) for state, mark, differs in (
        ("live", "", False), ("live", "", True), ("masked", "", False), ("masked", "", True),
        ("pinned", "", False), ("kept", "", False), ("live", grid.USED, False), ("live", grid.LOST, False),
    )],
}  # fmt: skip


@pytest.mark.parametrize("what", SAID)
def test_what_is_different_is_said_in_characters(what: str) -> None:
    said = [each if isinstance(each, str) else each.plain for each in SAID[what]]
    for one, other in combinations(said, 2):
        assert one != other


def test_signs_are_of_one_kind_each() -> None:
    for signs in (words.SIGN, words.CITED, words.USED):
        assert len(set(signs.values())) == len(signs)


def test_the_recorded_run_is_masked_and_it_is_seen() -> None:
    rows = [row.content.plain for row in map_rows(run_of(fold_all(record.recorded())), 60)]
    assert any("⊘" in row and "░" in row for row in rows) and any("█" in row for row in rows)


# ── the run that was recorded ────────────────────────────────────────────────────────────────────


def test_the_recorded_run_still_reads_and_folds() -> None:
    events = record.recorded()
    state = fold_all(events)
    run = run_of(state)
    assert not state.unknown and [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[-1], RunEnded) and run.ended == "answered" and run.answer_final and run.citations
    assert run.policy == record.POLICY and run.masked_count > 0 and len(run.turns) > 3
    assert {event.session for event in events} == {record.SESSION}
    assert record.FILE.stat().st_size < 60_000, "it is kept for long: keep it small"


def test_the_recorded_run_tells_nothing_of_the_machine() -> None:
    text = record.FILE.read_text(encoding="utf-8")
    assert str(record.ROOT) not in text and "/tmp" not in text and "site-packages" not in text


# ── the themes ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("theme", themes.OURS, ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", ["background", "surface"])
@pytest.mark.parametrize("ink", ["foreground", "primary", "success", "warning", "error", "accent"])
def test_colours_with_a_meaning_can_be_read(theme: Theme, ground: str, ink: str) -> None:
    made = theme.to_color_system().generate()
    least = looks.STRONG if theme is themes.HIGH_CONTRAST else looks.ORDINARY
    assert looks.contrast(looks._rgb(made[ink]), looks._rgb(made[ground])) >= least


@pytest.mark.parametrize(("name", "primary"), [("", themes.DARK.primary), ("light", themes.LIGHT.primary)])
async def test_ours_are_in_force_from_the_first_frame(name: str, primary: str, tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, settings=Settings(data_dir=tmp_path, theme=name))
    async with app.run_test(size=(80, 24)) as pilot:
        await fakes.settled(pilot, app, ())
        assert app.screen.query_one("#ask-sign").styles.color.hex.lower() == primary.lower()


# ── how colours are read ─────────────────────────────────────────────────────────────────────────

WHITE, BLACK = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)


def row(text: str, ink: str, paper: str = "#000000", *attributes: str) -> tuple[Cell, ...]:
    return tuple(Cell(char, ink, paper, attributes) for char in text)


def test_contrast_is_that_of_wcag() -> None:
    assert looks.contrast(WHITE, BLACK) == pytest.approx(21)
    assert looks.contrast(WHITE, WHITE) == pytest.approx(1)
    assert looks.contrast((118.0, 118.0, 118.0), WHITE) == pytest.approx(4.54, abs=0.005)


colours = st.tuples(*[st.integers(0, 255).map(float)] * 3)


@given(colours, colours)
def test_contrast_has_no_direction(one: looks.RGB, two: looks.RGB) -> None:
    assert looks.contrast(one, two) == looks.contrast(two, one)
    assert 1 <= looks.contrast(one, two) <= 21.0001


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (row("read me", "#ffffff"), False),
        (row("read me", "#ff0000"), False),
        (row("read me", "#0000ff"), True),
        (row("       ", "#0000ff"), False),
        (row("──────", "#101010"), False),
        (row("░░░", "#0000ff"), True),
        (row("thinned", "#707070"), False),
        (row("thinned", "#303030"), True),
        (row("dim", "#ffffff", "#000000", "dim"), False),
        (row("dim", "#999999", "#000000", "dim"), True),
        (row("reverse", "#000000", "#0000ff", "reverse"), True),
        (tuple(dataclasses.replace(cell, behind=True) for cell in row("behind", "#0000ff")), False),
    ],
)
def test_what_is_hard_to_read_is_found(cells: tuple[Cell, ...], found: bool) -> None:
    assert bool(looks.weak((cells,), ["#ffffff"], ["#000000"], looks.ORDINARY)) is found


def test_colours_are_a_legend_and_runs_of_its_names() -> None:
    dark = (row("ab", "#ffffff") + row("c", "#ff0000"), row("abc", "#ffffff"), row("abc", "#ffffff"))
    light = (row("ab", "#000000") + row("c", "#000000"), row("abc", "#000000"), row("abc", "#000000"))
    assert looks.colours({"dark": dark, "light": light}).splitlines() == [
        "   dark | light",
        "a  #ffffff on #000000 | #000000 on #000000",
        "b  #ff0000 on #000000 | #000000 on #000000",
        "",
        "1: a2 b1",
        "2-3: a3",
    ]
