"""The recorded run as saved sessions, under ids of their own: as it was, and as it would be without masking."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from engine.protocol import (
    AnswerReady,
    CitationChecked,
    Decided,
    Decision,
    Event,
    Policy,
    RunEnded,
    RunStarted,
    SegmentTokens,
    ViewBuilt,
)
from engine.sessions import Journal
from engine.settings import Settings
from tests.tui import fakes

OTHER = "s2"


def keep(data_dir: Path, session: str, events: Sequence[Event], title: str = fakes.QUESTION) -> Path:
    """Write events as a session of the journal of this data folder. Returns the journal's file."""
    path = Settings(data_dir=data_dir).journal
    with closing(Journal(path)) as journal:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", (session, title, fakes.START))
            connection.commit()
        journal.append_all([dataclasses.replace(event, session=session) for event in events])
    return path


def unmasked() -> Iterator[Event]:
    """The same run with masking off: everything in view, another answer, and more to read."""
    for event in fakes.RUN:
        match event:
            case RunStarted():
                yield dataclasses.replace(event, policy=Policy(window=0))
            case Decided(decisions):
                off = [
                    Decision(d.observation, d.state if d.state == "kept" else "live", "masking is off")
                    for d in decisions
                ]
                yield dataclasses.replace(event, decisions=tuple(off))
            case ViewBuilt(segments):
                whole = list(_whole(segments))
                yield dataclasses.replace(event, segments=tuple(whole), tokens=sum(each.tokens for each in whole))
            case AnswerReady():
                yield dataclasses.replace(
                    event, text=fakes.ANSWER.replace("Nothing is lost.", "Nothing is ever deleted.")
                )
            case CitationChecked(citation) if citation.state == "weak":
                yield dataclasses.replace(event, citation=dataclasses.replace(citation, state="verified"))
            case RunEnded():
                yield dataclasses.replace(event, seconds=83.0)
            case _:
                yield event


def _whole(segments: Sequence[SegmentTokens]) -> Iterator[SegmentTokens]:
    for segment in segments:
        if segment.kind != "body":
            yield segment
        if segment.kind == "header" and (body := fakes.OBSERVATIONS[segment.observation - 1].body_tokens):
            yield SegmentTokens("body", body, segment.observation)
