"""What the screens show, as one immutable value, made by :mod:`tui.fold`. Knows nothing of Textual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.history import History
from engine.protocol import (
    ApprovalNeeded,
    Citation,
    EndReason,
    Failed,
    IndexEnded,
    IndexProgress,
    LibraryOpened,
    Mark,
    ModelInfo,
    ModelsListed,
    NetworkEntry,
    Observation,
    Policy,
    Priced,
    PromptShown,
    PullProgress,
    SegmentTokens,
    State,
    Timings,
    Unknown,
    WebMode,
)
from engine.window import cutoff, released
from tui.records import replace

TurnStatus = Literal["reading", "thinking", "calling", "done", "stopped"]


@dataclass(frozen=True)
class CallRow:
    """A call as the turn list names it."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class TurnRow:
    """One turn. ``observations`` are numbers. ``read`` and ``to_read`` are prompt tokens while it reads; ``removed`` and
    ``repaired`` are tokens of the model's cache, once it was edited for this turn. ``masked`` are those left out of its
    view, and ``tries`` how often it was read: a reply that is no action gets another.
    """

    number: int
    status: TurnStatus = "reading"
    must_answer: bool = False
    thought: str = ""
    calls: tuple[CallRow, ...] = ()
    observations: tuple[int, ...] = ()
    view_tokens: int = 0
    removed: int = 0
    repaired: int = 0
    masked: int = 0
    tries: int = 0
    raw: str = ""
    finish: str = ""
    timings: Timings = field(default_factory=Timings)
    read: int = 0
    to_read: int = 0


@dataclass(frozen=True)
class Use:
    """The turn at which an observation was of use, and how: :mod:`tui.uses` says what counts."""

    kind: Literal["cited", "quoted", "re-opened"]
    turn: int


@dataclass(frozen=True)
class ObservationRow:
    """One observation, what the model sees of it now, and what it will see from the next turn on.

    ``masked_at`` is the turn since which it is masked, 0 if it is not. ``pending`` differs from ``state`` where the
    user changed something that takes effect at the next turn; the engine's next decisions are the truth.
    ``used`` is the last use of it. ``stub`` are the tokens that stay of a masked one, where that is not its header.
    ``phrases`` are those of its body, by which a quote of it is known.
    """

    observation: Observation
    turn: int
    state: State = "live"
    reason: str = ""
    pending: State = "live"
    masked_at: int = 0
    used: Use | None = None
    stub: int = -1
    phrases: frozenset[int] = field(default=frozenset(), repr=False, compare=False)

    @property
    def number(self) -> int:
        return self.observation.number

    @property
    def before(self) -> int:
        """Tokens of the whole observation."""
        return self.observation.header_tokens + self.observation.body_tokens

    @property
    def after(self) -> int:
        """Tokens of it that the model sees now."""
        if self.state != "masked":
            return self.before
        return self.stub if self.stub >= 0 else self.observation.header_tokens


@dataclass(frozen=True)
class Note:
    """A line between the turns: something was masked, something failed."""

    turn: int
    text: str
    kind: Literal["masked", "shown", "error", "info"] = "info"


@dataclass(frozen=True)
class SourceRow:
    """A document that was read or cited."""

    uri: str
    title: str
    cursors: tuple[int, ...]
    tokens: int
    cited: bool
    path: str = ""


