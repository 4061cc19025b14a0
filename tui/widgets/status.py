"""The two lines that are always there: what is asked of which model, and how it goes."""

from __future__ import annotations

from textual.content import Content

from tui.safe import Part, line, short
from tui.state import AppState, RunState
from tui.widgets import words
from tui.widgets.bars import count, duration, meter

_PHASES = {"reading": "reading", "thinking": "thinking", "calling": "searching", "done": "next", "stopped": "stopped"}
_ENDED = {
    "answered": "answered",
    "not_told": "not in the documents",
    "stopped": "stopped",
    "failed": "ended early",
    "": "not finished",
}
SPINNER = "◐◓◑◒"


def title(state: AppState, width: int) -> Content:
    """App, question, model. The question gives way first."""
    name = "deepsearch"
    model = short(state.model.name if state.model else "", 40)
    if state.model_loading:
        model = f"loading {short(state.model_loading, 30)}…"
    elif state.model is not None and state.model.context:
        model += f" · {count(state.model.context)}"
    if state.model is not None and state.model.endpoint:
        model += f" · at {short(state.model.endpoint, 40)}"
    question = state.run.question if state.run else ""
    room = width - len(name) - len(model) - 4
    question = short(question, room) if room > 12 else ""
    gap = max(2, width - len(name) - 2 - len(question) - len(model))
    return line((name, "bold $primary"), "  ", (question, "bold"), " " * gap, (model, "dim"))


def status(state: AppState, width: int, now: float) -> Content:
    """Turn and phase, context meter, masked tokens, speed, time. What does not fit falls off at the right."""
    run = state.run
    indexing = _indexing(state)
    if run is None:
        return line(*_idle(state), "  ", _web(state), *(["  ", indexing] if indexing else []))
    groups: list[list[Part]] = [[*_phase(state, run, SPINNER[int(now * 4) % len(SPINNER)]), "  ", _web(state)]]
    if indexing:
        groups.append([indexing])
    if run.limit:
        bar = max(8, min(40, width // 5))
        full = run.tokens + run.reserved > run.limit * 0.9
        groups.append(
            [
                ("ctx ", "dim"),
                (meter(run.tokens, run.limit, bar), "$warning" if full else "$primary"),
                f" {'~' if run.model.estimated else ''}{count(run.tokens)}/{count(run.limit)}",
            ]
        )
    groups.append(
        [
            (
                f"⊘ {'~' if run.model.estimated else ''}{count(run.masked_tokens)} masked",
                "" if run.masked_tokens else "dim",
            )
        ]
    )
    if run.speed:
        groups.append([(f"{run.speed:.0f} tok/s", "dim")])
    seconds = max(0.0, now - run.started_at) if run.running and run.started_at else run.seconds
    if seconds:
        groups.append([(duration(seconds), "dim")])
    if seen := run.reused + run.decoded:
        how = words.CACHE.get(run.model.cache, run.model.cache)
        groups.append([(f"cache {run.reused / seen:.0%} reused, {how}", "dim")])
    if ", " in run.library:
        groups.append([(f"in {short(run.library, 60)}", "dim")])
    parts = groups[0]
    for group in groups[1:]:
        joined = [*parts, "  ", *group]
        if line(*joined).cell_length > width:
            break
        parts = joined
    return line(*parts)


def _web(state: AppState) -> Part:
    """Whether anything may leave this machine. Always there."""
    return f"web {state.web}", "dim" if state.web == "off" else "$warning"


def _indexing(state: AppState) -> Part:
    """How far the indexing is, in few words; empty where nothing is indexed."""
    doing = state.indexing
    if doing is None:
        return ""
    of = f"/{count(doing.total)}" if doing.total else ""
    told = f"{count(doing.done)}{of} {'chunks' if doing.phase == 'embed' else 'files'}"
    if state.index_paused:
        return f"index {told}, paused", "$warning"
    speed = f" {doing.speed:.0f} chunks/s" if doing.speed else ""
    left = f" {duration(doing.eta)} left" if doing.eta >= 0 else ""
    return f"index {told}{speed}{left}", "$primary"


def _phase(state: AppState, run: RunState, spinner: str) -> list[Part]:
    turn = run.turn
    if not run.running:
        sign = {"answered": ("✓", "$success"), "not_told": ("~", "$warning"), "stopped": ("■", "$warning")}
        return [sign.get(run.ended, ("✗", "$error")), f" {_ENDED[run.ended]} in {len(run.turns)} turns"]
    if state.waiting:
        return [("?", "$warning"), (" waits for your word", "bold")]
    if turn is None:
        return [(spinner, "$primary"), " starting"]
    phase = "answering" if turn.must_answer or run.answer else _PHASES[turn.status]
    progress = f" {turn.read / turn.to_read:.0%}" if turn.to_read and turn.status == "reading" else ""
    return [(spinner, "$primary"), f" turn {turn.number}", (f" {phase}{progress}", "bold")]


def _idle(state: AppState) -> list[Part]:
    if state.connection == "starting":
        return [("◌", "$warning"), " starting the engine…"]
    if state.connection == "lost":
        return [("✗", "$error"), " the engine is not running"]
    if state.model_loading:
        return [("◌", "$warning"), f" loading the model {short(state.model_loading, 40)}… you can type already"]
    return [("●", "$success"), " ready"]


def banner(state: AppState) -> tuple[Content, str]:
    """What needs a word from or to the user, with what helps; its kind is ``error``, ``warning`` or empty."""
    if state.problem:
        again = {
            "starting": "It is starting again.",
            "lost": "It does not start again by itself.",
            "ready": "It is running again.",
        }
        parts: list[Part] = [
            ("The engine stopped: ", "bold"),
            short(state.problem).rstrip(".") + ".",
            f" {again[state.connection]} Every finished turn is kept.",
        ]
        if state.can_continue:
            parts += ["  ", ("c", "bold"), " continues the run."]
        if state.log:
            parts.append((f"  Log: {short(state.log)}", "dim"))
        return line(*parts), "error"
    if state.failures and state.model is None and not state.model_loading and state.run is None:
        failed = state.failures[-1]
        return line((short(failed.message), "bold"), f" {short(failed.hint)}"), "error"
    if state.can_continue and state.run is not None and state.run.ended in ("failed", ""):
        errors = [note.text for note in state.run.notes if note.kind == "error"] if state.run.ended else []
        said = errors[-1] if errors else "This run is not finished."
        return line(f"{short(said)}  ", ("c", "bold"), " goes on from its last finished turn."), "warning"
    return Content(), ""
