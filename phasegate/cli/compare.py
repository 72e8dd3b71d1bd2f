"""`phasegate compare`: what moved from one run to another."""

from __future__ import annotations

from pathlib import Path

import click

from phasegate.cli import options


@click.command()
@click.argument("first", metavar="RUN_A", type=click.Path(path_type=Path))
@click.argument("second", metavar="RUN_B", type=click.Path(path_type=Path))
@click.option("--any-machine", is_flag=True, help="Compare runs even if their machines differ.")
def compare(first: Path, second: Path, *, any_machine: bool) -> None:
    """What moved from one run to another.

    And what changed in data, server and plans. RUN_A and RUN_B are folders or ids.
    """
    from phasegate import report

    folders = options.run_folder(first), options.run_folder(second)
    for line in report.compare(*folders, options.project_here(), any_machine=any_machine):
        click.echo(line)