@dataclass(frozen=True)
class RunState:
    """One question. Token numbers are of the last view built; ``decoded`` and ``reused``, and the
    seconds of ``editing`` the cache, are sums over the run. ``edge`` is the first turn inside the window by which all of
    ``observations`` are pending, -1 where the engine's decisions or nothing said so.
    """

    number: int
    question: str
    policy: Policy
    next_policy: Policy
    model: ModelInfo
    library: str = ""
    max_turns: int = 0
    running: bool = True
    ended: EndReason | Literal[""] = ""
    started_at: float = 0.0
    seconds: float = 0.0
    turns: tuple[TurnRow, ...] = ()
    observations: tuple[ObservationRow, ...] = ()
    edge: int = field(default=-1, repr=False, compare=False)
    marks: Mapping[int, Mark] = field(default_factory=dict)
    history: History = field(default_factory=History)
    segments: tuple[SegmentTokens, ...] = ()
    tokens: int = 0
    limit: int = 0
    reserved: int = 0
    decoded: int = 0
    reused: int = 0
    editing: float = 0.0
    evidence: tuple[Citation, ...] = ()
    answer: str = ""
    answer_final: bool = False
    told: bool = True
    citations: tuple[Citation, ...] = ()
    notes: tuple[Note, ...] = ()
    advice: str = ""

    @property
    def turn(self) -> TurnRow | None:
        """The turn under way, or the last one."""
        return self.turns[-1] if self.turns else None

    @property
    def masked_tokens(self) -> int:
        """Tokens that masking keeps out of the view now."""
        masked = [row for row in self.observations if row.state == "masked"]
        return sum([row.observation.body_tokens if row.stub < 0 else row.before - row.stub for row in masked])

    @property
    def hidden(self) -> int:
        """Tokens that will be masked at the next turn, as far as it is known now."""
        return sum(row.observation.body_tokens for row in self.observations if row.pending == "masked")

    @property
    def saved(self) -> int:
        """Prompt tokens that masking left out of the views so far, turn by turn: a sum, not a size."""
        return sum(turn.masked for turn in self.turns)

    @property
    def growth(self) -> float:
        """Tokens that a turn adds to the view, on average over the finished ones; 0 before there are any."""
        done = {turn.number: turn for turn in self.turns if turn.status == "done" and turn.observations}
        read = sum(row.before for row in self.observations if row.turn in done)
        wrote = sum(turn.timings.generated_tokens for turn in done.values())
        return (read + wrote) / len(done) if done else 0.0

    @property
    def masked_count(self) -> int:
        return sum(row.state == "masked" for row in self.observations)

    @property
    def speed(self) -> float:
        """Tokens written a second, over the finished turns; 0 before there are any."""
        seconds = sum(turn.timings.decode_seconds for turn in self.turns)
        tokens = sum(turn.timings.generated_tokens for turn in self.turns)
        return tokens / seconds if seconds > 0 else 0.0

    @property
    def window_edge(self) -> int:
        """Index into ``observations`` of the first one inside the window as it will be at the next turn."""
        first = first_turn_inside(self)
        return next((index for index, row in enumerate(self.observations) if row.turn >= first), len(self.observations))

    def row(self, number: int) -> ObservationRow | None:
        """The observation with this number."""
        return next((row for row in self.observations if row.number == number), None)

    def sources(self) -> tuple[SourceRow, ...]:
        """The documents opened or cited, in the order in which they were first met."""
        cited = {citation.uri for citation in (*self.evidence, *self.citations) if citation.state != "missing"}
        rows: dict[str, SourceRow] = {}
        for row in self.observations:
            seen = row.observation
            if seen.error or not seen.uri or seen.tool == "search":
                continue
            old = rows.get(seen.uri, SourceRow(seen.uri, seen.title, (), 0, seen.uri in cited, seen.path))
            rows[seen.uri] = replace(old, cursors=(*old.cursors, seen.cursor), tokens=old.tokens + row.before)
        return tuple(rows.values())


@dataclass(frozen=True)
class AppState:
    """Everything on the screen. ``run`` is the question at hand, ``earlier`` the finished ones of the session.

    ``waiting`` is what the engine wants the user's word on, ``network`` every request of the session,
    ``models`` what was last told of language models, ``pull`` the one being fetched.
    ``offer`` is the last price that was asked for, ``prompts`` the last views of the session that were asked for.
    """

    connection: Literal["starting", "ready", "lost"] = "starting"
    problem: str = ""
    log: str = ""
    model: ModelInfo | None = None
    model_loading: str = ""
    library: LibraryOpened | None = None
    indexing: IndexProgress | None = None
    index_paused: bool = False
    indexed: IndexEnded | None = None
    session: str = ""
    title: str = ""
    can_continue: bool = False
    run: RunState | None = None
    earlier: tuple[RunState, ...] = ()
    policy: Policy = field(default_factory=Policy)
    failures: tuple[Failed, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    web: WebMode = "off"
    waiting: tuple[ApprovalNeeded, ...] = ()
    network: tuple[NetworkEntry, ...] = ()
    offer: Priced | None = None
    prompts: tuple[PromptShown, ...] = ()
    models: ModelsListed | None = None
    pull: PullProgress | None = None


def first_turn_inside(run: RunState) -> int:
    """The first turn whose observations the window will show at the next turn; 0 where it shows them all.

    ``observations`` stand in the order of their turns.
    """
    policy = run.next_policy
    if policy.batch_turns <= 1 and policy.batch_tokens <= 0:
        return _cutoff(run.observations, policy.window)
    tokens: dict[int, int] = {}
    effective: set[int] = set()
    for row in run.observations:
        tokens[row.turn] = tokens.get(row.turn, 0) + row.observation.body_tokens
        if not row.observation.error:
            effective.add(row.turn)
    turns = sorted(effective)
    sizes = [tokens[turn] for turn in turns]
    return released(turns, sizes, policy.window, turns=policy.batch_turns, tokens=policy.batch_tokens)


def _cutoff(rows: Sequence[ObservationRow], window: int) -> int:
    """Where there are no batches: the ``window``-th effective turn from the end. Looks at no more rows than it must."""
    effective: list[int] = []  # the last first
    for row in reversed(rows):
        if len(effective) >= window:
            break
        if not row.observation.error and row.turn not in effective[-1:]:
            effective.append(row.turn)
    return cutoff(effective[::-1], window)
