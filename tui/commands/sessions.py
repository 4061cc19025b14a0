"""``sessions``: list, show, search, export and delete what is saved."""

from __future__ import annotations

import click

from tui.commands.common import json_option, open_journal, talk, window


@click.group(invoke_without_command=True)
@click.pass_context
def sessions(ctx: click.Context) -> None:
    """List, show, search, export and delete saved sessions."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_sessions)


@sessions.command("list")
@click.pass_context
def list_sessions(ctx: click.Context) -> None:
    """Sessions, the one used last first."""
    from datetime import datetime

    settings, _ = ctx.obj()
    found = open_journal(settings).list()
    for session in found:
        when = datetime.fromtimestamp(session.updated).astimezone().strftime("%Y-%m-%d %H:%M")
        state = "unfinished" if session.unfinished else f"{session.turns} turns"
        click.echo(f"{session.id}  {when}  {state:<11} {session.title}")
    if not found:
        click.echo("No sessions yet. Ask something: deepsearch-tui ask QUESTION", err=True)


@sessions.command()
@click.argument("session")
@click.option("--network", is_flag=True, help="Print instead every request that it sent, and what came of it.")
@click.pass_context
def show(ctx: click.Context, session: str, network: bool) -> None:
    """Print a session as Markdown."""
    if not network:
        ctx.invoke(export, session=session, form="markdown")
        return
    from engine.export import to_ledger

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    ledger = to_ledger(journal.events(journal.resolve(session)))
    click.echo(ledger or "Nothing was sent in this session.", nl=not ledger)


@sessions.command("search")
@click.argument("text")
@click.pass_context
def search_sessions(ctx: click.Context, text: str) -> None:
    """Sessions in whose questions, answers or observations the words stand."""
    settings, _ = ctx.obj()
    for match in open_journal(settings).search(text):
        click.echo(f"{match.id}  {match.title}\n    {match.snippet}")


@sessions.command()
@click.argument("session")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html", "jsonl", "trajectory"]),
    default="markdown",
    show_default=True,
    help="Markdown or one HTML page to read, events to replay, or a record of the paper's trajectory schema.",
)
@click.pass_context
def export(ctx: click.Context, session: str, form: str) -> None:
    """Write a session to stdout. SESSION is an id, the beginning of one, or last."""
    import json

    from engine import export as forms

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    events = list(journal.events(journal.resolve(session)))
    if form == "markdown":
        click.echo(forms.to_markdown(events))
    elif form == "html":
        from engine.report import to_html

        click.echo(to_html(events), nl=False)
    elif form == "jsonl":
        click.echo(forms.to_jsonl(events), nl=False)
    else:
        click.echo(json.dumps(forms.to_trajectory(events), ensure_ascii=False))


@sessions.command("fork")
@click.argument("session")
@click.option("--turn", type=click.IntRange(0), required=True, help="The last turn that is kept; 0 keeps none.")
@click.option("--of", "number", type=click.IntRange(1), default=None, help="Of which question; the last one otherwise.")
@click.option("--window", "chosen", callback=window, metavar="K|off", help="Go on with this window.")
@click.option("--question", default="", help="Go on with this question instead.")
@json_option
@click.pass_context
def fork_session(
    ctx: click.Context, session: str, turn: int, number: int | None, chosen: int | None, question: str, json: bool
) -> None:
    """Go on from a turn of a saved session as a new one, under another window or question. The old one stays."""
    from dataclasses import replace

    from engine import fork, replay
    from engine.protocol import Fork

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    found = journal.resolve(session)
    past = replay.past_of(fork.kept(journal.events(found), turn, number or 0))
    journal.close()
    policy = replace(past.policy, window=chosen) if chosen is not None else None
    command = Fork(found, turn, number or 0, question, policy)
    talk(ctx, json, lambda conversation: conversation.ask(command))


@sessions.command()
@click.argument("session")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def delete(ctx: click.Context, session: str, yes: bool) -> None:
    """Delete a session for good."""
    from engine.caches import Caches

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    found = journal.resolve(session)
    if not yes:
        click.confirm(f"Delete {found}, “{journal.title(found)}”?", abort=True)
    journal.delete(found)
    Caches(settings).forget(found)
