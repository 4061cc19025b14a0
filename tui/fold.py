"""The engine's events folded into what the screens show. Pure.

Live runs, replayed sessions, the headless front end and the tests all fold the same events with :func:`fold`. Pieces of
streamed text only fill the time until the event that carries the whole, so a replay without them ends the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from engine.history import History, MarkChange, Step, remember
from engine.protocol import (
    Advised,
    AnswerDelta,
    AnswerReady,
    ApprovalGiven,
    ApprovalNeeded,
    CacheEdited,
    CacheKept,
    CallStarted,
    CitationChecked,
    Decided,
    Decision,
    EngineReady,
    EngineStopped,
    Event,
    EvidenceChosen,
    Failed,
    Forked,
    IndexEnded,
    IndexPaused,
    IndexProgress,
    LibraryOpened,
    Mark,
    Marked,
    ModelLoaded,
    ModelLoading,
    ModelsListed,
    Network,
    Observed,
    PolicySet,
    Priced,
    PromptProgress,
    PromptShown,
    PullEnded,
    PullProgress,
    RunEnded,
    RunStarted,
    SessionOpened,
    State,
    ThoughtDelta,
    TurnEnded,
    TurnStarted,
    Unknown,
    ViewBuilt,
    WebSet,
)
from tui import uses
from tui.records import replace
from tui.state import AppState, CallRow, Note, ObservationRow, RunState, TurnRow, first_turn_inside

PROMPTS = 8
"""How many views are kept of those asked for; the engine tells any of them again."""


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
        case ModelsListed():
            return replace(state, models=event)
        case PullProgress():
            return replace(state, pull=event)
        case PullEnded():
            return replace(state, pull=None)
        case LibraryOpened():
            return replace(state, library=event)
        case IndexProgress():
            return replace(state, indexing=event, indexed=None)
        case IndexPaused(paused):
            return replace(state, index_paused=paused)
        case IndexEnded():
            return replace(state, indexing=None, index_paused=False, indexed=event)
        case SessionOpened(title, unfinished):
            run = state.run
            if run is not None and run.running:  # it was cut off: nobody is working on it now
                run = replace(run, running=False, turns=_close_last(run.turns))
            return replace(state, session=event.session, title=title, can_continue=unfinished, run=run)
        case Unknown():
            return replace(state, unknown=(*state.unknown, event))
        case RunStarted():
            return _run_started(state, event)
        case Forked() if state.run is not None:
            return replace(state, run=_forked(state.run, event), title=event.question or state.title)
        case PolicySet(policy):
            run = _remembered(replace(state.run, next_policy=policy), event) if state.run else None
            return replace(state, policy=policy, run=with_pending(run) if run else None)
        case Priced(preview=True):
            return replace(state, offer=event)
        case PromptShown():
            others = tuple(each for each in state.prompts if (each.session, each.place) != (event.session, event.place))
            return replace(state, prompts=(*others[1 - PROMPTS :], event))
        case WebSet(mode):
            return replace(state, web=mode)
        case Network(entry):
            return replace(state, network=(*state.network, entry))
        case ApprovalNeeded():
            return replace(state, waiting=(*state.waiting, event))
        case ApprovalGiven():
            return _given(state, event)
        case Failed():
            failed = replace(state, failures=(*state.failures, event), model_loading="")
            return replace(failed, run=_noted(failed.run, event.message, "error")) if failed.run else failed
    if state.run is None:
        return state
    run = _fold_run(state.run, event)
    if isinstance(event, RunEnded):
        return replace(state, run=run, can_continue=event.why in ("stopped", "failed"), waiting=())
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
        pull=None,
        index_paused=False,
        waiting=(),
        run=run,
        can_continue=interrupted or state.can_continue,
    )


def _given(state: AppState, event: ApprovalGiven) -> AppState:
    """A word was given, or none can be any more."""
    waiting = tuple(each for each in state.waiting if each.request != event.request)
    said = f"{'allowed' if event.allowed else 'not allowed'}: {event.text} to {event.host}"
    return replace(state, waiting=waiting, run=_noted(state.run, said, "info") if state.run else None)


def _run_started(state: AppState, event: RunStarted) -> AppState:
    last = state.run
    if event.resumed and last is not None and state.session == event.session and last.number == event.run:
        turns = tuple(turn for turn in last.turns if turn.status == "done")
        kept = {number for turn in turns for number in turn.observations}
        run = replace(
            last,
            policy=event.policy,
            next_policy=event.policy,
            history=remember(last.history, event),
            model=event.model,
            max_turns=event.max_turns,
            advice=event.advice,
            running=True,
            ended="",
            turns=turns,
            observations=tuple(row for row in last.observations if row.number in kept),
            answer="",
            answer_final=False,
            evidence=(),
            citations=(),
        )
        run = with_pending(run)  # what the unfinished turn had read no longer counts
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
        advice=event.advice,
        marks=last.marks if same and last is not None else {},
        history=remember(last.history if same and last is not None else History(), event),
    )
    return replace(
        state,
        session=event.session,
        title=state.title if same and state.title else event.question,
        run=run,
        earlier=earlier,
        network=state.network if same else (),
        policy=event.policy,
        model=event.model,
        can_continue=False,
        problem="",
    )


def _forked(run: RunState, event: Forked) -> RunState:
    """The run goes on from here with what it has; a question that is answered already stays so."""
    run = _noted(run, f"forked from {event.parent} after turn {event.kept}", "info")
    if not event.question:
        return replace(run, running=False, ended=run.ended or "answered")
    again = replace(
        run,
        question=event.question,
        next_policy=event.policy,
        started_at=event.at,
        ended="",
        history=remember(run.history, event),
    )
    return with_pending(replace(again, answer="", answer_final=False, evidence=(), citations=()))


def _fold_run(run: RunState, event: Event) -> RunState:
    match event:
        case TurnStarted(must_answer):
            return replace(run, turns=(*run.turns, TurnRow(event.turn, must_answer=must_answer)))
        case Decided():
            return _decided(run, event)
        case ViewBuilt(segments, tokens, limit, reserved, purpose="turn"):
            run = _stubs(replace(run, segments=segments, tokens=tokens, limit=limit, reserved=reserved, answer=""))
            tries = run.turns[-1].tries + 1 if run.turns else 0
            # a second try at the turn thinks and answers anew
            return _turn(run, view_tokens=tokens, masked=run.masked_tokens, tries=tries, thought="")
        case PromptProgress(done, total):
            return _turn(run, read=done, to_read=total)
        case CacheEdited(reused, decoded, removed, seconds):
            run = replace(run, reused=run.reused + reused, decoded=run.decoded + decoded, editing=run.editing + seconds)
            return _turn(run, status="thinking", repaired=event.repaired, removed=removed)
        case Priced(observation, mark):
            return _noted(run, _price(event, observation, mark), "info")
        case CacheKept(action, tokens):
            does = "saved: going on will read" if action == "saved" else "restored: going on reads"
            return _noted(run, f"cache of {tokens:,} tokens {does} nothing again", "info")
        case ThoughtDelta(text):
            return _turn(run, thought=(run.turns[-1].thought if run.turns else "") + text)
        case CallStarted(call, tool, arguments):
            calls = run.turns[-1].calls if run.turns else ()
            run = replace(run, answer="")  # what was said before a call was no answer
            return _turn(run, status="calling", calls=(*calls, CallRow(call, tool, arguments)))
        case Observed(observation):
            state: State = "kept" if observation.error else "live"
            row = ObservationRow(observation, event.turn, state, "new", state, phrases=uses.phrases(observation.body))
            numbers = run.turns[-1].observations if run.turns else ()
            edge = run.edge if not run.observations or run.observations[-1].turn <= event.turn else -1
            run = replace(run, observations=(*run.observations, row), edge=edge)
            run = uses.reopened(run, observation, event.turn)
            return _with_one_more(_turn(run, observations=(*numbers, observation.number)))
        case EvidenceChosen(evidence):
            return uses.cited(replace(run, evidence=evidence), evidence, event.turn)
        case AnswerDelta(text):
            return replace(run, answer=run.answer + text)
        case AnswerReady(text, told):
            run = replace(run, answer=text, answer_final=True, told=told)
            return uses.quoted(run, text, event.turn) if told else run
        case CitationChecked(citation):
            return uses.cited(replace(run, citations=(*run.citations, citation)), (citation,), event.turn)
        case Advised(text, _, _, changed):
            run = replace(run, advice=text)
            return _noted(run, text, "info") if changed else run
        case Marked(observation, mark):
            return with_pending(_remembered(replace(run, marks={**run.marks, observation: mark}), event))
        case TurnEnded(raw, thought, finish, timings):
            run = uses.quoted(run, f"{thought}\n{raw}", event.turn)
            return _turn(
                run, status="done", raw=raw, thought=thought, finish=finish, timings=timings, read=0, to_read=0
            )
        case RunEnded(why, _, seconds):
            return replace(run, running=False, ended=why, seconds=seconds, turns=_close_last(run.turns))
    return run


def _decided(run: RunState, event: Decided) -> RunState:
    """Every turn decides on every observation, so this loop is the one that a long run is made of."""
    rows, notes, edge, again = list(run.observations), list(run.notes), run.edge, False
    for place, decision in _matched(rows, event.decisions):
        row, state = rows[place], decision.state
        if row.pending != state:
            edge = -1
        elif row.state == state and row.reason == decision.reason:
            continue  # the very same, so that what is drawn of it stays
        masked_at = (row.masked_at or event.turn) if state == "masked" else 0
        now = replace(row, state=state, reason=decision.reason, pending=state, masked_at=masked_at)
        if (row.state == "masked") != (state == "masked"):
            kind: Literal["masked", "shown"] = "masked" if state == "masked" else "shown"
            notes.append(Note(event.turn, _change(now), kind))
        rows[place], again = now, True
    run = replace(run, policy=run.next_policy, edge=edge)
    return replace(run, observations=tuple(rows), notes=tuple(notes)) if again else run


def _matched(rows: Sequence[ObservationRow], decisions: Sequence[Decision]) -> Iterable[tuple[int, Decision]]:
    """Each place in ``rows`` with the decision on it. As a rule one stands where the other does."""
    if [row.observation.number for row in rows] == [decision.observation for decision in decisions]:
        return enumerate(decisions)
    on = {decision.observation: decision for decision in decisions}
    return [(place, on[row.number]) for place, row in enumerate(rows) if row.number in on]


def _change(row: ObservationRow) -> str:
    name = f"{row.number} {row.observation.tool}"
    if row.state == "masked":
        return f"masked {name}  {row.before:,} → {row.after:,} tokens  {row.reason}"
    return f"shown again {name}  {row.observation.header_tokens:,} → {row.before:,} tokens  {row.reason}"


def _stubs(run: RunState) -> RunState:
    """What stays of a masked observation need not be its header: the paper's placeholder is counted as it is."""
    if run.policy.stub != "paper":
        return run
    shown = {segment.observation: segment.tokens for segment in run.segments if segment.kind == "header"}
    rows = tuple(
        replace(row, stub=shown.get(row.number, -1)) if row.state == "masked" else row for row in run.observations
    )
    return replace(run, observations=rows)


