"""``python -m tests.record``: one real run of the starter model over the guide, kept as the events it told.

The tests fold it instead of asking a model. Record it again after a change to the protocol or to what a run tells; the
run will be another one, so look at the pictures that show it.
"""

from __future__ import annotations

import functools
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from engine import replay
from engine.protocol import (
    Ask,
    Event,
    Failed,
    IndexEnded,
    IndexPaths,
    Policy,
    RunEnded,
    RunStarted,
    decode_event,
    encode,
)
from engine.sessions import Journal
from engine.settings import load_settings
from tests.answers import DOCS, ROOT, Session
from tui.guide import EXAMPLES

FILE = Path(__file__).parent / "data" / "recorded.jsonl"
SESSION = "recorded"
START = 1_790_000_000.0
"""When it is said to have begun, so that nothing in it hangs on the day."""

POLICY = Policy(window=2)
"""Narrow, so that a short run masks something."""


@functools.cache
def recorded() -> tuple[Event, ...]:
    """The run that was recorded last."""
    return tuple(decode_event(line) for line in FILE.read_text(encoding="utf-8").splitlines())


def record(question: str = EXAMPLES[0]) -> tuple[Event, ...]:
    """Ask the starter model, over the guide as it is now. Pieces of text whose whole follows are left out."""
    with tempfile.TemporaryDirectory() as home:
        session = Session(home)
        try:
            session.engine.handle(IndexPaths((str(DOCS),), library="guide"))
            session.until(IndexEnded)
            session.engine.handle(Ask(question, policy=POLICY, library="guide"))
            told = session.until(RunEnded)
        finally:
            session.engine.close()
        asked = next(event.session for event in told if event.session and not isinstance(event, Failed))
        with closing(Journal(load_settings({"data_dir": home}).journal)) as journal:
            events = list(journal.events(asked))
        kept = [_anywhere(event, home) for event in replay.without_pieces(events)]
    moved = START - kept[0].at
    return tuple(
        replace(event, session=SESSION, seq=seq, at=round(event.at + moved, 2)) for seq, event in enumerate(kept, 1)
    )


def _anywhere(event: Event, home: str) -> Event:
    """The event without the places of this machine."""
    if isinstance(event, RunStarted):
        event = replace(event, model=replace(event.model, path=Path(event.model.path).name))
    return decode_event(encode(event).replace(str(ROOT), "/guide").replace(home, "/data"))


def main() -> None:
    events = record()
    FILE.write_text("".join(f"{encode(event)}\n" for event in events), encoding="utf-8")
    print(f"{len(events)} events, {FILE.stat().st_size:,} bytes: {FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
