"""A door that plays a recorded run, and the run: seven turns over a small guide, made of the engine's own events."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import TextArea

from engine import replay
from engine.agent.formats.guided import Guided
from engine.agent.listen import Listener
from engine.context import view
from engine.history import History, remember
from engine.model.scripted import ScriptedModel
from engine.protocol import (
    AnswerDelta,
    AnswerReady,
    Ask,
    CacheEdited,
    CallStarted,
    Citation,
    CitationChecked,
    Command,
    Continue,
    Decided,
    Decision,
    EngineReady,
    Event,
    EvidenceChosen,
    Failed,
    IndexEnded,
    IndexProgress,
    LibraryOpened,
    Link,
    ListModels,
    Marked,
    ModelInfo,
    ModelLoaded,
    ModelLoading,
    Observation,
    Observed,
    OpenPage,
    OpenSession,
    PageOpened,
    Policy,
    Price,
    Priced,
    Redo,
    RunEnded,
    RunStarted,
    SegmentTokens,
    SetMark,
    SetMasking,
    SetWeb,
    ShowPrompt,
    ThoughtDelta,
    Timings,
    TurnEnded,
    TurnStarted,
    Undo,
    ViewBuilt,
    WebSet,
)
from engine.readings import Readings
from engine.settings import Settings
from engine.steering import changes
from tests.tui.models_told import LISTED
from tui.app import DeepSearchApp
from tui.fold import fold_all
from tui.widgets.keybar import KeyBar

START = 1_790_000_000.0
QUESTION = "What happens to an observation when it leaves the window, and how do I keep one?"
MODEL = ModelInfo(
    name="qwen3-4b-instruct",
    format="guided",
    parameters=4_000_000_000,
    context=8192,
    trained=32768,
    cache="carry+repair",
)
QUESTIONS = (
    "What does the context map show?",
    "How do I keep an observation from being masked?",
    "Which files can be indexed?",
)
SESSION = "s1"


class ScriptedDoor:
    """Records the commands the app sends. ``tell`` plays events to the app, as an engine would."""

    def __init__(self, receive: Callable[[Event], None]) -> None:
        self.receive = receive
        self.commands: list[Command] = []
        self.closed = False
        self.plays: Sequence[Event] = ()
        self.history = History()
        self.reads = 300
        """Tokens that a change costs, and a hundredth of the seconds."""

    def send(self, command: Command) -> None:
        """As the engine does: marks, policies and pages come back at once; a question starts what is to be played."""
        self.commands.append(command)
        match command:
            case SetMark() | SetMasking() | Undo() | Redo():
                policy = command.policy if isinstance(command, SetMasking) else Policy()
                made = changes(command, self.history, policy)
                self.tell([dataclasses.replace(event, session=SESSION, run=1) for event in made])
            case Price(observation, mark, also, policy):
                cost = (0, self.reads, self.reads / 100)
                priced = Priced(observation, mark, *cost, preview=True, also=also, policy=policy, session=SESSION)
                self.tell([priced])
            case ShowPrompt(place=place, for_run=run, for_turn=turn):
                read = readings()
                self.tell([read.shown(read.place(run, turn) if place < 0 else place)])
            case SetWeb(mode):
                self.tell([WebSet(mode)])
            case ListModels():
                self.tell([LISTED])
            case OpenPage(uri) if uri in PAGES:
                self.tell([PageOpened(uri, uri.rpartition("/")[2], PAGES[uri])])
            case OpenPage(uri):
                self.tell([Failed("NotFound", f"There is no document {uri}.", "Index it again.")])
            case Ask() | Continue() | OpenSession():
                self.tell(self.plays)

    def close(self) -> None:
        self.closed = True

    def tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self.history = remember(self.history, event)
            self.receive(event)

    def last(self) -> Command:
        return self.commands[-1]


# ── what the engine tells before any question ────────────────────────────────────────────────────

READY: tuple[Event, ...] = (
    EngineReady(protocol=1, version="0", pid=1, log="/data/logs/engine.log"),
    ModelLoaded(model=MODEL, seconds=1.2),
    LibraryOpened(library="default", documents=9, chunks=212, embedded=212),
)
LOADING: tuple[Event, ...] = (
    EngineReady(protocol=1, version="0", pid=1, log="/data/logs/engine.log"),
    ModelLoading(name="qwen3-4b-instruct"),
)
INDEXING = IndexProgress(library="default", phase="embed", done=120, total=480, path="docs/guide/masking.md", eta=42.0)
INDEXED = IndexEnded(
    library="default",
    added=9,
    changed=0,
    unchanged=0,
    removed=0,
    skipped={"binary": 1},
    failures=(),
    chunks=212,
    seconds=8.5,
)

# ── the documents ────────────────────────────────────────────────────────────────────────────────

MASKING_MD = """\
# Masking

