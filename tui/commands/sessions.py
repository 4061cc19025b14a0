"""``sessions``: list, show, search, name, tag, export and delete what is saved."""

from __future__ import annotations

import click

from tui.commands.common import json_option, open_journal, some, talk, window


@click.group(invoke_without_command=True)
@click.pass_context
def sessions(ctx: click.Context) -> None:
    """List, show, search, name, tag, export and delete saved sessions."""
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
        click.echo(f"{session.id}  {when}  {state:<11} {session.title}{_tags(session.tags)}")
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
    """Sessions in whose questions, answers or observations the words stand; a word #tag asks for a tag."""
    settings, _ = ctx.obj()
    for match in open_journal(settings).search(text):
        click.echo(f"{match.id}  {match.title}{_tags(match.tags)}\n    {_marked(match.snippet, match.marks)}")


def _marked(text: str, marks: tuple[tuple[int, int], ...]) -> str:
    """The text with its hits in bold. Where stdout is no terminal click takes that out again."""
    parts, at = [], 0
    for first, last in marks:
        parts += [text[at:first], click.style(text[first:last], bold=True)]
        at = last
    return "".join([*parts, text[at:]])


def _tags(tags: tuple[str, ...]) -> str:
    return "".join(f" #{tag}" for tag in tags)


def _form(_: click.Context, __: click.Parameter, value: str) -> str:
    from engine.export import FORMS

    if value not in FORMS:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(FORMS)}.")
    return value


@sessions.command()
@click.argument("session")
@click.option(
    "--format",
    "form",
    callback=_form,
    default="markdown",
    show_default=True,
    metavar="FORMAT",
    help="markdown or html to read, jsonl (events to replay), or trajectory (a record of the paper's schema).",
)
@click.pass_context
def export(ctx: click.Context, session: str, form: str) -> None:
    """Write a session to stdout. SESSION is an id, the beginning of one, or last."""
    from engine.export import FORMS

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    click.echo(FORMS[form].write(list(journal.events(journal.resolve(session)))), nl=form == "markdown")


@sessions.command()
@click.argument("session")
@click.argument("title", callback=some)
@click.pass_context
def rename(ctx: click.Context, session: str, title: str) -> None:
    """Give a session another title. SESSION is an id, the beginning of one, or last."""
    settings, _ = ctx.obj()
    journal = open_journal(settings)
    found = journal.resolve(session)
    journal.rename(found, title)
    click.echo(f"{found}  {journal.title(found)}")


@sessions.command()
@click.argument("session")
@click.argument("tags", nargs=-1)
@click.option("--remove", is_flag=True, help="Take these tags away; without any, all.")
@click.pass_context
def tag(ctx: click.Context, session: str, tags: tuple[str, ...], remove: bool) -> None:
    """Tag a session, so that a search for #TAG finds it. Without TAGS, print those that it has."""
    from engine.session_search import tag_names

    settings, _ = ctx.obj()
    journal = open_journal(settings)
    found = journal.resolve(session)
    had, given = set(journal.tags(found)), set(tag_names(tags))
    if any(not tag_names([each]) for each in tags):
        raise click.UsageError("A tag needs a letter or a digit.")
    if tags or remove:
        journal.tag(found, (had - given if given else ()) if remove else had | given)
    click.echo(f"{found} {_tags(journal.tags(found)) or ' no tags'}")


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
