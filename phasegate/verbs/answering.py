"""Verbs that answer from the files of a run and never measure: report, gate, cost, compare, sql."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from phasegate import options
from phases.errors import CannotMeasure, DoesNotHold

RUN = click.argument("run", metavar="[RUN]", required=False, type=click.Path(path_type=Path))


def print_summary(folder: Path) -> None:
    """The five lines of a run and the path of its page."""
    import report as report_room

    for line in report_room.summary(folder, options.catalogue()):
        click.echo(line)
    click.echo(options.near(folder / "report.html"))


@click.command()
@RUN
def report(run: Path | None) -> None:
    """Draw the charts and the page of RUN again from its files.

    RUN is a folder or an id; the newest run if left out.
    """
    import report as report_room

    folder = options.run_folder(run)
    report_room.build(folder, options.catalogue())
    print_summary(folder)


@click.command()
@RUN
@click.option("--to", type=click.IntRange(2, 4), required=True, help="The phase to enter: 2, 3, 4.")
@click.option("--level", type=options.LEVEL, help="Stack level to judge [the phase's own].")
@options.as_json
def gate(run: Path | None, to: int, level: int | None, *, as_json: bool) -> None:
    """GO, NO-GO or INVALID for entering a phase.

    With the reasons, what to do next, and what not to do yet. Judged from
    the files of RUN (a folder or an id; the newest run if left out).
    """
    import report as report_room

    record = report_room.gate(options.run_folder(run), to, level, options.catalogue())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(record), indent=1))
    else:
        for line in report_room.gate_lines(record):
            click.echo(line)
    if record.decision == "NO-GO":
        raise DoesNotHold(f"NO-GO for phase {to}")
    if record.decision == "INVALID":
        raise CannotMeasure(f"INVALID: phase {to} could not be judged")


@click.command()
@RUN
@click.option("--users", type=options.POSITIVE, required=True, help="Registered users.")
def cost(run: Path | None, users: int) -> None:
    """What a month costs at so many users.

    Per stack level, from what RUN measured.
    """
    import report as report_room

    for line in report_room.cost(options.run_folder(run), users, options.catalogue()):
        click.echo(line)


@click.command()
@click.argument("first", metavar="RUN_A", type=click.Path(path_type=Path))
@click.argument("second", metavar="RUN_B", type=click.Path(path_type=Path))
@click.option("--any-machine", is_flag=True, help="Compare runs of unlike machines all the same.")
def compare(first: Path, second: Path, *, any_machine: bool) -> None:
    """What moved from one run to another.

    And what changed in data, server and plans. RUN_A and RUN_B are folders or ids.
    """
    import report as report_room

    folders = options.run_folder(first), options.run_folder(second)
    for line in report_room.compare(
        *folders, any_machine=any_machine, catalogue=options.catalogue()
    ):
        click.echo(line)


@click.command()
@click.argument("technique")
@click.option("--undo", is_flag=True, help="Print what takes it back.")
def sql(technique: str, *, undo: bool) -> None:
    """A technique's migration, safe on a live table.

    Ready for supabase/migrations/; TECHNIQUE is an id, as idx_tasks_user_created.
    """
    import report as report_room

    click.echo(report_room.sql(technique, undo=undo), nl=False)