A long run fills the model's context with what it read many turns ago.

## The window

Observations of the last turns stay live. The number of those turns is the
window. When an observation leaves the window its body is taken out of what
the model reads and its header line stays, so that the model can open the
page again. Nothing is deleted: the transcript keeps every observation whole.

Errors are never masked. They are short, and they tell the model what not to
try again.

## By hand

Press `p` to pin an observation: it stays live whatever its age. Press `m` to
mask or unmask one. Both take effect at the next turn, and the context map
shows the change at once as pending.
"""
KEYS_MD = """\
# Keys

| key | what it does |
| --- | --- |
| m | mask or unmask the selected observation |
| p | pin or unpin the selected observation |
| + - | a wider or a narrower window |
| o | open the source at the cited lines |
"""


PAGES = {"docs/masking.md": MASKING_MD, "docs/keys.md": KEYS_MD}


def _numbered(text: str, first: int, last: int) -> str:
    rows = text.splitlines()[first - 1 : last]
    return "\n".join(f"L{number}: {row}" for number, row in enumerate(rows, first))


_RESULTS_1 = """\
[0] Masking › The window — docs/masking.md L5-L10
    Observations of the last turns stay live. The number of those turns is the window.
[1] Masking › By hand — docs/masking.md L15-L19
    Press `p` to pin an observation: it stays live whatever its age.
[2] Keys — docs/keys.md L1-L8
    m mask or unmask the selected observation
[3] The screen › Context map — docs/screen.md L12-L30
    One row for each observation; the bar is as long as it has tokens.
[4] Why mask at all — docs/why.md L1-L24
    Replacing stale observations often raises accuracy, does nothing under a weak retriever …"""
_RESULTS_4 = """\
[0] Masking › By hand — docs/masking.md L15-L19
    Press `p` to pin an observation: it stays live whatever its age.
[1] Keys — docs/keys.md L1-L8
    p pin or unpin the selected observation"""

OBSERVATIONS: tuple[Observation, ...] = (
    Observation(
        1, "c1", "search", '[1] search "observation leaves the window" → 5 results, cursor 0', _RESULTS_1, cursor=0,
        title="observation leaves the window",
        links=(
            Link(0, "Masking", "docs/masking.md", 5, 10), Link(1, "Masking", "docs/masking.md", 15, 19),
            Link(2, "Keys", "docs/keys.md", 1, 8), Link(3, "The screen", "docs/screen.md", 12, 30),
            Link(4, "Why mask at all", "docs/why.md", 1, 24),
        ),
        header_tokens=18, body_tokens=1904,
    ),
    Observation(
        2, "c2", "open", "[2] open docs/masking.md “Masking” L1-L19 of 19, cursor 1", _numbered(MASKING_MD, 1, 19), cursor=1,
        title="Masking", uri="docs/masking.md", first=1, last=19, total_lines=19, header_tokens=22, body_tokens=2311,
    ),
    Observation(
        3, "c3", "open", "[3] open id=9: error: there is no link 9 on cursor 0; its links are 0 to 4", "", error=True,
        header_tokens=41,
    ),
    Observation(
        4, "c4", "search", '[4] search "pin an observation" → 2 results, cursor 2', _RESULTS_4, cursor=2,
        title="pin an observation", links=(Link(0, "Masking", "docs/masking.md", 15, 19), Link(1, "Keys", "docs/keys.md", 1, 8)),
        header_tokens=16, body_tokens=690,
    ),
    Observation(
        5, "c5", "find", "[5] find “window” in docs/masking.md → 4 places, cursor 1", _numbered(MASKING_MD, 7, 10), cursor=1,
        title="Masking", uri="docs/masking.md", first=7, last=10, total_lines=19, header_tokens=19, body_tokens=412,
    ),
    Observation(
        6, "c6", "open", "[6] open docs/keys.md “Keys” L1-L8 of 8, cursor 3", _numbered(KEYS_MD, 1, 8), cursor=3,
        title="Keys", uri="docs/keys.md", first=1, last=8, total_lines=8, header_tokens=20, body_tokens=980,
    ),
    Observation(
        7, "c7", "open", "[7] open docs/masking.md “Masking” L12-L19 of 19, cursor 1", _numbered(MASKING_MD, 12, 19), cursor=1,
        title="Masking", uri="docs/masking.md", first=12, last=19, total_lines=19, header_tokens=22, body_tokens=1120,
    ),
)  # fmt: skip

CITATIONS: tuple[Citation, ...] = (
    Citation(
        marker="[1:L8-L10]",
        sentence="Its body is taken out of what the model reads; the header line stays.",
        cursor=1, first=8, last=10, uri="docs/masking.md", title="Masking",
        quote="\n".join(MASKING_MD.splitlines()[7:10]), state="verified", score=0.91,
    ),
    Citation(
        marker="[1:L17-L18]",
        sentence="Press p to pin one: it stays live whatever its age.",
        cursor=1, first=17, last=18, uri="docs/masking.md", title="Masking",
        quote="\n".join(MASKING_MD.splitlines()[16:18]), state="verified", score=1.0,
    ),
    Citation(
        marker="[3:L6-L7]",
        sentence="The window can be made wider at any time.",
        cursor=3, first=6, last=7, uri="docs/keys.md", title="Keys",
        quote="\n".join(KEYS_MD.splitlines()[5:7]), state="weak", score=0.34,
    ),
)  # fmt: skip

ANSWER = """\
When an observation leaves the window, **its body is taken out of what the model reads; the header line stays** \
[1:L8-L10], so the page can be opened again. Nothing is lost.

