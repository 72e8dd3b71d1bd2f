"""The verb that measures a night: nightly."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from phasegate.cli import options
from phasegate.cli.verbs.history import FOLDER

# The upper bound of phase 2: large enough that plans are those of a grown app, and seeded, copied
# and measured within a CI job.
USERS = 10_000
# Fifty series until each is known to ±1.5%, on a quiet machine.
BUDGET_S = 300.0


@click.command()
@click.option("--baseline", required=True, help="Tag, branch or commit to compare HEAD with.")
@click.option(
    "--users", type=options.POSITIVE, default=USERS, show_default=True, help="Registered users."
)
@click.option(
    "--budget",
    type=click.FloatRange(min=1),
    default=BUDGET_S,
    show_default=True,
    help="Seconds for all blocks; set-up comes on top.",
)
@click.option(
    "--only", multiple=True, help="Series to measure: a pattern as 'sql/join*', or a part of an id."
)
@click.option(
    "--all", "everything", is_flag=True, help="Also measure series whose code does not differ."
)
@options.seed_number
@FOLDER
@options.as_json
def nightly(
    baseline: str,
    users: int,
    budget: float,
    only: tuple[str, ...],
    *,
    everything: bool,
    seed: int | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Hold HEAD against a baseline commit, and keep the night.

    Measures both side by side wherever their code or SQL differs, looks for drift over the nights
    kept so far, and writes a record and a summary. Exit codes: 0 nothing moved · 1 something did ·
    3 the night does not count, or the baseline cannot be measured (it is recorded all the same).
    """
    from phasegate.cli import nightly_run as room
    from phasegate.nightly.measure import Plan

    catalogue = options.catalogue()
    plan = Plan(
        baseline=baseline,
        users=users,
        seed=catalogue.run.seed if seed is None else seed,
        budget_s=budget,
        only=only,
        everything=everything,
    )
    record, summary = room.night(plan, catalogue, folder.resolve())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(record), indent=1))
    else:
        click.echo(summary.read_text(encoding="utf-8"), nl=False)
        click.echo(options.near(summary))
    room.conclude(record)
