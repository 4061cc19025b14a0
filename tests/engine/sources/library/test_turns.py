from __future__ import annotations

import threading
import time

import pytest

from engine.sources.library.turns import Turns


def test_the_urgent_one_is_next_and_the_others_keep_their_order() -> None:
    turns, order, waiting = Turns(), [], []
    with turns.take():
        for name, urgent in (("first", False), ("second", False), ("question", True)):
            thread = threading.Thread(target=lambda n=name, u=urgent: enter(turns, order, n, u))
            thread.start()
            waiting.append(thread)
            time.sleep(0.1)
    for thread in waiting:
        thread.join(timeout=10)
    assert order == ["question", "first", "second"]


def enter(turns: Turns, order: list[str], name: str, urgent: bool) -> None:
    with turns.take(urgent=urgent):
        order.append(name)


def test_who_comes_again_and_again_does_not_keep_others_out() -> None:
    turns, done = Turns(), threading.Event()

    def busy() -> None:
        while not done.is_set():
            with turns.take():
                time.sleep(0.001)

    threading.Thread(target=busy, daemon=True).start()
    time.sleep(0.05)
    began = time.monotonic()
    for _ in range(20):
        with turns.take():
            pass
    done.set()
    assert time.monotonic() - began < 5


def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.take():
        1 / 0  # noqa: B018
    with turns.take(urgent=True):
        pass
