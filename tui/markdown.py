"""A session as one Markdown file: questions, answers with their citations, and what every turn did."""

from __future__ import annotations

from collections.abc import Iterator

from tui.state import AppState, RunState


def session(state: AppState) -> str:
    """Everything told so far, for a person to keep."""
    runs = (*state.earlier, state.run) if state.run is not None else state.earlier
    return "\n".join(row for run in runs for row in _run(run)) + "\n"


def _run(run: RunState) -> Iterator[str]:
    yield f"# {run.question}\n"
    yield f"{run.answer.strip() or '*There is no answer.*'}\n"
    if run.citations:
        yield "## Citations\n"
        for citation in run.citations:
            yield f"- `{citation.marker}` {citation.state}: {citation.path or citation.uri or citation.title} L{citation.first}-L{citation.last}"
            yield from (f"  > {text}" for text in citation.quote.split("\n"))
        yield ""
    yield "## Turns\n"
    for turn in run.turns:
        yield f"{turn.number}. {' '.join(turn.thought.split())}"
        for index, call in enumerate(turn.calls):
            row = run.row(turn.observations[index]) if index < len(turn.observations) else None
            result = f": {row.observation.header} ({row.state}, {row.before} tokens)" if row is not None else ""
            yield f"   - `{call.tool}` {dict(call.arguments)}{result}"
    yield ""
    model = run.model.name or "unknown"
    yield f"*Model {model}, window {run.policy.window}, {len(run.turns)} turns, {run.masked_tokens} tokens masked at the end.*\n"
