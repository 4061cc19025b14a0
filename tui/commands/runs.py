"""``compare`` and ``what-if``: runs side by side, and one run under other windows."""

from __future__ import annotations

import json as json_form
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from tui.commands.common import library_option, open_journal, talk, windows

if TYPE_CHECKING:
    from engine.context.whatif import Trial
    from engine.measure import Measures
    from engine.settings import Settings
    from tui.plain import Conversation

_USUAL = (1, 2, 3, 4, 6, 8, 0)
"""Windows that are tried where none is named."""


@click.command()
@click.argument("question", required=False)
@click.option(
    "--window", "chosen", multiple=True, callback=windows, metavar="K|off", help="A window to run it with. Repeatable."
)
@click.option("--sessions", nargs=2, metavar="A B", help="Compare two saved sessions instead; no model is asked.")
@click.option("--max-turns", type=click.IntRange(1, 1000), default=None, help="The turn that must answer.")
@library_option
@click.option("--json", is_flag=True, help="Print the figures as one JSON object.")
@click.pass_context
def compare(
    ctx: click.Context,
    question: str | None,
    chosen: tuple[int, ...],
    sessions: tuple[str, str] | None,
    max_turns: int | None,
    library: str | None,
    json: bool,
) -> None:
    """Run a QUESTION under each window, one after the other, and show the runs side by side.

    Each run is a session of its own and is saved. Without --window they are the window of the settings, and off.
    """
    if (question is None or not question.strip()) == (sessions is None):
        raise click.UsageError("Give a QUESTION to run, or --sessions A B.")
    settings, _ = ctx.obj(library=library)
    if sessions is not None:
        if chosen or max_turns:
            raise click.UsageError("--sessions A B compares what is saved: no --window, no --max-turns.")
        journal = open_journal(settings)
        _show(settings, [journal.resolve(each) for each in sessions], json)
        return
    tried = chosen or tuple(dict.fromkeys((settings.policy.window, 0)))
    for window in tried:
        ctx.obj(window=window)  # one that cannot be used is said before anything runs
    done: list[str] = []
    talk(
        ctx,
        False,
        lambda conversation: _run_each(conversation, settings, str(question), tried, max_turns or 0, done, json),
        library=library,
    )


def _run_each(
    conversation: Conversation,
    settings: Settings,
    question: str,
    tried: Sequence[int],
    max_turns: int,
    done: list[str],
    json: bool,
) -> int:
    """Each run in turn; turns and answers go to stderr. What was finished is compared also where one failed."""
    from engine.protocol import Ask

    code = 0
    conversation.out = conversation.err
    for window in tried:
        command = Ask(question, "", settings.library, replace(settings.policy, window=window), max_turns)
        code = conversation.ask(command)
        if conversation.session and conversation.session not in done:
            done.append(conversation.session)
        if code not in (0, 3):
            break
    if done:
        _show(settings, done, json)
    return 0 if code == 3 else code  # that the documents do not tell is a result like another


def _show(settings: Settings, sessions: Sequence[str], json: bool) -> None:
    from engine.measure import answer_diff, measure

    journal = open_journal(settings)
    measured: list[Measures] = []
    for session in sessions:
        asked = measure(journal.events(session))
        if not asked:
            raise click.UsageError(f"Nothing was asked in session {session}.")
        measured.append(asked[-1])
    diffs = [answer_diff(measured[0].answer, other.answer) for other in measured[1:]]
    if json:
        told = {"runs": [each.record() for each in measured], "diffs": diffs}
        click.echo(json_form.dumps(told, ensure_ascii=False))
        return
    click.echo("\n".join(side_by_side(measured)))
    for name, each in zip(_names(measured), measured, strict=True):
        click.echo(f"\nanswer {name}\n{_indented(each.answer or 'There is no answer.')}")
    for name, diff in zip(_names(measured)[1:], diffs, strict=True):
        if all(kind == "same" for kind, _ in diff):
            click.echo(f"\n{_names(measured)[0]} and {name} answer the same.")
            continue
        shown = {"same": "{}", "gone": "[-{}-]", "new": "{{+{}+}}"}
        words = " ".join(shown[kind].format(text.strip()) for kind, text in diff)
        click.echo(f"\nanswers, {_names(measured)[0]} [-only-], {name} {{+only+}}\n{_indented(words)}")


