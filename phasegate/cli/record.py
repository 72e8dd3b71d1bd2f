"""`phasegate record`: sessions from recordings of what users do (HAR files)."""

from __future__ import annotations

from pathlib import Path

import click

from phasegate.cli import options
from phasegate.model.errors import Refused
from phasegate.record import Recorded, write_locustfile


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.FILE)
@click.option(
    "--host", metavar="HOST", help="The API's host [the one that answers scripts in JSON]."
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write this file [loadtests/locustfile.py of the project].",
)
@click.option(
    "--weights-from",
    metavar="DSN",
    envvar="PHASEGATE_WEIGHTS_FROM",
    callback=options.read_database_url,
    help="Weights of the visits from pg_stat_statements of this database, which is only read. "
    "Better set PHASEGATE_WEIGHTS_FROM: process lists show arguments.",
)
def record(
    files: tuple[Path, ...], host: str | None, output: Path | None, weights_from: str | None
) -> None:
    """Write sessions from what a browser or proxy recorded: HAR files.

    Each FILE holds one visit or more: sign in, click through what users do, and export the
    browser's network panel as HAR with content. Comments in what is written say what was guessed.
    A locustfile that is there is never written over.
    """
    target = output or options.project().locustfile
    weigh = None
    if weights_from is not None:
        from phasegate.record.weights import weights_of_database

        weigh = weights_of_database(weights_from)
    try:
        written = write_locustfile(files, target, host=host, weigh=weigh)
    except Refused as refused:
        for note in getattr(refused, "__notes__", ()):
            click.echo(note, nl=False)
        raise
    tell(written, target)


def tell(written: Recorded, target: Path) -> None:
    """What was written, what to look at, and what was left out."""
    click.echo(
        f"{target}: {_count(written.visits, 'visit')}, {_count(written.clicks, 'click')}, "
        f"{_count(written.requests, 'request')} to {written.host}"
    )
    for finding in written.findings:
        click.echo(f"  look at: {finding}")
    for remark in written.remarks:
        click.echo(f"  {remark}")
    click.echo(f"Try it: locust -f {target} --headless --host URL --users-registered 1k -t 30s")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