To keep one:

- Press `p` to pin one: it stays live whatever its age [1:L17-L18].
- The window can be made wider at any time [3:L6-L7].
"""

# ── the run ──────────────────────────────────────────────────────────────────────────────────────

_THOUGHTS = (
    "I should look for what the guide says about the window first.",
    "The first result is about the window. I will read the whole page.",
    "The last link may say how to keep one.",
    "That link does not exist. I will search for pinning, and look for the window on the page I have.",
    "The keys page should say which key pins.",
    "I want the section about doing it by hand once more.",
    "I have read enough to answer.",
)
_CALLS: tuple[tuple[int, ...], ...] = ((1,), (2,), (3,), (4, 5), (6,), (7,), ())
_ARGUMENTS: dict[int, dict[str, object]] = {
    1: {"query": "observation leaves the window"},
    2: {"id": 0},
    3: {"id": 9},
    4: {"query": "pin an observation"},
    5: {"pattern": "window", "cursor": 1},
    6: {"id": 1, "cursor": 2},
    7: {"cursor": 1, "line": 12},
}
_MASKED_FROM = {1: 5, 2: 6, 5: 7}
"""observation: the turn at which a window of two turns masks it. 4 would go at turn 7 too, but is pinned."""

POLICY = Policy(window=2)


def _decisions(turn: int) -> tuple[Decision, ...]:
    seen = [number for calls in _CALLS[: turn - 1] for number in calls]
    return tuple(_decision(number, turn) for number in seen)


def _decision(number: int, turn: int) -> Decision:
    if OBSERVATIONS[number - 1].error:
        return Decision(number, "kept", "error, kept")
    if number == 4 and turn > 5:
        return Decision(number, "pinned", "pinned by you")
    if turn >= _MASKED_FROM.get(number, 99):
        return Decision(number, "masked", "older than 2 turns")
    return Decision(number, "live", "within the last 2 turns")


def _view(turn: int) -> ViewBuilt:
    segments = [SegmentTokens("system", 812), SegmentTokens("question", 22)]
    for decision in _decisions(turn):
        observation = OBSERVATIONS[decision.observation - 1]
        segments += [SegmentTokens("thought", 24), SegmentTokens("call", 16)]
        segments.append(SegmentTokens("header", observation.header_tokens, observation.number))
        if decision.state != "masked" and observation.body_tokens:
            segments.append(SegmentTokens("body", observation.body_tokens, observation.number))
    return ViewBuilt(tuple(segments), sum(segment.tokens for segment in segments), 8192, 1024)


def _turn(turn: int) -> Iterator[Event]:
    view = _view(turn)
    yield TurnStarted()
    yield Decided(_decisions(turn))
    yield view
    yield CacheEdited(reused=view.tokens - 240, decoded=240, removed=0, seconds=0.4)
    thought = _THOUGHTS[turn - 1]
    half = len(thought) // 2
    yield ThoughtDelta(thought[:half])
    yield ThoughtDelta(thought[half:])
    if turn == 7:
        yield EvidenceChosen(CITATIONS[:2])
        third = len(ANSWER) // 3
        for start in (0, third, 2 * third):
            yield AnswerDelta(ANSWER[start : start + third if start < 2 * third else None])
        yield AnswerReady(ANSWER)
        for citation in CITATIONS:
            yield CitationChecked(citation)
    for number in _CALLS[turn - 1]:
        observation = OBSERVATIONS[number - 1]
        yield CallStarted(observation.call, observation.tool, _ARGUMENTS[number])
    for number in _CALLS[turn - 1]:
        yield Observed(OBSERVATIONS[number - 1])
    if turn == 5:
        yield Marked(4, "pin")
    timings = Timings(view.tokens, view.tokens - 240, 72, 0.4, 2.4, 0.1)
    yield TurnEnded(raw=thought, thought=thought, finish="call" if turn < 7 else "answer", timings=timings)


def _stamped(events: Iterator[tuple[int, Event]], *, session: str = SESSION) -> tuple[Event, ...]:
    return tuple(
        dataclasses.replace(event, session=session, run=1, turn=turn, seq=seq, at=START + seq)
        for seq, (turn, event) in enumerate(events, 1)
    )


def _all() -> Iterator[tuple[int, Event]]:
    yield 0, RunStarted(QUESTION, POLICY, "default", MODEL, 12)
    for turn in range(1, 8):
        yield from ((turn, event) for event in _turn(turn))
    yield 7, RunEnded("answered", 7, 58.0)


RUN: tuple[Event, ...] = _stamped(_all())
"""The whole recorded run, from its question to its end."""


def until(kind: type[Event], turn: int) -> tuple[Event, ...]:
    """The run up to and with the first event of this kind in this turn."""
    for index, event in enumerate(RUN):
        if event.turn == turn and isinstance(event, kind):
            return RUN[: index + 1]
    raise LookupError(f"no {kind.__name__} in turn {turn}")


RUNNING = until(ThoughtDelta, 6)
"""Turn 6 is thinking; observations 1 and 2 are masked, 3 is an error, 4 is pinned."""

# ── what the model read in it ────────────────────────────────────────────────────────────────────


def with_prompts(
    events: Sequence[Event], system: str = Guided(led=False).system(web=False, named=())
) -> Iterator[Event]:
    """The run with its views as the engine would have built and recorded them, so that they can be shown."""
    decided: tuple[Decision, ...] = ()
    listener = Listener(ScriptedModel([], context=MODEL.context))
    for past, event in replay.story(events):
        match event:
            case RunStarted():
                yield dataclasses.replace(event, system=system)
            case Decided(decisions):
                decided = decisions
                yield dataclasses.replace(event, policy=past.policy)
            case ViewBuilt():
                shown = view.build(past.transcript, decided, past.policy, system=system)
                built = listener.recorded(listener.built(shown), shown, past.transcript.observations())
                texts, places = built.texts, built.places
                yield dataclasses.replace(
                    event, segments=built.segments, tokens=built.tokens, texts=texts, places=places
                )
            case _:
                yield event


@functools.cache
def readings() -> Readings:
    read = Readings()
    read.hear(with_prompts(RUN))
    return read


# ── the app, driven ──────────────────────────────────────────────────────────────────────────────


def make_app(
    data_dir: Path, *told: Sequence[Event], questions: Sequence[str] = QUESTIONS, settings: Settings | None = None
) -> DeepSearchApp:
    """The app behind a scripted door that has already told these events. Its clock stands still."""

    def door(receive: Callable[[Event], None]) -> ScriptedDoor:
        made = ScriptedDoor(receive)
        for events in told:
            made.tell(events)
        return made

    settings = settings or Settings(data_dir=data_dir, config_file=data_dir / "config.toml")
    return DeepSearchApp(door, settings, questions=questions, clock=lambda: START + 75)


async def until_true(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until the condition holds. Raises AssertionError when it takes too long."""
    for _ in range(round(seconds / 0.02)):
        await pilot.pause()
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


async def still(pilot: Pilot[None], app: DeepSearchApp) -> None:
    """Wait until nothing on the screen has moved for half a second: Markdown is laid out long after it is set."""
    before: list[object] = []
    same = 0
    while same < 10:
        await pilot.pause(0.05)
        now: list[object] = [(widget, widget.region) for widget in app.screen.query("*")]
        same, before = (same + 1 if now == before else 0), now


def key_bar(app: App[None]) -> str:
    """What the key bar of the screen in front says; empty while it says nothing."""
    return " ".join(f"{each.entry.name} {each.entry.what}" for bar in app.screen.query(KeyBar) for each in bar.shown)


async def settled(pilot: Pilot[None], app: DeepSearchApp, told: Sequence[Event]) -> None:
    """Wait until the app has folded all of these events and drawn itself, key bar included."""
    wanted = fold_all([*READY, *told]) if told else fold_all(READY)
    await until_true(pilot, lambda: app.state == wanted and key_bar(app))
    app.screen.query_one("#prompt", TextArea).cursor_blink = False
    await pilot.pause()
    await pilot.pause()
