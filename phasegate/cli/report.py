"""`phasegate report`: draw a run again from its files."""

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
