"""`phasegate run`: seed, load, benchmark and report, on a PostgreSQL of our own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phasegate.cli import options, soak_options
from phasegate.cli.report import print_summary
from phasegate.model.errors import UsageError

if TYPE_CHECKING:
    from phasegate.cli import pipeline


@click.command()
@click.option(
    "--users", type=options.POSITIVE, help="Registered users of the largest data set [100,000]."
)
@options.seed_number
@options.jobs
@click.option("--quick", is_flag=True, help="A small run: 2,000 users, under two minutes.")
@options.fresh
@click.option("--budget", type=click.FloatRange(min=1), help="Seconds for all benchmarks.")
@options.compute
@options.burst
@soak_options.option
@click.option("--level", type=options.LEVEL, help="Stack level of a --soak [the highest].")
@options.results
def run(
    users: int | None,
    seed: int | None,
    jobs: int,
    *,
    quick: bool,
    fresh: bool,
    budget: float | None,
    compute: str | None,
    burst: bool,
    soak: float | None,
    level: int | None,
    results: Path,
) -> None:
    """Seed, load, benchmark and report, on a PostgreSQL of our own.

    With --soak one cell alone is driven, for long: it meets checkpoints,
    autovacuum, refreshes and renewed connections. The answer is what recurs
    (period, height, suspect) and what drifts.
    """
    from phasegate.cli import pipeline  # every room: too slow for a help text

    _check(soak, level, compares=quick or budget is not None)
    project = options.project()
    catalogue = project.catalogue
    defaults = catalogue.run
    chosen = users or (defaults.quick_users if quick else defaults.users)
    sizes = (chosen,) if soak else defaults.sizes_up_to(chosen)
    size = options.compute_of(catalogue, compute)
    plan = pipeline.RunPlan(
        project=project,
        users=chosen,
        sizes=sizes,
        sizes_between=defaults.sizes_between(chosen),
        seed=defaults.seed if seed is None else seed,
        quick=quick,
        jobs=jobs,
        fresh=fresh,
        results=results,
        compute=size,
        mode=options.mode_of(size, burst=burst),
        cell_s=defaults.cell_s,
        probe_s=defaults.probe_s,
        probes_max=defaults.probes_max,
        benchmark_budget_s=budget or defaults.benchmark_budget_s * len(sizes) / len(defaults.sizes),
        advise_budget_s=defaults.advise_budget_s,
        least_trials_max=defaults.least_trials_max,
    )
    if quick:
        plan = replace(
            plan,
            cell_s=defaults.quick_cell_s,
            probes_max=defaults.quick_probes_max,
            least_trials_max=defaults.quick_least_trials_max,
            benchmark_budget_s=budget or defaults.quick_benchmark_budget_s,
            advise_budget_s=defaults.quick_advise_budget_s,
        )
    if soak:
        _soak(plan, level or len(project.levels), soak)
        return
    folder, lines = pipeline.run(plan)
    print_summary(folder, lines)
    pipeline.conclude(folder)


def _check(soak_s: float | None, level: int | None, *, compares: bool) -> None:
    """Refuse what means nothing together.

    Raises:
        UsageError: a soak that compares, or a level of no soak.
    """
    if soak_s and compares:
        raise UsageError(
            "--soak drives one cell and compares nothing: --quick and --budget mean nothing to it",
            untouched="Nothing was started",
            then="Leave them out",
        )
    if level and not soak_s:
        raise UsageError(
            "--level needs a --soak: without one every level is driven",
            untouched="Nothing was started",
            then="Add --soak DURATION, or leave --level out",
        )


def _soak(plan: pipeline.RunPlan, level: int, duration_s: float) -> None:
    """Drive one cell for long.

    Raises:
        KeyboardInterrupt: it was stopped by hand; what was measured is kept and printed.
    """
    from phasegate.cli import soak

    folder, stopped = soak.run(plan, level, duration_s)
    soak_options.tell(folder, plan.project)
    click.echo(options.near(folder / "report.html"))
    if stopped:
        raise KeyboardInterrupt
