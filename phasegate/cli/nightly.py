"""`phasegate nightly`: measure → look for drift → judge → keep → summarise, in this order.

Writes one file to the history folder, `nightly/summary.md` and `history.html` beside that folder;
leaves no process, database or worktree behind, however it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phasegate.cli import console, options
from phasegate.cli.history import FOLDER
from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import CannotMeasure, DoesNotHold, Refused
from phasegate.project import find_project
from phasegate.records import history, store
from phasegate.records.faults import require_writable
from phasegate.records.night import NightRecord

if TYPE_CHECKING:  # the rooms take half a second to import; the help does without them
    from phasegate.nightly.measure import NightlyPlan
    from phasegate.stats.drift import ChangePoint

SUMMARY = Path("nightly", "summary.md")
PAGE = "history.html"

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
    "--only",
    multiple=True,
    help="Only series like 'sql/join*', or with that in their id; may be repeated.",
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
    """Measure HEAD against a baseline commit, and keep the result: a night.

    Measures both side by side wherever their code or SQL differs, looks for drift over the nights
    kept so far, and writes a record and a summary. Exit codes: 0 nothing moved · 1 something did ·
    3 the night does not count, or the baseline cannot be measured (it is recorded all the same).
    """
    from phasegate.nightly import worktrees
    from phasegate.nightly.measure import NightlyPlan

    catalogue = options.catalogue()
    plan = NightlyPlan(
        baseline=baseline,
        users=users,
        seed=catalogue.run.seed if seed is None else seed,
        budget_s=budget,
        only=only,
        everything=everything,
        root=worktrees.repository_of(find_project()),
    )
    record, summary = night(plan, catalogue, folder.resolve())
    if as_json:
        options.print_json(record)
    else:
        click.echo(summary.read_text(encoding="utf-8"), nl=False)
        click.echo(options.near(summary))
    conclude(record)


def night(plan: NightlyPlan, catalogue: Catalogue, folder: Path) -> tuple[NightRecord, Path]:
    """Carry `plan` out; the judged record, which is in `folder` now, and the summary's path.

    Raises:
        Refused: another phasegate is at work, or a night of this very second is there already.
        ConfigurationError: this is no git checkout.
        CannotMeasure: HEAD itself cannot be measured; nothing was recorded.
    """
    # matplotlib takes a second to import; the help does without it.
    from phasegate.nightly.measure import measure
    from phasegate.report import nights
    from phasegate.stack.cache import cache_dir, locked

    with locked(cache_dir(), "phasegate nightly"):
        require_writable(folder, purpose="the history")
        require_writable(folder.parent / SUMMARY.parent, purpose="the summary")
        with console.step("measure HEAD and baseline") as show:
            record = measure(plan, catalogue, show)
        before = history.read(folder)
        if record.night in {each.night for each in before.nights}:  # a clock that went back
            raise Refused(
                f"A record of night {record.night} exists already",
                untouched="It was not overwritten",
                then="Correct the clock, then measure again",
            )
        with console.step("drift"):
            changes, note = _changes((*before.nights, record))
        judged = nights.judge(record, before.nights, changes)
        if note:
            judged = history.noted(judged, note)
        history.write(folder, judged)
        found = history.read(folder)
        summary = folder.parent / SUMMARY
        store.replace(summary, nights.summary(judged, found).encode())
        nights.build(found, folder.parent / PAGE)
    return judged, summary


def _changes(
    kept: Sequence[NightRecord],
) -> tuple[Mapping[str, Sequence[ChangePoint]], str]:
    """Change points, and a note where they could not be looked for."""
    from phasegate.nightly import drift

    try:
        return drift.change_points(kept), ""
    except CannotMeasure as error:
        return {}, f"Judged without drift: {error.what}. {error.then}."


def conclude(record: NightRecord) -> None:
    """Return where nothing moved.

    Raises:
        CannotMeasure: the night does not count.
        DoesNotHold: something moved.
    """
    if record.baseline_commit is None:
        raise CannotMeasure(
            f"HEAD could not be compared with {record.baseline!r}",
            untouched="The night was recorded with its A/A comparisons only",
            then="Its notes say why",
        )
    if not history.counts(record):
        reasons = record.circumstances.quarantine if record.circumstances else ()
        raise CannotMeasure(
            f"The night was recorded, but does not count: {'; '.join(reasons)}",
            then="Measure again while the machine does nothing else",
        )
    if record.findings:
        names = ", ".join(dict.fromkeys(each.series for each in record.findings))
        raise DoesNotHold(
            f"Something moved: {names}", then="`phasegate digest` says what to look at first"
        )
