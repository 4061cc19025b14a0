"""Asking again under other windows, and the runs side by side: the arithmetic, the keys, and the whole way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.context.segments import View
from engine.engine import Engine
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    Ask,
    Command,
    EngineStopped,
    Event,
    Failed,
    Fork,
    Forked,
    Policy,
    RunEnded,
    RunStarted,
    Stop,
)
from engine.settings import Settings
from tests.engine.running import QUESTION, STORY, Paced, settings_in, stock
from tests.engine.sources.library.hashing import HashEmbedder
from tests.tui import fakes, kept
from tests.tui.test_safe import drawn
from tui import again
from tui.again import Again, heard
from tui.app import DeepSearchApp
from tui.screens.again import AskAgain
from tui.screens.compare import Choose, Compare
from tui.screens.help import Help
from tui.screens.research import Research
from tui.widgets.rows import RowList

OFF, FOUR, EIGHT = Policy(window=0), Policy(window=4), Policy(window=8)


def forked(session: str, policy: Policy, parent: str = fakes.SESSION) -> tuple[Event, ...]:
    """What an engine tells of the run that is asked again, up to its end."""
    events = [dataclasses.replace(event, session=session) for event in kept.unmasked()]
    asked = Forked(parent, 0, fakes.QUESTION, policy, session=session, run=1, at=fakes.START)
    started = events[0]
    assert isinstance(started, RunStarted)
    return (fakes.RUN[0], asked, dataclasses.replace(started, policy=policy, resumed=True), *events[1:])


def told(events: Sequence[Event], session: str) -> list[Event]:
    return [dataclasses.replace(event, session=session) for event in events]


# ── how it stands ────────────────────────────────────────────────────────────────────────────────


def test_each_is_asked_when_the_one_before_has_ended() -> None:
    now = dataclasses.replace(Again("s1", 1, (OFF, EIGHT)), step="asked")
    assert now.command() == Fork("s1", 0, 1, policy=OFF)
    for event in told(forked("s2", OFF), "s2"):
        assert not now.over
        now = heard(now, event)
    assert (now.step, now.done, now.waiting, now.over) == ("next", ("s2",), (EIGHT,), False)
    now = dataclasses.replace(now, step="asked")
    for event in told(forked("s3", EIGHT), "s3"):
        now = heard(now, event)
    assert (now.done, now.over, now.cut) == (("s2", "s3"), True, False)


@pytest.mark.parametrize(
    "ends",
    [
        (Failed("Busy", "A question is being answered."),),
        (EngineStopped("it was killed"),),
        (*told(forked("s2", OFF)[:2], "s2"), RunEnded("stopped", 0, 1.0, session="s2", run=1)),
        (*told(forked("s2", OFF)[:2], "s2"), RunEnded("failed", 0, 1.0, session="s2", run=1)),
    ],
    ids=["refused", "crashed", "stopped", "failed"],
)
def test_what_does_not_come_to_its_end_ends_all_of_it(ends: Sequence[Event]) -> None:
    now = dataclasses.replace(Again("s1", 1, (OFF, EIGHT)), step="asked")
    for event in ends:
        now = heard(now, event)
    assert now.cut and now.over and now.done == ()


def test_the_end_of_another_run_is_not_its_end() -> None:
    now = dataclasses.replace(Again("s1", 2, (OFF,)), step="asked")
    for event in (
        RunEnded("answered", 3, 1.0, session="s2", run=1),  # an earlier question, told again with the copy
        Forked("s9", 0, "another", OFF, session="s8", run=2),
        Forked("s1", 0, "this", OFF, session="s2", run=2),
        RunEnded("answered", 3, 1.0, session="s8", run=2),
        Failed("Any", "Something else went wrong."),
    ):
        now = heard(now, event)
    assert (now.step, now.under_way, now.over) == ("running", "s2", False)


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (Policy(window=2), ["off", "window 4", "window 8", "auto"]),
        (Policy(window=0), ["window 2", "window 4", "window 8", "auto"]),
        (Policy(window=3), ["off", "window 2", "window 4", "window 8", "auto"]),
        (Policy(window=4, auto=True), ["off", "window 2", "window 4", "window 8"]),
    ],
)
def test_what_is_offered_is_what_the_run_was_not_and_then_the_same(policy: Policy, names: list[str]) -> None:
    offered = again.choices(policy)
    assert [name for name, _, _ in offered] == [*names, "the same"]
    assert offered[-1][2] == policy
    assert len({each for _, _, each in offered}) == len(offered)


def test_another_window_keeps_what_else_the_policy_says() -> None:
    policy = Policy(window=2, stub="paper", batch_turns=3)
    assert all((each.stub, each.batch_turns) == ("paper", 3) for _, _, each in again.choices(policy))


# ── in the app ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def data(tmp_path: Path) -> Path:
    kept.keep(tmp_path, fakes.SESSION, fakes.RUN)
    for session in ("s2", "s3"):
        kept.keep(tmp_path, session, tuple(kept.unmasked()), "asked again")
    return tmp_path


async def asked(pilot: Pilot[None], app: DeepSearchApp, *press: str) -> fakes.ScriptedDoor:
    """The choice, and the keys that choose."""
    await fakes.settled(pilot, app, fakes.RUN)
    await pilot.press("escape", "1", "r")
    await fakes.until_true(pilot, lambda: isinstance(app.screen, AskAgain) and app.screen.query_one(RowList).row)
    await pilot.press(*press)
    await pilot.pause()
    assert isinstance(app.door, fakes.ScriptedDoor)
    return app.door


async def compared(pilot: Pilot[None], app: DeepSearchApp) -> tuple[str, ...]:
    """The sessions that stand side by side."""
    await fakes.until_true(pilot, lambda: isinstance(app.screen, Compare) and app.screen.measures)
    assert isinstance(app.screen, Compare)
    return tuple(each.session for each in app.screen.measures)


async def test_one_key_and_enter_ask_again_and_show_both(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        door = await asked(pilot, app, "enter")
        assert door.commands == [Fork(fakes.SESSION, 0, 1, policy=OFF)]
        events = told(forked("s2", OFF), "s2")
        door.tell(events[:8])
        await fakes.until_true(pilot, lambda: app.state.session == "s2" and "turn 1" in drawn(app.screen))
        assert isinstance(app.screen, Research), "it is watched like any run"
        door.tell(events[8:])
        assert await compared(pilot, app) == ("s1", "s2")
        await pilot.press("escape")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Research))
        assert len(door.commands) == 1, "and nothing more is asked"


async def test_several_are_asked_one_after_the_other_and_compared_together(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        door = await asked(pilot, app, "space", "down", "space", "down", "space", "space")
        assert drawn(app.screen).count("[×]") == 2
        await pilot.press("enter")
        await pilot.pause()
        assert door.commands == [Fork(fakes.SESSION, 0, 1, policy=OFF)]
        door.tell(told(forked("s2", OFF), "s2"))
        await fakes.until_true(pilot, lambda: door.commands[1:] == [Fork(fakes.SESSION, 0, 1, policy=FOUR)])
        assert not isinstance(app.screen, Compare)
        door.tell(told(forked("s3", FOUR), "s3"))
        assert await compared(pilot, app) == ("s1", "s2", "s3")
        shown = drawn(app.screen)
        assert "A s1" in shown and "B s2" in shown and "C s3" in shown and "C answer" in shown


async def test_esc_stops_it_and_nothing_more_is_asked(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        door = await asked(pilot, app, "space", "down", "space", "enter")
        door.tell(told(forked("s2", OFF)[:9], "s2"))
        await fakes.until_true(pilot, lambda: app.state.run is not None and app.state.run.running)
        await pilot.press("escape")
        await fakes.until_true(pilot, lambda: door.last() == Stop())
        door.tell([RunEnded("stopped", 0, 3.0, session="s2", run=1, turn=1)])
        await fakes.until_true(pilot, lambda: any("not asked to the end" in n.message for n in app._notifications))
        assert isinstance(app.screen, Research) and door.last() == Stop()
        await pilot.press("escape", "b")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Choose))


async def test_esc_in_the_choice_asks_nothing(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(80, 24)) as pilot:
        door = await asked(pilot, app, "space", "escape")
        assert door.commands == [] and isinstance(app.screen, Research)


async def test_who_looks_at_something_else_is_not_pulled_away(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        door = await asked(pilot, app, "enter")
        await pilot.press("f1")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Help))
        door.tell(told(forked("s2", OFF), "s2"))
        await fakes.until_true(pilot, lambda: any("side by side" in each.message for each in app._notifications))
        assert isinstance(app.screen, Help)
        await pilot.press("escape", "escape", "1", "b")
        assert await compared(pilot, app) == ("s1", "s2")
        await pilot.press("escape", "b")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Choose))


async def test_what_was_to_be_compared_is_forgotten_with_another_session(data: Path) -> None:
    app = fakes.make_app(data, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        door = await asked(pilot, app, "enter")
        await pilot.press("f1")
        door.tell(told(forked("s2", OFF), "s2"))
        await fakes.until_true(pilot, lambda: app.state.run is not None and app.state.session == "s2")
        door.tell([dataclasses.replace(event, session="s3") for event in fakes.RUN])
        await fakes.until_true(pilot, lambda: app.state.session == "s3")
        await pilot.press("escape", "escape", "1", "b")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Choose))


async def test_while_a_question_is_answered_it_is_refused(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        await pilot.press("1", "r")
        await fakes.until_true(pilot, lambda: any("stop the run" in each.message for each in app._notifications))
        assert isinstance(app.screen, Research)


# ── with the engine ──────────────────────────────────────────────────────────────────────────────


class InProcess:
    """The real engine as the app's door, over a real library and journal; its two models are stood in for."""

    def __init__(self, settings: Settings, replies: Sequence[str] | Callable[[View], str]) -> None:
        self._settings, self._model = settings, ScriptedModel(replies)

    def __call__(self, receive: Callable[[Event], None]) -> InProcess:
        self.engine = Engine(self._settings, receive, load_model=lambda _: self._model, embedder=HashEmbedder())
        return self

    def send(self, command: Command) -> None:
        self.engine.handle(command)

    def close(self) -> None:
        self.engine.close()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = settings_in(tmp_path, window=1)
    stock(made, tmp_path / "shelf")
    yield made


