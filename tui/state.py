"""What the screens show: the engine's events folded into one immutable value. Pure; knows nothing of Textual.

Live runs, replayed sessions, the headless front end and the tests all fold the same events with :func:`fold`. Pieces of
streamed text only fill the time until the event that carries the whole, so a replay without them ends the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.protocol import (
    AnswerDelta,
    AnswerReady,
    CacheEdited,
    CallStarted,
    Citation,
    CitationChecked,
    Decided,
    EndReason,
    EngineReady,
    EngineStopped,
    Event,
    EvidenceChosen,
    Failed,
    IndexEnded,
    IndexProgress,
    LibraryOpened,
    Mark,
    Marked,
    ModelInfo,
    ModelLoaded,
    ModelLoading,
    Observation,
    Observed,
    Policy,
    PolicySet,
    PromptProgress,
    RunEnded,
    RunStarted,
    SegmentTokens,
    SessionOpened,
    State,
    ThoughtDelta,
    Timings,
    TurnEnded,
    TurnStarted,
    Unknown,
    ViewBuilt,
)

TurnStatus = Literal["reading", "thinking", "calling", "done", "stopped"]


@dataclass(frozen=True)
class CallRow:
    """A call as the turn list names it."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class TurnRow:
    """One turn. ``observations`` are numbers. ``read`` and ``to_read`` are prompt tokens while it reads."""

    number: int
    status: TurnStatus = "reading"
    must_answer: bool = False
    thought: str = ""
    calls: tuple[CallRow, ...] = ()
    observations: tuple[int, ...] = ()
    view_tokens: int = 0
    raw: str = ""
    finish: str = ""
    timings: Timings = field(default_factory=Timings)
    read: int = 0
    to_read: int = 0


