"""What reads runs' files: `phasegate report` draws a run, `cost` prices it, `compare` takes two."""

from __future__ import annotations

from pathlib import Path

import click

from phasegate.cli import options
from phasegate.project import Project


@click.command()
@options.run_argument
def report(run: Path | None) -> None:
    """Draw the charts and the page of RUN again from its files.

    RUN is a folder or an id; the newest run if left out.
    """
    from phasegate import report

    folder = options.run_folder(run)
    here = options.project_here()
    report.build(folder, here)
    print_summary(folder, here)


def print_summary(folder: Path, here: Project | None) -> None:
    """The five lines of a run and the path of its page; `here` is the project that judges it."""
    from phasegate import report

    for line in report.summary(folder, here):
        click.echo(line)
    click.echo(options.near(folder / "report.html"))


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