def _names(measured: Sequence[Measures]) -> list[str]:
    return [chr(ord("A") + place) for place in range(len(measured))]


def side_by_side(measured: Sequence[Measures]) -> list[str]:
    """The figures of runs as lines of text, a column for each run."""
    from engine.measure import table

    rows = [("", tuple(_names(measured))), ("session", tuple(each.session for each in measured)), *table(measured)]
    if len({each.question for each in measured}) > 1:
        rows.insert(2, ("question", tuple(" ".join(each.question.split())[:40] for each in measured)))
    widths = [max(len(values[place]) for _, values in rows) for place in range(len(measured))]
    name = max(len(row[0]) for row in rows)
    return [
        f"{row:<{name}}  " + "  ".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
        for row, values in rows
    ]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


# ── what if ──────────────────────────────────────────────────────────────────────────────────────


@click.command("what-if")
@click.argument("session")
@click.option(
    "--window", "chosen", multiple=True, callback=windows, metavar="K|off", help="A window to try. Repeatable."
)
@click.option(
    "--question", "number", type=click.IntRange(1), help="Which question of the session; the last one otherwise."
)
@click.option("--json", is_flag=True, help="Print one JSON object a window.")
@click.pass_context
def what_if(ctx: click.Context, session: str, chosen: tuple[int, ...], number: int | None, json: bool) -> None:
    """Say what other windows would have masked in a saved run. No model is asked.

    SESSION is an id, the beginning of one, or last. The words of the run stay as they are: what is counted as used out
    of view is what the model went on to use and would not have seen.
    """
    from engine.told import runs

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    told = runs(journal.events(journal.resolve(session)))
    if (number is not None and number > len(told)) or not told:
        raise click.UsageError(f"There are {len(told)} questions in this session.")
    run = told[(number or len(told)) - 1]
    used = run.uses()
    trials = [("as it ran", run.under(None, used))]
    for window in chosen or _USUAL:
        trials.append((f"window {window}" if window else "off", run.under(replace(run.policy, window=window), used)))
    if json:
        for name, trial in trials:
            click.echo(json_form.dumps(_record(name, trial), ensure_ascii=False))
        return
    click.echo(f"{' '.join(run.started.question.split())}\n")
    for line in _trials(trials):
        click.echo(line)
    for name, trial in trials if chosen else trials[:1]:
        for use in trial.regrets:
            numbers = ", ".join(map(str, use.observations))
            click.echo(f"{name}: turn {use.turn} {use.kind} {use.what}, out of view: {numbers}")


def _record(name: str, trial: Trial) -> dict[str, Any]:
    return {
        "name": name,
        "policy": asdict(trial.policy),
        "peak": trial.peak,
        "viewed": trial.viewed,
        "masked": trial.masked,
        "edits": trial.edits,
        "overflow": trial.overflow,
        "reads": asdict(trial.reads),
        "regrets": [asdict(use) for use in trial.regrets],
        "turns": [{"turn": step.turn, "tokens": step.tokens, "masked": sorted(step.masked)} for step in trial.steps],
    }


def _trials(trials: Sequence[tuple[str, Trial]]) -> list[str]:
    heads = ("", "masked", "edits", "largest view", "all views", "read: strict", "carry", "repair", "used out of view")
    rows: list[tuple[str, ...]] = [heads]
    for name, trial in trials:
        reads = trial.reads
        figures = [trial.masked, trial.edits, trial.peak, trial.viewed, reads.strict, reads.carry, reads.repair]
        over = f", does not fit at turn {trial.overflow}" if trial.overflow else ""
        rows.append((name, *(f"{figure:,}" for figure in figures), f"{len(trial.regrets)}{over}"))
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    lines = []
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]))
    return [*lines, "", "read: prompt tokens at most, by how the cache follows a mask"]