def _remembered(run: RunState, event: Marked | PolicySet) -> RunState:
    """The run with a change in its history, and a note where one was taken back or made again."""
    before, after = run.history, remember(run.history, event)
    run = replace(run, history=after)
    if event.how == "undone" and len(after.done) < len(before.done):
        return _noted(run, f"taken back: {step_words(before.done[-1])}", "info")
    if event.how == "redone" and len(after.done) > len(before.done):
        return _noted(run, f"made again: {step_words(after.done[-1])}", "info")
    return run


def step_words(step: Step) -> str:
    """What a step changed, in a few words: ``mask 6``, ``unmask 3 and 4 more``, ``window 5``."""
    first = step.changes[0]
    if not isinstance(first, MarkChange):
        return f"window {first.after.window or 'off'}"
    more = f" and {len(step.changes) - 1} more" if len(step.changes) > 1 else ""
    return f"{mark_words(first.after, first.observation)}{more}"


def mark_words(mark: Mark, observation: int) -> str:
    """A mark on an observation as one would say it."""
    return f"{mark} {observation}" if mark != "none" else f"let {observation} follow the window"


def _price(event: Priced, observation: int, mark: Mark) -> str:
    """What a change to the masking will cost at the next turn, in words."""
    what = mark_words(mark, observation) if observation else "this window"
    what += f" and {len(event.also)} more" if event.also else ""
    size = f"frees {event.frees:,} tokens" if event.frees >= 0 else f"takes {-event.frees:,} tokens"
    reads = f"reads {event.reads:,} more" if event.reads > 0 else "reads nothing more"
    seconds = f", about {event.seconds:.1f} s" if event.seconds >= 0.05 else ""
    return f"next turn, {what}: {size}, {reads}{seconds}"


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


