"""``index`` and ``search``: what the library holds, and one search in it."""

from __future__ import annotations

from pathlib import Path

import click

from engine.clean import clean_line
from tui.commands.common import json_option, library_option, some, talk


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@library_option
@click.option("--rebuild", is_flag=True, help="Throw the index away and make it again from the files.")
@click.option("--re-embed", "re_embed", is_flag=True, help="Make all vectors anew, with the embedder of the settings.")
@click.option("--yes", is_flag=True, help="Do not ask whether to --re-embed.")
@click.option("--watch", is_flag=True, help="Go on, and take in every change, until ctrl+c.")
@click.option(
    "--at", metavar="URI", help="Keep the index at s3://, gs://, az:// or db://…, or local again. Remembered."
)
@click.option("--status", is_flag=True, help="What the libraries hold.")
@click.option("--failures", is_flag=True, help="Every file that could not be read, why, and what would help.")
@click.option("--remove", metavar="PATH", help="Take a file or folder out of the library. It stays on disk.")
@json_option
@click.pass_context
def index(
    ctx: click.Context,
    paths: tuple[str, ...],
    library: str | None,
    rebuild: bool,
    re_embed: bool,
    yes: bool,
    watch: bool,
    at: str | None,
    status: bool,
    failures: bool,
    remove: str | None,
    json: bool,
) -> None:
    """Index files and folders; without a PATH, all that the library knows, again. A PATH may be a pattern: '**/*.md'.

    Stopped with ctrl+c, it goes on from there the next time.
    """
    from engine.protocol import IndexPaths, Reembed

    if library is not None and "," in library and not (status or failures):
        raise click.UsageError("One library is indexed at a time: name one with --library.")
    if re_embed and (paths or rebuild or watch or at or status or failures or remove is not None):
        raise click.UsageError("--re-embed stands alone.")
    if yes and not re_embed:
        raise click.UsageError("--yes belongs to --re-embed.")
    if (status or failures or remove is not None) and (
        paths or rebuild or watch or json or at or status + failures + (remove is not None) > 1
    ):
        raise click.UsageError("--status, --failures and --remove PATH stand alone.")
    if status or failures or remove is not None:
        _look(ctx, library, failures, remove)
        return
    if at is not None:
        _move(ctx, library, at, rebuild)
    if re_embed:
        talk(ctx, json, lambda conversation: conversation.reembed(Reembed(library or ""), yes=yes), library=library)
        return
    command = IndexPaths(tuple(each for path in paths for each in _matches(path)), library or "", rebuild, watch)
    talk(ctx, json, lambda conversation: conversation.index(command), library=library)


def _move(ctx: click.Context, library: str | None, uri: str, again: bool) -> None:
    """Note where the library's index is to be kept."""
    from engine.sources.library import Library

    settings, _ = ctx.obj(library=library)
    settings.prepare()
    Library(settings.libraries_dir, settings.library).move(uri, again=again)


def _since(_: click.Context, __: click.Parameter, value: str | None) -> float:
    from datetime import datetime

    from engine.sources.library.filters import since

    return since(value, datetime.now().astimezone()) if value is not None else 0.0


def _reranker(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The setting that is meant: a folder that is here by its whole path, and none as an empty text."""
    if value is None or value == "none":
        return value and ""
    place = Path(value).expanduser()
    return str(place.absolute()) if place.is_dir() else value


def _check_reranker(ctx: click.Context, reranker: str) -> None:
    """Raises UsageError where there is none. One in the settings is only told of: the search goes on without it."""
    from engine.sources.library.cross_encoder import HINT, reranker_of, trouble

    settings, _ = ctx.obj(reranker=reranker)
    named = reranker_of(settings.reranker, settings.models_dir)
    if named is not None and (wrong := trouble(named.folder)):
        raise click.UsageError(f"{clean_line(wrong)}. {HINT}")


def _patterns(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns that mean something wherever the engine runs."""
    from engine.sources.library.filters import check

    return check(values)


def _look(ctx: click.Context, library: str | None, failures: bool, remove: str | None) -> None:
    """Tell of the libraries, or take a path out of one, without an engine."""
    from engine.sources.library.embedders import embedder_of
    from tui import libraries

    settings, _ = ctx.obj(library=library)
    embedder = embedder_of(settings.embedder, settings.models_dir)
    if remove is not None:
        path = Path(remove).expanduser()
        # As it is kept: the folder's real place. What is removed need not exist any more.
        ctx.exit(libraries.remove(settings.libraries_dir, settings.library, path.resolve()))
    if failures:
        ctx.exit(libraries.failures(settings.libraries_dir, settings.library))
    ctx.exit(libraries.status(settings.libraries_dir, library or "", embedder=embedder))


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


@click.command()
@click.argument("query", callback=some)
@library_option
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
@click.option(
    "--rerank",
    "reranker",
    callback=_reranker,
    metavar="FOLDER|none",
    help="Put the best hits in the order of the cross-encoder in this folder. The one of the settings otherwise.",
)
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
    reranker: str | None,
    json: bool,
) -> None:
    """Search the library once, or several, without a model.

    Words are searched by what they say and what they mean. A "phrase in double quotes" must stand as it is written;
    names such as set_num_threads, --no-verify or notes.md are found as such. Each hit tells its place in every list.
    """
    from engine.protocol import Search

    if reranker:
        _check_reranker(ctx, reranker)
    command = Search(query, library or "", limit, paths, types, since)
    talk(ctx, json, lambda conversation: conversation.search(command), library=library, reranker=reranker)
