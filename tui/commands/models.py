"""``models``: what there is to know about language models here."""

from __future__ import annotations

import click


@click.group()
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
