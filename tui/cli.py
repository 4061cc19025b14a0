"""``deepsearch-tui`` and its subcommands. Nothing heavy is loaded before it is known what is wanted."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine import __version__
from engine.errors import DeepSearchError, FilterError

if TYPE_CHECKING:
    from engine.settings import Settings
    from tui.plain import Conversation, MakeDoor

GUIDE = Path(__file__).parent.parent / "docs"
"""The demo library: the guide of this very program."""

EXAMPLES = (
    "What happens to errors when old observations are masked?",
    "What is the size limit for a file in the library?",
    "In which file are sessions stored?",
)
"""Questions the guide answers, to pick from and for the demo without a terminal."""

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
@click.option("--library", help="The library to use instead of the one in the settings.")
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


def _talk(ctx: click.Context, json: bool, do: Callable[[Conversation], int], **given: Any) -> None:
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


_library = click.option("--library", help="The library to use; the one of the settings otherwise.")
_json = click.option("--json", is_flag=True, help="Print the engine's events, one JSON object a line.")


def _some(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("it is empty")
    return value


@main.command("open", hidden=True)
@click.argument("paths", nargs=-1, type=click.Path())
@_library
@click.pass_context
def open_app(ctx: click.Context, paths: tuple[str, ...], library: str | None) -> None:
    """Open the app, indexing PATHs first."""
    missing = [path for path in paths if not Path(path).expanduser().exists()]
    if missing:
        raise click.UsageError(f"There is no file, folder or command called {missing[0]!r}.")
    _open(ctx, tuple(str(Path(path).expanduser().absolute()) for path in paths), library, ())


def _open(ctx: click.Context, paths: tuple[str, ...], library: str | None, questions: tuple[str, ...]) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("The app needs a terminal. Without one, use: deepsearch-tui ask QUESTION")
    settings, make_door = ctx.obj(library=library)
    from tui.app import DeepSearchApp

    DeepSearchApp(make_door, settings, paths=paths, library=settings.library, questions=questions).run()


@main.command()
@click.argument("paths", nargs=-1, type=click.Path())
@_library
@click.option("--rebuild", is_flag=True, help="Throw the index away and make it again from the files.")
@click.option("--watch", is_flag=True, help="Go on, and take in every change, until ctrl+c.")
@click.option("--status", is_flag=True, help="What the libraries hold.")
@click.option("--failures", is_flag=True, help="Every file that could not be read, why, and what would help.")
@click.option("--remove", metavar="PATH", help="Take a file or folder out of the library. It stays on disk.")
@_json
@click.pass_context
def index(
    ctx: click.Context,
    paths: tuple[str, ...],
    library: str | None,
    rebuild: bool,
    watch: bool,
    status: bool,
    failures: bool,
    remove: str | None,
    json: bool,
) -> None:
    """Index files and folders; without a PATH, all that the library knows, again. A PATH may be a pattern: '**/*.md'.

    Stopped with ctrl+c, it goes on from there the next time.
    """
    from engine.protocol import IndexPaths

    if (status or failures or remove is not None) and (
        paths or rebuild or watch or json or status + failures + (remove is not None) > 1
    ):
        raise click.UsageError("--status, --failures and --remove PATH stand alone.")
    if status or failures or remove is not None:
        _look(ctx, library, failures, remove)
        return
    command = IndexPaths(tuple(each for path in paths for each in _matches(path)), library or "", rebuild, watch)
    _talk(ctx, json, lambda conversation: conversation.index(command), library=library)


def _since(_: click.Context, __: click.Parameter, value: str | None) -> float:
    from datetime import datetime

    from engine.sources.library.filters import since

    return since(value, datetime.now().astimezone()) if value is not None else 0.0


def _patterns(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns that mean something wherever the engine runs."""
    from engine.sources.library.filters import check

    return check(values)


