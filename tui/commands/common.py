"""What the commands share: a door to an engine, the journal, and options that several of them take."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.sessions import Journal
    from engine.settings import Settings
    from tui.plain import Conversation


def joined(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Names given one by one or with commas between, as one text."""
    return ",".join(values) if values else None


library_option = click.option(
    "--library",
    multiple=True,
    callback=joined,
    metavar="NAME",
    help="The library to use; the one of the settings otherwise. Several to ask: work,home, or repeat it.",
)
json_option = click.option("--json", is_flag=True, help="Print the engine's events, one JSON object a line.")


def some(_: click.Context, __: click.Parameter, value: str) -> str:
    """A callback for text that must not be empty."""
    if not value.strip():
        raise click.BadParameter("it is empty")
    return value


def window(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """A callback for a window: a number of turns, or off, which is 0."""
    if value is None:
        return None
    if value == "off":
        return 0
    if not value.isdecimal():
        raise click.BadParameter("a number of turns, or off")
    return int(value)


def windows(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    """The same for several."""
    return tuple(each for value in values if (each := window(ctx, parameter, value)) is not None)


def talk(ctx: click.Context, json: bool, do: Callable[[Conversation], int], **given: Any) -> None:
    """Open a door, do one thing, close it, and end with its exit code."""
    from tui.plain import Conversation

    if json and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as JSON is, whatever the terminal's letters are
    _, make_door = ctx.obj(**given)
    conversation = Conversation(make_door, json=json)
    try:
        code = do(conversation)
    finally:
        conversation.close()
    ctx.exit(code)


def open_journal(settings: Settings) -> Journal:
    """The journal. Where it was damaged, what became of it is said on stderr."""
    from engine.sessions import Journal

    journal = Journal(settings.journal)
    if journal.recovered_from is not None:
        click.echo(f"warning: the journal could not be read and was set aside as {journal.recovered_from}", err=True)
        click.echo("hint: What could be read of it is in the new journal.", err=True)
    return journal
