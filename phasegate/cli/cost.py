"""`phasegate cost`: what a month costs, per stack level, from what a run measured."""

from __future__ import annotations

from pathlib import Path

import click

from phasegate.cli import options


@click.command()
@options.run_argument
@click.option("--users", type=options.POSITIVE, required=True, help="Registered users.")
def cost(run: Path | None, users: int) -> None:
    """What a month costs at that many users.

    Per stack level, from what RUN measured.
    """
    from phasegate import report

    for line in report.cost(options.run_folder(run), users, options.project_here()):
        click.echo(line)