def _look(ctx: click.Context, library: str | None, failures: bool, remove: str | None) -> None:
    """Tell of the libraries, or take a path out of one, without an engine."""
    from tui import libraries

    settings, _ = ctx.obj(library=library)
    if remove is not None:
        path = Path(remove).expanduser()
        # As it is kept: the folder's real place. What is removed need not exist any more.
        ctx.exit(libraries.remove(settings.libraries_dir, settings.library, path.resolve()))
    if failures:
        ctx.exit(libraries.failures(settings.libraries_dir, settings.library))
    ctx.exit(libraries.status(settings.libraries_dir, library or ""))


def _matches(path: str) -> list[str]:
    """The whole paths that a path or pattern means. Raises UsageError where there are none."""
    import glob

    place = Path(path).expanduser()
    if place.exists() or not glob.has_magic(path):
        if not place.exists():
            raise click.UsageError(f"There is no file or folder {path!r}.")
        return [str(place.absolute())]
    found = sorted(glob.glob(str(place.absolute()), recursive=True))  # noqa: PTH207 - Path.glob takes no whole path
    if not found:
        raise click.UsageError(f"There is no file or folder {path!r}.")
    return found


@main.command()
@click.argument("query", callback=_some)
@_library
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many hits.")
@click.option(
    "--path",
    "paths",
    multiple=True,
    callback=_patterns,
    metavar="GLOB",
    help="Only documents whose path fits, as in a .gitignore: *.md, notes/**, ~/docs. '!GLOB' leaves out. Repeatable.",
)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only this kind or ending: html, md. Repeatable.")
@click.option("--since", callback=_since, metavar="DATE|AGE", help="Only what changed since: 2025-01-31, 12h, 3d, 2w.")
@click.option("--json", is_flag=True, help="Print the hits, best first, one JSON object a line.")
@click.pass_context
def search(
    ctx: click.Context,
    query: str,
    library: str | None,
    limit: int,
    paths: tuple[str, ...],
    types: tuple[str, ...],
    since: float,
    json: bool,
) -> None:
    """Search the library once, without a model.

    Words are searched by what they say and what they mean. A "phrase in double quotes" must stand as it is written;
    names such as set_num_threads, --no-verify or notes.md are found as such. Each hit tells its place in every list.
    """
    from engine.protocol import Search

    command = Search(query, library or "", limit, paths, types, since)
    _talk(ctx, json, lambda conversation: conversation.search(command), library=library)


