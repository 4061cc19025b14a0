"""``deepsearch-tui`` and its subcommands. Nothing heavy is loaded before it is known what is wanted."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine import __version__
from engine.errors import DeepSearchError, FilterError
from tui.commands.common import joined, json_option, library_option, open_journal, some, talk
from tui.commands.common import window as window_of
from tui.commands.config import config
from tui.commands.library import index, search
from tui.commands.models import models
from tui.commands.runs import compare, what_if
from tui.commands.sessions import sessions
from tui.guide import EXAMPLES, GUIDE

if TYPE_CHECKING:
    from engine.settings import Settings
    from tui.plain import Conversation, MakeDoor

_WEB = "Allow the live web: ask shows each query and each new host first, on does not. Off by default."

_EPILOG = """\b
Exit codes: 0 done, 1 an error, 2 a bad command line, 3 the documents do not tell (or nothing was found),
4 some files could not be indexed, 130 interrupted. A PATH that is called like a command is written ./PATH.
"""


class Commands(click.Group):
    """A group whose first argument may be a path instead of a command: then the app is opened on it."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            return "open", self.commands["open"], args
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DeepSearchError as error:
            click.echo(f"error: {error}", err=True)
            if error.hint:
                click.echo(f"hint: {error.hint}", err=True)
            ctx.exit(2 if isinstance(error, FilterError) else 1)
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(cls=Commands, invoke_without_command=True, epilog=_EPILOG)
@click.option("--data-dir", type=click.Path(file_okay=False), help="Where libraries, sessions and logs are kept.")
@click.option("--model", help="A .gguf file instead of the one in the settings.")
@click.option("--format", help="How the model is spoken to, instead of as its chat template says.")
@click.option(
    "--endpoint", metavar="URL", help="A model server to use instead of a file: llama-server, vLLM, Ollama, ..."
)
@click.option("--endpoint-model", metavar="NAME", help="The model to use there, where it has several.")
@click.option(
    "--library",
    multiple=True,
    callback=joined,
    metavar="NAME",
    help="The library to use instead of the one in the settings, or several: work,home.",
)
@click.option(
    "--cache",
    type=click.Choice(["auto", "strict", "carry", "carry+repair"]),
    help="How the model's cache follows a mask: read the rest again, carry it on, or carry and repair it.",
)
@click.option(
    "--batch", "batch_turns", type=click.IntRange(0, 1000), metavar="N", help="Mask old turns N at a time; 0 chooses."
)
@click.option("--web", type=click.Choice(["off", "ask", "on"]), help=_WEB)
@click.option("--in-process", is_flag=True, help="Run the engine in this process, for debugging.")
@click.version_option(__version__, prog_name="deepsearch-tui")
@click.pass_context
def main(ctx: click.Context, /, in_process: bool, **given: str | int | None) -> None:
    """Ask questions of your own documents, and see what the model sees.

    Without a command the app opens; with one or more PATHs it indexes them first.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a sign the terminal lacks is no reason to end
    ctx.obj = partial(_context, given, in_process)
    if ctx.invoked_subcommand is None:
        ctx.invoke(open_app, paths=(), library=None)


def _context(base: Mapping[str, Any], in_process: bool, **given: Any) -> tuple[Settings, MakeDoor]:
    """Settings, and how to make a door to an engine that has them. A command's own options win over ``base``."""
    from engine.settings import load_settings
    from tui.bridge import EngineProcess, InProcess

    settings = load_settings({**base, **{name: value for name, value in given.items() if value is not None}})
    settings.prepare()
    return settings, partial(InProcess if in_process else EngineProcess, settings)


@main.command("open", hidden=True)
@click.argument("paths", nargs=-1, type=click.Path())
@library_option
@click.pass_context
def open_app(ctx: click.Context, paths: tuple[str, ...], library: str | None) -> None:
    """Open the app, indexing PATHs first."""
    missing = [path for path in paths if not Path(path).expanduser().exists()]
    if missing:
        raise click.UsageError(f"There is no file, folder or command called {missing[0]!r}.")
    _open(ctx, tuple(str(Path(path).expanduser().absolute()) for path in paths), library, ())


def on_screen() -> bool:
    """Whether somebody looks: a terminal, or a browser that textual serve shows the app in."""
    served = os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")
    return served or (sys.stdin.isatty() and sys.stdout.isatty())


def _open(ctx: click.Context, paths: tuple[str, ...], library: str | None, questions: tuple[str, ...]) -> None:
    if not on_screen():
        raise click.UsageError("The app needs a terminal. Without one, use: deepsearch-tui ask QUESTION")
    from engine import garbage

    garbage.seldom()
    settings, make_door = ctx.obj(library=library)
    from tui.app import DeepSearchApp

    DeepSearchApp(make_door, settings, paths=paths, library=settings.library, questions=questions).run()


def _window(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    return value if value in (None, "auto") else window_of(_, __, value)


@main.command()
@click.argument("question", callback=some)
@library_option
@click.option("--window", callback=_window, metavar="K|off|auto", help="Observations of the last K turns stay.")
@click.option("--max-turns", type=click.IntRange(1, 1000), default=None, help="The turn that must answer.")
@click.option("--web", type=click.Choice(["off", "ask", "on"]), help=_WEB)
@click.option("--session", help="Follow up in this session: an id, the beginning of one, or last.")
@json_option
@click.pass_context
def ask(
    ctx: click.Context,
    question: str,
    library: str | None,
    window: int | str | None,
    max_turns: int | None,
    web: str | None,
    session: str | None,
    json: bool,
) -> None:
    """Answer one question. Turns and masking decisions go to stderr, the answer to stdout."""
    from engine.protocol import Ask

    masking = None if window is None else "auto" if window == "auto" else "window"
    given = {"library": library, "masking": masking, "window": None if window == "auto" else window}
    settings, _ = ctx.obj(**given)
    journal = open_journal(settings)  # opened here first, so that setting a damaged one aside does not end the question
    session = journal.resolve(session) if session else ""
    journal.close()
    command = Ask(question, session, settings.library, settings.policy, max_turns or 0)
    talk(ctx, json, lambda conversation: conversation.ask(command), web=web, **given)


@main.command()
@click.option("--docs", type=click.Path(exists=True, file_okay=False), help="Other documents to try it on.")
@click.pass_context
def demo(ctx: click.Context, docs: str | None) -> None:
    """Try it on its own guide: in the app, or without a terminal by answering one example question."""
    from engine.protocol import Ask, IndexPaths

    folder = Path(docs).absolute() if docs else GUIDE
    if not folder.is_dir():
        raise click.UsageError("The guide is not installed here. Name a folder of documents with --docs.")
    if on_screen():
        _open(ctx, (str(folder),), "guide", EXAMPLES)
        return

    def both(conversation: Conversation) -> int:
        code = conversation.index(IndexPaths((str(folder),), "guide"))
        return code or conversation.ask(Ask(EXAMPLES[0], library="guide"), turns=conversation.out)

    talk(ctx, False, both, library="guide")


@main.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Look at everything a question needs, and say what to do about what is wrong."""
    from engine.doctor import checks

    settings, _ = ctx.obj()
    wrong = False
    for check in checks(settings):
        sign = {True: "✓", False: "✗", None: "–"}[check.ok]
        click.echo(f"{sign} {check.name:<16} {check.detail}")
        if check.ok is not True and check.fix:
            click.echo(f"  {'':<16} → {check.fix}")
        wrong = wrong or check.ok is False
    ctx.exit(1 if wrong else 0)


for command in (index, search, sessions, models, compare, what_if, config):
    main.add_command(command)
