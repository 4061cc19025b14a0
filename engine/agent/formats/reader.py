"""From a reply in a native format to what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.agent.actions import Action, Answer, Malformed, Reply
from engine.agent.formats import tools
from engine.agent.formats.base import Delta
from engine.agent.formats.split import Part, Splits
from engine.agent.formats.tools import Written
from engine.clean import clean

MOST_CALLS = 8
"""Calls of one reply that are run."""


class NativeReader:
    """Reads one reply of a model that was trained to call tools: thoughts, then calls, or else an answer.

    ``splitter`` takes it apart, ``read`` makes calls of the parts that are some; it raises Malformed or ValueError.
    """

    def __init__(self, splitter: Splits, read: Callable[[Part], list[Written]]) -> None:
        self._splitter = splitter
        self._read = read
        self._thought = ""
        self._said = ""
        self._calls: list[Part] = []
        self._cut = False  # within a thought

    def feed(self, piece: str) -> Delta:
        return self._take(self._splitter.feed(piece))

    def finish(self) -> Reply:
        self._take(self._splitter.end())
        thought, said = self._thought.strip(), self._said.strip()
        if self._calls:
            return self._reply("\n\n".join(filter(None, (thought, said))))
        if said:
            return Reply(clean(thought), (Answer(clean(said)),))
        if self._cut:
            raise Malformed("the thought came to no end, and to no call or answer")
        raise Malformed("the reply is neither a call nor an answer" if thought else "the reply is empty")

    def _reply(self, thought: str) -> Reply:
        good: list[Action] = []
        bad: list[str] = []
        for part in self._calls:
            try:
                written = self._read(part)
            except (Malformed, ValueError) as error:
                bad.append(str(error) if isinstance(error, Malformed) else _unreadable(part))
                continue
            for call in written:
                try:
                    meant = tools.meant(call)
                except Malformed as error:
                    bad.append(str(error))
                    continue
                good += meant.actions
                bad += [meant.problem] if meant.problem else []
        if len(good) > MOST_CALLS:
            bad.append(f"only the first {MOST_CALLS} of {len(good)} calls were run")
        if not good:
            raise Malformed("; ".join(bad) or "there is no call between the marks of a call")
        return Reply(clean(thought), tuple(good[:MOST_CALLS]), tuple(bad))

    def _take(self, parts: Sequence[Part]) -> Delta:
        thought = said = ""
        for part in parts:
            if part.turned:
                thought += self._said
                self._thought, self._said, said = self._thought + self._said, "", ""
            elif part.kind == "thought":
                self._thought += part.text
                thought += part.text
                self._cut = not part.whole
            elif part.kind == "said":
                self._said += part.text
                said += part.text
            elif part.kind == "call":
                self._calls.append(part)
        return Delta(thought, said)


def _unreadable(part: Part) -> str:
    return "the call was not finished" if not part.whole else "the call cannot be read"