def _window(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if value == "off":
        return 0
    if not value.isdecimal():
        raise click.BadParameter("a number of turns, or off")
    return int(value)


@main.command()
@click.argument("question", callback=_some)
@_library
@click.option("--window", callback=_window, metavar="K|off", help="Observations of the last K turns stay.")
@click.option("--max-turns", type=click.IntRange(1, 1000), default=None, help="The turn that must answer.")
@click.option("--web", type=click.Choice(["off", "ask", "on"]), help=_WEB)
@click.option("--session", help="Follow up in this session: an id, the beginning of one, or last.")
@_json
@click.pass_context
def ask(
    ctx: click.Context,
    question: str,
    library: str | None,
    window: int | None,
    max_turns: int | None,
    web: str | None,
    session: str | None,
    json: bool,
) -> None:
    """Answer one question. Turns and masking decisions go to stderr, the answer to stdout."""
    from engine.protocol import Ask

    settings, _ = ctx.obj(library=library, window=window)
    journal = _journal(settings)  # opened here first, so that setting a damaged one aside does not end the question
    session = journal.resolve(session) if session else ""
    journal.close()
    command = Ask(question, session, settings.library, settings.policy, max_turns or 0)
    _talk(ctx, json, lambda conversation: conversation.ask(command), library=library, window=window, web=web)


@main.command()
@click.option("--docs", type=click.Path(exists=True, file_okay=False), help="Other documents to try it on.")
@click.pass_context
def demo(ctx: click.Context, docs: str | None) -> None:
    """Try it on its own guide: in the app, or without a terminal by answering one example question."""
    from engine.protocol import Ask, IndexPaths

    folder = Path(docs).absolute() if docs else GUIDE
    if not folder.is_dir():
        raise click.UsageError("The guide is not installed here. Name a folder of documents with --docs.")
    if sys.stdin.isatty() and sys.stdout.isatty():
        _open(ctx, (str(folder),), "guide", EXAMPLES)
        return

    def both(conversation: Conversation) -> int:
        code = conversation.index(IndexPaths((str(folder),), "guide"))
        return code or conversation.ask(Ask(EXAMPLES[0], library="guide"), turns=conversation.out)

    _talk(ctx, False, both, library="guide")


@main.group(invoke_without_command=True)
@click.pass_context
def sessions(ctx: click.Context) -> None:
    """List, show, search, export and delete saved sessions."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_sessions)


def _journal(settings: Settings) -> Any:
    from engine.sessions import Journal

    journal = Journal(settings.journal)
    if journal.recovered_from is not None:
        click.echo(f"warning: the journal could not be read and was set aside as {journal.recovered_from}", err=True)
        click.echo("hint: What could be read of it is in the new journal.", err=True)
    return journal


@sessions.command("list")
@click.pass_context
def list_sessions(ctx: click.Context) -> None:
    """Sessions, the one used last first."""
    from datetime import datetime

    settings, _ = ctx.obj()
    found = _journal(settings).list()
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
    journal = _journal(settings)
    ledger = to_ledger(journal.events(journal.resolve(session)))
    click.echo(ledger or "Nothing was sent in this session.", nl=not ledger)


@sessions.command("search")
@click.argument("text")
@click.pass_context
def search_sessions(ctx: click.Context, text: str) -> None:
    """Sessions in whose questions, answers or observations the words stand."""
    settings, _ = ctx.obj()
    for match in _journal(settings).search(text):
        click.echo(f"{match.id}  {match.title}\n    {match.snippet}")


@sessions.command()
@click.argument("session")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "jsonl", "trajectory"]),
    default="markdown",
    show_default=True,
    help="Markdown to read, events to replay, or a record of the paper's trajectory schema.",
)
@click.pass_context
def export(ctx: click.Context, session: str, form: str) -> None:
    """Write a session to stdout. SESSION is an id, the beginning of one, or last."""
    import json

    from engine import export as forms

    settings, _ = ctx.obj()
    journal = _journal(settings)
    events = list(journal.events(journal.resolve(session)))
    if form == "markdown":
        click.echo(forms.to_markdown(events))
    elif form == "jsonl":
        click.echo(forms.to_jsonl(events), nl=False)
    else:
        click.echo(json.dumps(forms.to_trajectory(events), ensure_ascii=False))


@sessions.command()
@click.argument("session")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def delete(ctx: click.Context, session: str, yes: bool) -> None:
    """Delete a session for good."""
    from engine.caches import Caches

    settings, _ = ctx.obj()
    journal = _journal(settings)
    found = journal.resolve(session)
    if not yes:
        click.confirm(f"Delete {found}, “{journal.title(found)}”?", abort=True)
    journal.delete(found)
    Caches(settings).forget(found)


@main.group()
def models() -> None:
    """Look at language models."""


@models.command()
@click.argument("model", required=False)
@click.option("--all", "every", is_flag=True, help="Try other ways to keep keys and values too: attention fused, q8_0.")
@click.option("--json", is_flag=True, help="Print one JSON object a line for each way that was tried.")
@click.pass_context
def check(ctx: click.Context, model: str | None, every: bool, json: bool) -> None:
    """Try out what a model's cache can do, and say what that means for masking.

    MODEL is a .gguf file or the name of one in the models folder; without it, the model of the settings.
    """
    from tui.models import check as try_out

    settings, _ = ctx.obj(model=model)
    try_out(settings, every=every, json=json, out=click.echo)


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
