"""What the model read at every turn of a session, put together again from its journal, word for word.

What an observation says is in the journal with it. All other pieces of a view are told with the first view of a run that
has them: the system message, the template, a reply as the model's format shows it again. A view names its pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine import replay
from engine.context import view
from engine.context.transcript import Transcript
from engine.errors import SessionError
from engine.protocol import (
    CacheEdited,
    Decided,
    Decision,
    Event,
    Observation,
    PromptSegment,
    PromptShown,
    RunStarted,
    SegmentTokens,
    ViewBuilt,
)

_WRITTEN = ("call", "thought", "answer")
"""Kinds of what a model wrote."""


@dataclass(frozen=True)
class Reading:
    """One view that the model was given, and all it was made of. ``told`` are the texts of its run, to which later ones
    may have been added.
    """

    attempt: int
    transcript: Transcript
    decisions: tuple[Decision, ...]
    built: ViewBuilt
    told: Sequence[str]

    def texts(self) -> tuple[str | None, ...]:
        """The text of each segment; None where it is not known. Put together when it is asked for: nobody looks at most
        of them.
        """
        observations = {each.number: each for each in self.transcript.observations()}
        return tuple(
            self._text(place, segment, observations)
            for place, segment in zip(self.built.places, self.built.segments, strict=False)
        )

    def _text(self, place: int, segment: SegmentTokens, observations: Mapping[int, Observation]) -> str | None:
        if place == -1 and segment.observation in observations:
            seen = observations[segment.observation]
            return view.header_text(seen) if segment.kind == "header" else view.body_text(seen)
        return self.told[place] if 0 <= place < len(self.told) else None


class Readings:
    """The readings of one session. They grow with the journal: :meth:`hear` takes what is new in it.

    ``past`` is the session's, ``system`` the last run's system message, ``web`` whether the web could be searched in
    it, and ``speed`` the seconds that reading one token took in it, 0 before any was.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.system = ""
        self.web = False
        self._told = replay.Told()
        self._texts: list[str] = []
        self._decided = Decided(())
        self._read = 0
        self._seconds = 0.0
        self._all: list[Reading] = []

    @property
    def past(self) -> replay.Past:
        return self._told.past

    @property
    def speed(self) -> float:
        return self._seconds / self._read if self._read else 0.0

    def hear(self, events: Iterable[Event]) -> None:
        """Go on with these events of the session, in order."""
        for event in events:
            self.seq = max(self.seq, event.seq)
            self._told = replay.hear(self._told, event)
            match event:
                case RunStarted():
                    self.system, self.web, self._texts = event.system, event.web != "off", []
                    if not event.resumed:
                        self._read, self._seconds = 0, 0.0
                case Decided():
                    self._decided = event
                case CacheEdited(decoded=decoded, seconds=seconds):
                    self._read, self._seconds = self._read + decoded, self._seconds + seconds
                case ViewBuilt():
                    self._all.append(self._reading(event))

    def _reading(self, built: ViewBuilt) -> Reading:
        last = self._all[-1].built if self._all else None
        again = last is not None and (last.run, last.turn, last.purpose) == (built.run, built.turn, built.purpose)
        self._texts += built.texts
        attempt = self._all[-1].attempt + 1 if again else 1
        return Reading(attempt, self.past.transcript, self._decided.decisions, built, self._texts)

    def place(self, run: int = 0, turn: int = 0) -> int:
        """Where the last reading of a turn is, of the turn itself if it has one; 0 is the last run, the last turn.

        Raises SessionError where there is none.
        """
        places = [
            (each.built.purpose == "turn", place)
            for place, each in enumerate(self._all)
            if each.built.run == (run or self.past.run) and (not turn or each.built.turn == turn)
        ]
        if not places:
            raise SessionError(f"The model has read nothing in turn {turn} yet." if turn else "Nothing was read yet.")
        return max(places)[1]

    def shown(self, place: int) -> PromptShown:
        """The whole text of a reading; the first or last one where there is none at this place."""
        if not self._all:
            raise SessionError("Nothing was read yet.")
        place = max(0, min(place, len(self._all) - 1))
        reading = self._all[place]
        built = reading.built
        texts = reading.texts()
        segments = tuple(_segments(reading, texts))
        missing = _missing(built, texts)
        return PromptShown(
            segments,
            place,
            len(self._all),
            built.tokens,
            built.limit,
            built.reserved,
            built.purpose,
            reading.attempt,
            exact=not missing,
            note=missing,
            session=built.session,
            run=built.run,
            turn=built.turn,
            at=built.at,
        )


def _missing(built: ViewBuilt, texts: Sequence[str | None]) -> str:
    """What of the text is not known, in words; empty where all is."""
    if len(texts) != len(built.segments):
        return "This session was recorded without the texts of its prompts."
    unknown = {each.kind for each, text in zip(built.segments, texts, strict=True) if text is None}
    if unknown == {"template"}:
        return "The model does not tell its template's own text."
    return "The session does not tell all that was read here." if unknown else ""


def _segments(reading: Reading, texts: Sequence[str | None]) -> Iterator[PromptSegment]:
    """The pieces with their texts and sizes, and behind its header what is masked of an observation."""
    built = reading.built
    made = {
        observation.number: (turn.number, observation)
        for turn in reading.transcript.turns
        for observation in turn.observations
    }
    masked = {decision.observation for decision in reading.decisions if decision.state == "masked"}
    turns = iter([0] * len(reading.transcript.history) + [turn.number for turn in reading.transcript.turns])
    turn, wrote = 0, False  # what one reply is shown as stands together, and something else before the next
    for place, each in enumerate(built.segments):
        text = texts[place] if place < len(texts) else None
        if each.kind in _WRITTEN:
            turn, wrote = turn if wrote else next(turns, 0), True
        elif each.kind != "template":
            turn, wrote = 0, False
        here = made[each.observation][0] if each.observation in made else turn
        yield PromptSegment(
            each.kind, text or "", each.tokens, each.observation, 0 if each.kind == "template" else here
        )
        if each.kind == "header" and each.observation in masked and built.purpose == "turn":
            tokens = made[each.observation][1].body_tokens
            if tokens:
                yield PromptSegment("body", "", tokens, each.observation, here, masked=True)