async def answered(pilot: Pilot[None], app: DeepSearchApp) -> str:
    """Ask the first question. Returns its session."""
    await fakes.until_true(pilot, lambda: app.door is not None)
    app._send(Ask(QUESTION))
    await fakes.until_true(pilot, lambda: app.state.run is not None and app.state.run.ended == "answered")
    return app.state.session


async def test_the_whole_way_with_the_engine(settings: Settings) -> None:
    app = DeepSearchApp(InProcess(settings, STORY * 3), settings)
    async with app.run_test(size=(160, 50)) as pilot:
        first = await answered(pilot, app)
        await pilot.press("escape", "1", "r")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, AskAgain) and app.screen.query_one(RowList).row)
        await pilot.press("space", "down", "space", "enter")
        sessions = await compared(pilot, app)
        assert sessions[0] == first and len(set(sessions)) == 3 and app.state.session == sessions[-1]
        assert isinstance(app.screen, Compare)
        one, two, three = app.screen.measures
        assert (one.policy.window, two.policy.window, three.policy.window) == (1, 0, 2)
        assert {each.question for each in app.screen.measures} == {QUESTION}
        assert (one.masked, two.masked, three.masked) == (1, 0, 0) and one.turns == two.turns == three.turns == 3
        assert {each.answer for each in app.screen.measures} == {one.answer} and one.verified == 1


async def test_a_stop_ends_it_with_the_engine_too_and_the_first_session_stays(settings: Settings) -> None:
    paced = Paced(STORY * 2)
    app = DeepSearchApp(InProcess(settings, paced), settings)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        paced.go(3)
        first = await answered(pilot, app)
        await pilot.press("escape", "1", "r")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, AskAgain) and app.screen.query_one(RowList).row)
        await pilot.press("space", "down", "space", "enter")
        paced.go()
        await fakes.until_true(
            pilot, lambda: app.state.session != first and app.state.run and app.state.run.observations
        )
        await pilot.press("escape")
        paced.go()
        await fakes.until_true(pilot, lambda: any("not asked to the end" in n.message for n in app._notifications))
        assert app.state.run is not None and app.state.run.ended == "stopped"
        assert isinstance(app.screen, Research)
        await pilot.press("escape", "escape", "1", "b")
        await fakes.until_true(
            pilot, lambda: isinstance(app.screen, Choose) and app.screen.query_one(RowList).row == first
        )
