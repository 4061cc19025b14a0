"""``models``: list, fetch, use, try out and remove language models."""

from __future__ import annotations

import click


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, fetch, use, check and remove language models."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list")
@click.option("--json", is_flag=True, help="Print one JSON object a line for each model.")
@click.pass_context
def list_models(ctx: click.Context, json: bool = False) -> None:
    """Models that are here, which one is in use, and which of the catalogue suit this machine."""
    from tui.models import listing

    settings, _ = ctx.obj()
    for line in listing(settings, json=json):
        click.echo(line)


@models.command()
@click.argument("name")
@click.pass_context
def pull(ctx: click.Context, name: str) -> None:
    """Fetch a model into the models folder.

    NAME is one of the catalogue (see: models list) or the http(s) address of a .gguf file. What is interrupted goes on
    where it stopped when it is pulled again.
    """
    from tui.models import fetch

    settings, _ = ctx.obj()
    ctx.exit(fetch(settings, name))


@models.command()
@click.argument("name")
@click.pass_context
def use(ctx: click.Context, name: str) -> None:
    """Use a model from now on: write it into the settings file.

    NAME is the name of a model that is here, the path of a .gguf file, or starter.
    """
    from engine.models import choose, chosen_words, keep_choice

    settings, _ = ctx.obj()
    model = choose(settings, name)
    keep_choice(settings, model)
    click.echo(f"{chosen_words(model)} Written to {settings.config_file}.")
    if overridden := _overridden(settings.model, model):
        click.echo(f"warning: {overridden}", err=True)


@models.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(ctx: click.Context, name: str, yes: bool) -> None:
    """Delete a model's file from the models folder, or what has come of an unfinished download."""
    from engine import models as shelf

    settings, _ = ctx.obj()
    path = shelf.removable(settings, name)
    if not yes:
        click.confirm(f"Delete {path}?", abort=True)
    click.echo(shelf.remove(settings, name))


@models.command()
@click.argument("model", required=False)
@click.option("--all", "every", is_flag=True, help="Try other ways to keep keys and values too: attention fused, q8_0.")
@click.option("--json", is_flag=True, help="Print one JSON object a line for each way that was tried.")
@click.pass_context
def check(ctx: click.Context, model: str | None, every: bool, json: bool) -> None:
    """Try a model out: load it, have it write a call, edit its cache; say what that means for masking.

    MODEL is a .gguf file or the name of one in the models folder; without it, the model of the settings.
    """
    from tui.models import check as try_out

    settings, _ = ctx.obj(model=model)
    try_out(settings, every=every, json=json, out=click.echo)


def _overridden(model: str, chosen: str) -> str:
    """What keeps a choice from being used in this terminal; empty where nothing does."""
    import os

    if os.environ.get("DEEPSEARCH_MODEL") and model != chosen:
        return f"the environment variable DEEPSEARCH_MODEL is set, and wins: {model}"
    return ""