def with_pending(run: RunState) -> RunState:
    """What each observation will be at the next turn, after what the user said since the last decisions."""
    edge = first_turn_inside(run)
    return _pending(replace(run, edge=edge), range(len(run.observations)))


def _with_one_more(run: RunState) -> RunState:
    """:func:`with_pending` after one more observation: only what the window has left behind since can differ."""
    if run.edge < 0:
        return with_pending(run)
    edge = first_turn_inside(run)
    low, high = (bisect_left(run.observations, turn, key=_turn_of) for turn in sorted((run.edge, edge)))
    last = len(run.observations) - 1
    return _pending(replace(run, edge=edge), (*range(low, min(high, last)), last))


def _turn_of(row: ObservationRow) -> int:
    return row.turn


def _pending(run: RunState, places: Iterable[int]) -> RunState:
    """The rows at ``places`` as they will be at the next turn."""
    rows, marks, edge, again = list(run.observations), run.marks, run.edge, False
    for place in places:
        row = rows[place]
        mark = marks.get(row.number, "none")
        now: State
        if mark == "mask":
            now = "masked"
        elif row.observation.error:
            now = "kept"
        elif mark == "pin":
            now = "pinned"
        else:
            now = "live" if mark == "unmask" or row.turn >= edge else "masked"
        if now != row.pending:
            rows[place], again = replace(row, pending=now), True
    return replace(run, observations=tuple(rows)) if again else run
