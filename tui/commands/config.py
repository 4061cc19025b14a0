"""``config``: where the settings file is, and a commented one to begin with."""

from __future__ import annotations

import click


@click.command()
@click.option("--init", is_flag=True, help="Write a file in which every setting is explained, where there is none.")
@click.option("--show", is_flag=True, help="Print every setting in force, and where it comes from.")
@click.pass_context
def config(ctx: click.Context, init: bool, show: bool) -> None:
    """Print where the settings file is."""
    import json

    from engine import config_file
    from engine.settings import config_path
    from tui.keymap import EXAMPLES

    path = config_path()
    if init and not config_file.create(path, EXAMPLES):
        click.echo(f"{path} is there already; nothing was changed.", err=True)
        ctx.exit(1)
    click.echo(path)
    if show:
        settings, _ = ctx.obj()
        for name, origin in config_file.origins(path, settings).items():
            click.echo(f"{name:<16} {json.dumps(getattr(settings, name), default=str):<24} {origin}")
