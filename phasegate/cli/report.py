"""What reads files alone: `phasegate report` draws a run, `cost` prices it, `compare` takes two.

`prices` names where prices were read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import click

from phasegate.cli import options
from phasegate.model.catalogue import load
from phasegate.model.errors import DoesNotHold

PRICES_FRESH_DAYS = 90
"""Providers change a price list a few times a year."""


@click.command()
@options.run_argument
def report(run: Path | None) -> None:
    """Draw a run's charts and page again from its files.

    RUN is a folder or an id; the newest run if left out.
    """
    from phasegate import report

    folder = options.run_folder(run)
    _, lines = report.publish(folder, options.project_here())
    print_summary(folder, lines)


def print_summary(folder: Path, lines: Iterable[str]) -> None:
    """The five lines of a run and the path of its page."""
    for line in lines:
        click.echo(line)
    click.echo(options.near(folder / "report.html"))


@click.command()
@options.run_argument
@click.option("--users", type=options.POSITIVE, required=True, help="Registered users.")
def cost(run: Path | None, users: int) -> None:
    """What a month costs at that many users.

    For each stack level, from what RUN measured (a folder or an id; the newest run if left out).
    """
    from phasegate import report

    for line in report.cost(options.run_folder(run), users, options.project_here()):
        click.echo(line)


@click.command()
@click.option("--check", is_flag=True, help="Fail if any was read more than 90 days ago.")
def prices(*, check: bool) -> None:
    """Where each price and limit was read, and when.

    With --check, exit code 1 where any of them is older than 90 days; they are named.
    """
    from phasegate.report import money

    here = options.project_here()
    catalogue = load() if here is None else here.catalogue
    today = dt.datetime.now(dt.UTC).date()
    for line in money.price_list(catalogue, today):
        click.echo(line)
    old = catalogue.read_before(today - dt.timedelta(days=PRICES_FRESH_DAYS)) if check else ()
    if old:
        raise DoesNotHold(
            f"Read more than {PRICES_FRESH_DAYS} days ago: {', '.join(old)}",
            then="Look them up and put figures and [sources] into phasegate.toml",
        )


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
