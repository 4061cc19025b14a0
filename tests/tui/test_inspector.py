"""The inspector: what each observation was good for, what a change would cost, and what changed between two prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.protocol import (
    Event,
    Observed,
    Policy,
    Price,
    Priced,
    PromptSegment,
    PromptShown,
    SetMark,
    SetMasking,
)
from engine.settings import Settings
from tests.tui import fakes
from tests.tui.test_safe import drawn
from tui import offers, prompts
from tui.app import DeepSearchApp
from tui.fold import fold_all
from tui.offers import Offer
from tui.state import RunState, Use
from tui.widgets.context_map import ContextMap, Drawn, map_rows
from tui.widgets.detail import Detail


def run_of(events: Sequence[Event]) -> RunState:
    run = fold_all(events).run
    assert run is not None
    return run


# ── every decision ───────────────────────────────────────────────────────────────────────────────


def test_the_last_use_of_each_observation() -> None:
    used = {row.number: row.used for row in run_of(fakes.RUN).observations}
    assert used == {
        1: Use("quoted", 7),
        2: Use("cited", 7),
        3: None,
        4: Use("quoted", 7),
        5: Use("cited", 7),
        6: Use("cited", 7),
        7: Use("cited", 7),
    }
    before = {row.number: row.used for row in run_of(fakes.until(Observed, 4)).observations}
    assert before[2] is None
    running = {row.number: row.used for row in run_of(fakes.RUNNING).observations}
    assert running[2] == Use("re-opened", 4)


def test_a_wide_map_says_why_in_words_and_sums_are_told_apart_from_sizes() -> None:
    run = run_of(fakes.RUN)
    rows = {row.id: row.content.plain for row in map_rows(run, 100)}
    assert rows["1"].rstrip().endswith("6t quoted 7     older than 2 turns")
    assert rows["3"].rstrip().endswith("error, kept")
    assert "prompt tokens of this run so far" in rows["sum0"]
    assert rows["sum1"] == "read 1,680 · reused 24,286 (94%)"
    spared = 1904 + (1904 + 2311) + (1904 + 2311 + 412)
    assert run.saved == spared and f"spared {spared:,}" in rows["sum2"]


def test_what_did_not_change_is_not_drawn_again() -> None:
    run = run_of(fakes.RUN)
    kept: dict[int, Drawn] = {}
    first, again = map_rows(run, 60, kept), map_rows(run, 60, kept)
    assert all(a is b for a, b in zip(first, again, strict=True) if a.id.isdigit())


async def test_the_detail_of_a_turn_has_why_when_how_long_and_the_raw_text(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "2", "home", "down", "down")
        await fakes.until_true(pilot, lambda: app.screen.query_one(Detail).number == 3)
        await pilot.pause()
        screen = drawn(app.screen)
        for said in (
            "✗ there is no link 9 on cursor 0",
            "4 turns old · not used since",
            "wrote 72 in 2.4s (30 tok/s)",
            "(600 tok/s)",
            "what it wrote",
            "what was understood",
            "id: 9",
        ):
            assert said in screen


# ── the price ────────────────────────────────────────────────────────────────────────────────────


def test_an_offer_says_what_it_frees_at_once_and_what_it_costs_when_that_is_known() -> None:
    state = fold_all([*fakes.READY, *fakes.RUNNING])
    offer = Offer("m", SetMark(6, "mask"))
    assert offers.words(state, offer, 120) == (
        "mask 6: frees 980 tokens (about 0.7 turns more of room), cost …",
        "m again does it · esc",
    )
    for priced, said in (
        (Priced(6, "mask", 980, 310, 3.14, preview=True), "costs about 3.1 s of re-reading"),
        (Priced(6, "mask", 980, 310, 0.0, preview=True), "reads 310 again"),
        (Priced(6, "mask", 980, 0, 0.0, preview=True), "costs no re-reading"),
        (Priced(6, "mask", 980, -310, 0.0, preview=True), "spares reading 310"),
        (Priced(6, "mask", 980, 0, 0.0, preview=True, exact=False), "no model is loaded, only tokens are counted"),
        (Priced(5, "mask", 980, 0, 0.0, preview=True), "cost …"),
    ):
        assert said in offers.words(fold_all([priced], state), offer, 160)[0]
    brief = offers.words(fold_all([Priced(6, "mask", 980, 310, 3.14, preview=True)], state), offer, 60)
    assert brief == ("mask 6: frees 980 (0.7 turns), costs 3.1 s", "m: do it · esc")
    back = offers.words(state, Offer("m", SetMark(1, "unmask")), 120)[0]
    assert back.startswith("unmask 1: takes 1,904 tokens (about 1.4 turns less of room)")
    off = offers.words(state, Offer("-", SetMasking(Policy(window=0))), 120)[0]
    assert off.startswith("window off: takes 4,215 tokens")
    over = fold_all([*fakes.READY, *fakes.RUN])
    assert "costs nothing: the run is over" in offers.words(over, offer, 120)[0]


@pytest.mark.parametrize("leave", ["escape", "up"])
async def test_an_offer_is_dropped_by_esc_and_by_moving(leave: str, tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        assert isinstance(app.door, fakes.ScriptedDoor)
        await pilot.press("2", "end", "m")
        await fakes.until_true(pilot, lambda: "m again does it" in drawn(app.screen))
        await pilot.press(leave)
        await fakes.until_true(pilot, lambda: "turn 6 thinking" in drawn(app.screen))
        await pilot.press("m")
        assert [type(command) for command in app.door.commands] == [Price, Price], "asked anew, and the run goes on"


async def test_whoever_knows_the_prices_can_turn_asking_off(tmp_path: Path) -> None:
    def door(receive: Callable[[Event], None]) -> fakes.ScriptedDoor:
        made = fakes.ScriptedDoor(receive)
        made.tell([*fakes.READY, *fakes.RUNNING])
        return made

    app = DeepSearchApp(door, Settings(data_dir=tmp_path, preview=False), clock=lambda: fakes.START + 75)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        await pilot.press("2")
        app.screen.query_one(ContextMap).select("6")
        await pilot.press("m")
        assert isinstance(app.door, fakes.ScriptedDoor)
        assert app.door.commands == [SetMark(6, "mask")]


# ── two prompts ──────────────────────────────────────────────────────────────────────────────────


def shown(*segments: PromptSegment, turn: int = 1, run: int = 1) -> PromptShown:
    return PromptShown(segments, turn - 1, 9, 100, 1000, 10, run=run, turn=turn)


def test_what_came_went_was_masked_and_came_back() -> None:
    system, again = PromptSegment("system", "s", 5), PromptSegment("system", "t", 5)
    call, head = PromptSegment("call", "{}", 3, turn=1), PromptSegment("header", "[1]", 2, 1, 1)
    body, hollow = PromptSegment("body", "text", 9, 1, 1), PromptSegment("body", "", 9, 1, 1, masked=True)
    note, template = PromptSegment("note", "again!", 4), PromptSegment("template", "<|x|>", 1)
    old = shown(template, system, template, call, head, body, note)
    new = shown(template, again, template, call, head, hollow, PromptSegment("call", "{}", 3, turn=2), turn=2)

    def told(a: PromptShown, b: PromptShown | None) -> list[tuple[str, str]]:
        return [(each.segment.kind, each.change) for each in prompts.compare(a, b) if each.segment.kind != "template"]

    assert told(new, old) == [
        ("system", "gone"),
        ("system", "changed"),
        ("call", "same"),
        ("header", "same"),
        ("body", "masked"),
        ("call", "added"),
        ("note", "gone"),
    ]
    assert ("body", "back") in told(old, new)
    assert {change for _, change in told(old, None)} == {"added"}
    assert ("body", "masked") in told(new, None), "what was never in view did not come"
    assert {change for _, change in told(old, old)} == {"same"}
    assert prompts.difference(prompts.compare(old, old)) == "nothing changed"
    other_run = dataclasses.replace(old, run=2)
    assert ("call", "added") in told(old, other_run), "the first turn of another question is not this one"