@dataclass(frozen=True)
class ObservationRow:
    """One observation, what the model sees of it now, and what it will see from the next turn on.

    ``masked_at`` is the turn since which it is masked, 0 if it is not. ``pending`` differs from ``state`` where the
    user changed something that takes effect at the next turn; the engine's next decisions are the truth.
    """

    observation: Observation
    turn: int
    state: State = "live"
    reason: str = ""
    pending: State = "live"
    masked_at: int = 0

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
        return self.observation.header_tokens if self.state == "masked" else self.before


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
    """One question. Token numbers are of the last view built; ``decoded`` and ``reused`` are sums over the run."""

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
    marks: Mapping[int, Mark] = field(default_factory=dict)
    segments: tuple[SegmentTokens, ...] = ()
    tokens: int = 0
    limit: int = 0
    reserved: int = 0
    decoded: int = 0
    reused: int = 0
    evidence: tuple[Citation, ...] = ()
    answer: str = ""
    answer_final: bool = False
    told: bool = True
    citations: tuple[Citation, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def turn(self) -> TurnRow | None:
        """The turn under way, or the last one."""
        return self.turns[-1] if self.turns else None

    @property
    def masked_tokens(self) -> int:
        """Tokens that masking keeps out of the view now."""
        return sum(row.before - row.after for row in self.observations)

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
        first = _first_turn_inside(self)
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
    """Everything on the screen. ``run`` is the question at hand, ``earlier`` the finished ones of the session."""

    connection: Literal["starting", "ready", "lost"] = "starting"
    problem: str = ""
    log: str = ""
    model: ModelInfo | None = None
    model_loading: str = ""
    library: LibraryOpened | None = None
    indexing: IndexProgress | None = None
    indexed: IndexEnded | None = None
    session: str = ""
    title: str = ""
    can_continue: bool = False
    run: RunState | None = None
    earlier: tuple[RunState, ...] = ()
    policy: Policy = field(default_factory=Policy)
    failures: tuple[Failed, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def fold_all(events: Iterable[Event], state: AppState | None = None) -> AppState:
    """Fold many events."""
    state = state or AppState()
    for event in events:
        state = fold(state, event)
    return state


def fold(state: AppState, event: Event) -> AppState:
    """The state after ``event``. Events it does not show change nothing; unknown ones are kept to be shown raw."""
    match event:
        case EngineReady(log=log):
            return replace(state, connection="ready", problem="", log=log)
        case EngineStopped(reason, restarting):
            return _lost(state, reason, restarting)
        case ModelLoading(name):
            return replace(state, model_loading=name)
        case ModelLoaded(model):
            return replace(state, model=model, model_loading="")
        case LibraryOpened():
            return replace(state, library=event)
        case IndexProgress():
            return replace(state, indexing=event, indexed=None)
        case IndexEnded():
            return replace(state, indexing=None, indexed=event)
        case SessionOpened(title, unfinished):
            run = state.run
            if run is not None and run.running:  # it was cut off: nobody is working on it now
                run = replace(run, running=False, turns=_close_last(run.turns))
            return replace(state, session=event.session, title=title, can_continue=unfinished, run=run)
        case Unknown():
            return replace(state, unknown=(*state.unknown, event))
        case RunStarted():
            return _run_started(state, event)
        case PolicySet(policy):
            run = replace(state.run, next_policy=policy) if state.run else None
            return replace(state, policy=policy, run=_with_pending(run) if run else None)
        case Failed():
            failed = replace(state, failures=(*state.failures, event), model_loading="")
            return replace(failed, run=_noted(failed.run, event.message, "error")) if failed.run else failed
    if state.run is None:
        return state
    run = _fold_run(state.run, event)
    if isinstance(event, RunEnded):
        return replace(state, run=run, can_continue=event.why in ("stopped", "failed"))
    return state if run is state.run else replace(state, run=run)


def _lost(state: AppState, reason: str, restarting: bool) -> AppState:
    run = state.run
    interrupted = run is not None and run.running
    if run is not None and interrupted:
        run = replace(run, running=False, ended="failed", turns=_close_last(run.turns))
        run = _noted(run, f"The engine stopped: {reason}. Every finished turn is kept.", "error")
    return replace(
        state,
        connection="starting" if restarting else "lost",
        problem=reason,
        model=None,
        model_loading="",
        indexing=None,
        run=run,
        can_continue=interrupted or state.can_continue,
    )


def _run_started(state: AppState, event: RunStarted) -> AppState:
    last = state.run
    if event.resumed and last is not None and state.session == event.session and last.number == event.run:
        turns = tuple(turn for turn in last.turns if turn.status == "done")
        kept = {number for turn in turns for number in turn.observations}
        run = replace(
            last,
            policy=event.policy,
            next_policy=event.policy,
            model=event.model,
            max_turns=event.max_turns,
            running=True,
            ended="",
            turns=turns,
            observations=tuple(row for row in last.observations if row.number in kept),
            answer="",
            answer_final=False,
            evidence=(),
            citations=(),
        )
        run = _with_pending(run)  # what the unfinished turn had read no longer counts
        return replace(state, run=run, policy=event.policy, can_continue=False, problem="", model=event.model)
    same = state.session == event.session
    earlier = (*state.earlier, last) if same and last is not None else ()
    run = RunState(
        event.run,
        event.question,
        event.policy,
        event.policy,
        event.model,
        library=event.library,
        max_turns=event.max_turns,
        started_at=event.at,
        marks=last.marks if same and last is not None else {},
    )
    return replace(
        state,
        session=event.session,
        title=state.title if same and state.title else event.question,
        run=run,
        earlier=earlier,
        policy=event.policy,
        model=event.model,
        can_continue=False,
        problem="",
    )


def _fold_run(run: RunState, event: Event) -> RunState:
    match event:
        case TurnStarted(must_answer):
            return replace(run, turns=(*run.turns, TurnRow(event.turn, must_answer=must_answer)))
        case Decided():
            return _decided(run, event)
        case ViewBuilt(segments, tokens, limit, reserved, purpose="turn"):
            run = replace(run, segments=segments, tokens=tokens, limit=limit, reserved=reserved)
            return _turn(run, view_tokens=tokens, thought="")  # a second try at the turn thinks anew
        case PromptProgress(done, total):
            return _turn(run, read=done, to_read=total)
        case CacheEdited(reused, decoded):
            run = replace(run, reused=run.reused + reused, decoded=run.decoded + decoded)
            return _turn(run, status="thinking")
        case ThoughtDelta(text):
            return _turn(run, thought=(run.turns[-1].thought if run.turns else "") + text)
        case CallStarted(call, tool, arguments):
            calls = run.turns[-1].calls if run.turns else ()
            return _turn(run, status="calling", calls=(*calls, CallRow(call, tool, arguments)))
        case Observed(observation):
            state: State = "kept" if observation.error else "live"
            row = ObservationRow(observation, event.turn, state, "new", state)
            numbers = run.turns[-1].observations if run.turns else ()
            run = replace(run, observations=(*run.observations, row))
            return _with_pending(_turn(run, observations=(*numbers, observation.number)))
        case EvidenceChosen(evidence):
            return replace(run, evidence=evidence)
        case AnswerDelta(text):
            return replace(run, answer=run.answer + text)
        case AnswerReady(text, told):
            return replace(run, answer=text, answer_final=True, told=told)
        case CitationChecked(citation):
            return replace(run, citations=(*run.citations, citation))
        case Marked(observation, mark):
            return _with_pending(replace(run, marks={**run.marks, observation: mark}))
        case TurnEnded(raw, thought, finish, timings):
            return _turn(
                run, status="done", raw=raw, thought=thought, finish=finish, timings=timings, read=0, to_read=0
            )
        case RunEnded(why, _, seconds):
            return replace(run, running=False, ended=why, seconds=seconds, turns=_close_last(run.turns))
    return run


def _decided(run: RunState, event: Decided) -> RunState:
    decisions = {decision.observation: decision for decision in event.decisions}
    rows, notes = [], list(run.notes)
    for row in run.observations:
        decision = decisions.get(row.number)
        if decision is None:
            rows.append(row)
            continue
        masked_at = (row.masked_at or event.turn) if decision.state == "masked" else 0
        now = replace(row, state=decision.state, reason=decision.reason, pending=decision.state, masked_at=masked_at)
        if (row.state == "masked") != (now.state == "masked"):
            kind: Literal["masked", "shown"] = "masked" if now.state == "masked" else "shown"
            notes.append(Note(event.turn, _change(now), kind))
        rows.append(now)
    return replace(run, policy=run.next_policy, observations=tuple(rows), notes=tuple(notes))


def _change(row: ObservationRow) -> str:
    name = f"{row.number} {row.observation.tool}"
    if row.state == "masked":
        return f"masked {name}  {row.before:,} → {row.after:,} tokens  {row.reason}"
    return f"shown again {name}  {row.observation.header_tokens:,} → {row.before:,} tokens  {row.reason}"


def _turn(run: RunState, **changes: Any) -> RunState:
    """The run with its last turn changed; unchanged where it has none."""
    if not run.turns:
        return run
    return replace(run, turns=(*run.turns[:-1], replace(run.turns[-1], **changes)))


def _close_last(turns: tuple[TurnRow, ...]) -> tuple[TurnRow, ...]:
    if turns and turns[-1].status != "done":
        return (*turns[:-1], replace(turns[-1], status="stopped", read=0, to_read=0))
    return turns


def _noted(run: RunState, text: str, kind: Literal["error", "info"]) -> RunState:
    return replace(run, notes=(*run.notes, Note(run.turns[-1].number if run.turns else 0, text, kind)))


def _first_turn_inside(run: RunState) -> int:
    """The first turn whose observations the window will show at the next turn; 0 where it shows them all."""
    window = run.next_policy.window
    effective = sorted({row.turn for row in run.observations if not row.observation.error})
    return effective[-window] if 0 < window <= len(effective) else 0


def _with_pending(run: RunState) -> RunState:
    """What each observation will be at the next turn, after what the user said since the last decisions."""
    first = _first_turn_inside(run)

    def pending(row: ObservationRow) -> State:
        mark = run.marks.get(row.number, "none")
        if mark == "mask":
            return "masked"
        if row.observation.error:
            return "kept"
        if mark == "pin":
            return "pinned"
        return "live" if mark == "unmask" or row.turn >= first else "masked"

    rows = tuple(replace(row, pending=pending(row)) for row in run.observations)
    return replace(run, observations=rows)
