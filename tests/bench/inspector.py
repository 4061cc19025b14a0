"""The inspector under load: a map of a thousand observations, a session of two hundred turns, resizing, and standing still.

Each figure is processor time, from the key or the event until nothing moves any more, and stands beside that of a small
run, measured in the same process. Other programs do not change it much; a pilot's own waiting is not in it. The lag is by
the clock: how late a timer of five milliseconds comes. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from engine import garbage
from engine.agent.formats.guided import Guided
from engine.agent.listen import Listener
from engine.context import masking, view
from engine.context.transcript import Call, Transcript, Turn
from engine.engine import Engine
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    CacheEdited,
    CallStarted,
    Decided,
    Event,
    ModelInfo,
    Observation,
    Observed,
    OpenSession,
    Policy,
    RunEnded,
    RunStarted,
    ThoughtDelta,
    Timings,
    TurnEnded,
    TurnStarted,
)
from engine.sessions import Journal
from engine.settings import Settings, load_settings
from tui.app import DeepSearchApp
from tui.fold import fold_all
from tui.screens.prompt import PromptView
from tui.widgets.context_map import ContextMap
from tui.widgets.folds import Folds

POLICY = Policy(window=4)
MODEL = ModelInfo("bench", context=1 << 20, cache="carry")
WORDS = ("the lamp of the tower is lit at dusk", "by the keeper who rows out with oil", "flour and letters")


def long_run(turns: int, each: int = 1) -> Iterator[Event]:
    """A run of so many turns with so many observations ``each``, as an engine would tell it."""
    transcript = Transcript("What is known of the tower?")
    listener = Listener(ScriptedModel([], context=MODEL.context))
    system = Guided(led=False).system(web=False, named=())
    yield RunStarted(transcript.question, POLICY, "bench", MODEL, turns + 1, system=system)
    for number in range(1, turns + 1):
        yield TurnStarted(turn=number)
        decisions = masking.decide(transcript.turns, POLICY)
        yield Decided(decisions, POLICY, turn=number)
        shown = view.build(transcript, decisions, POLICY, system=system)
        built = listener.recorded(listener.built(shown), shown, transcript.observations())
        yield replace(built, turn=number)
        yield CacheEdited(built.tokens - 200, 200, 0, 0.1, turn=number)
        thought = f"Thought {number}: " + " ".join(WORDS[:2])
        yield from (ThoughtDelta(word, turn=number) for word in thought.split())
        calls, seen = [], []
        for place in range(1, each + 1):
            calls.append(Call(f"{number}.{place}", "open", {"id": place}))
            seen.append(_observation((number - 1) * each + place, calls[-1].id))
            yield CallStarted(calls[-1].id, "open", {"id": place}, turn=number)
        yield from (Observed(observation, turn=number) for observation in seen)
        raw = f'{{"thought": "{thought}", "do": "open", "id": 1}}'
        yield TurnEnded(raw, thought, "stop", Timings(built.tokens, built.tokens - 200, 30, 0.1, 1.0, 0.1), turn=number)
        transcript = transcript.add(Turn(number, raw, thought, tuple(calls), tuple(seen)))
    yield RunEnded("answered", turns, 1.0, turn=turns)


def _observation(number: int, call: str) -> Observation:
    lines = [f"L{line}: {number} {' '.join(WORDS[line % 2 :])}" for line in range(1, 25)]
    body = "\n".join(lines)
    header = f"[{number}] Page {number} (/shelf/{number % 50}.md) L1-L24 of 99"
    where = f"/shelf/{number % 50}.md"
    return Observation(
        number, call, "open", header, body, cursor=number, title=f"Page {number}", uri=where, first=1, last=24,
        total_lines=99, header_tokens=12, body_tokens=300 + number % 200,
    )  # fmt: skip


def measure() -> None:
    garbage.seldom()  # as the app and the engine do in their processes
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings({"data_dir": home}, env={})
        settings.prepare()
        asyncio.run(_map(settings))
        asyncio.run(_session(settings))


def _told(label: str, seconds: float, small: float = 0.0) -> None:
    ratio = f"   {seconds / small:6.1f} times the small one's" if small else ""
    print(f"{label:<58} {seconds * 1000:8.1f} ms{ratio}")


async def _map(settings: Settings) -> None:
    small, large = [await _map_of(settings, turns) for turns in (10, 1000)]
    names = (
        "folding the events", "drawing it first", "a page down the map", "a row down the map", "the next pane",
        "a word streamed", "160 to 80 columns", "80 to 160 columns",
    )  # fmt: skip
    for name, few, many in zip(names, small, large, strict=False):  # the lags come after
        _told(f"1,000 observations: {name}", many, few)
    for label, at in (("p99", 0.99), ("max", 1.0)):
        few, many = (sorted(each[len(names) :]) for each in (small, large))
        _told(
            f"1,000 observations: lag while words stream, {label}", *(x[round(at * (len(x) - 1))] for x in (many, few))
        )


async def _map_of(settings: Settings, turns: int) -> list[float]:
    events = [replace(event, session="s", run=1) for event in long_run(turns)][:-1]  # still running
    app = DeepSearchApp(lambda _: _Nobody(), settings)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        began = time.process_time()
        app.state = fold_all(events)
        folded = time.process_time() - began
        drawn = await _timed(pilot, lambda: app._research.refresh_from(app.state))
        app.screen.query_one(ContextMap).focus()
        await _press(pilot, "g")  # else the first page would go to the end
        pages = [await _press(pilot, "pagedown") for _ in range(10)]
        rows = [await _press(pilot, "down") for _ in range(20)]
        panes = [await _press(pilot, "tab") for _ in range(5)]
        word = ThoughtDelta("word ", session="s", run=1, turn=turns)
        words = []
        for _ in range(20):
            app.state = fold_all([word], app.state)
            words.append(await _timed(pilot, lambda: app._research.refresh_from(app.state)))
        widths = [await _resize(pilot, width) for width in (80, 160, 80, 160, 80, 160)]
        medians = [statistics.median(each) for each in (pages, rows, panes, words, widths[::2], widths[1::2])]
        return [folded, drawn, *medians, *await _lags(app, word)]


async def _lags(app: DeepSearchApp, word: Event, seconds: float = 10.0) -> list[float]:
    """How late a timer comes while the app is told words twenty times a second, as the bridge tells them."""
    lags, until, due = [], time.perf_counter() + seconds, 0.0
    while time.perf_counter() < until:
        if time.perf_counter() >= due:
            due = time.perf_counter() + 0.05
            app.post_message(DeepSearchApp.Told([word] * 5))
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - began - 0.005)
    return lags


async def _session(settings: Settings) -> None:
    journal = Journal(settings.journal)
    sessions = {}
    for turns in (5, 200):
        sessions[turns] = journal.create(f"{turns} turns")
        for seq, event in enumerate(long_run(turns), 1):
            journal.append(replace(event, session=sessions[turns], run=1, seq=seq, at=1_790_000_000.0 + seq))
    journal.close()
    app = DeepSearchApp(lambda receive: _Here(Engine(settings, receive)), settings)
    async with app.run_test(size=(160, 50)) as pilot:
        while app.door is None:
            await pilot.pause()
        await _still()
        opened: dict[int, float] = {}
        for turns, session in sessions.items():
            began = time.process_time()
            app.door.send(OpenSession(session))
            while app.state.title != f"{turns} turns":
                await asyncio.sleep(0.002)
            await _still()
            opened[turns] = time.process_time() - began
        _told("a session of 200 turns: opened and drawn", opened[200], opened[5])
        began = time.process_time()
        await pilot.press("escape", "v")
        while not isinstance(app.screen, PromptView) or app.screen.query_one(Folds).block is None:
            await asyncio.sleep(0.002)
        _told("its last prompt: put together and shown, the first time", time.process_time() - began)
        _told("the prompt of the turn before", await _press(pilot, "left_square_bracket"))
        _told("every piece of a prompt unfolded", await _press(pilot, "z"))
        await pilot.press("escape")
        narrow = [await _resize(pilot, width) for width in (80, 160, 80, 160)]
        _told("resizing 160 to 80 columns", statistics.median(narrow[::2]))
        began, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(3)
        share = (time.process_time() - used) / (time.perf_counter() - began)
        print(f"{'standing still: processor time':<58} {share:8.1%}")


class _Nobody:
    """A door behind which nobody is."""

    def send(self, command: object) -> None: ...

    def close(self) -> None: ...


class _Here:
    """An engine in this process that loads no model: its work is in the figures, and nothing else is."""

    def __init__(self, engine: Engine) -> None:
        self.send, self.close = engine.handle, engine.close


async def _still() -> None:
    """Wait until nothing has been done for two moments on end."""
    quiet = 0
    while quiet < 2:
        used = time.process_time()
        await asyncio.sleep(0.02)
        quiet = quiet + 1 if time.process_time() - used < 0.001 else 0


async def _timed(pilot: Pilot[None], act: Callable[[], object]) -> float:
    await _still()
    began = time.process_time()
    pilot.app.call_next(act)
    await _still()
    return time.process_time() - began


async def _press(pilot: Pilot[None], key: str) -> float:
    return await _timed(pilot, lambda: pilot.app.simulate_key(key))


async def _resize(pilot: Pilot[None], width: int) -> float:
    await _still()
    began = time.process_time()
    await pilot.resize_terminal(width, 50)
    await _still()
    return time.process_time() - began


if __name__ == "__main__":
    print(Path(__file__).stem)
    measure()
