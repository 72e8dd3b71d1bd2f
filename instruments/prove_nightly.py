"""`python -m instruments perf --nightly`: the nightly's detectors, on recordings of this machine.

Writes `results/<time>-perf-nightly/nightly-proof.json` (`instruments.nightly_validation`).
"""

from __future__ import annotations

from pathlib import Path

import click

from instruments import nightly_validation as proof
from phasegate.cli import console, options
from phasegate.cli.circumstances import code_version, commit
from phasegate.cli.nightly import USERS
from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import CannotMeasure, DoesNotHold
from phasegate.records.faults import require_writable
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import cluster_dir, running_postgres


def prove(results: Path, catalogue: Catalogue) -> None:
    """Record, simulate, print, store; returns where all goals hold.

    Raises:
        CannotMeasure: nothing could be recorded, or the machine was as busy as on a night that
            does not count.
        DoesNotHold: a goal is missed.
    """
    require_writable(results, purpose="results")
    with (
        locked(cache_dir(), "python -m instruments perf --nightly"),
        running_postgres(cluster_dir()) as server,
        console.step("the nightly's detectors") as show,
    ):
        record, path = proof.measure(
            server,
            results,
            users=USERS,
            seed=catalogue.run.seed,
            phasegate_version=code_version(),
            commit=commit()[0],
            on_round=show,
        )
    click.echo(proof.table(record))
    click.echo(options.near(path))
    if record.quarantine:
        raise CannotMeasure("A night recorded like this would not count: " + record.quarantine[0])
    if not all(goal.holds for goal in record.goals):
        raise DoesNotHold("At least one goal is missed")
