"""`phasegate run`: seed, load, benchmark and report, on a PostgreSQL of our own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from phasegate.cli import options
from phasegate.cli.report import print_summary


@click.command()
@click.option("--users", type=options.POSITIVE, help="Registered users of the largest data set.")
@options.seed_number
@options.jobs
@click.option("--quick", is_flag=True, help="A small run: 2,000 users, under 90 s.")
@options.fresh
@click.option("--budget", type=click.FloatRange(min=1), help="Seconds for all benchmarks.")
@options.compute
@options.burst
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
    results: Path,
) -> None:
    """Seed, load, benchmark and report, on a PostgreSQL of our own."""
    from phasegate.cli import pipeline  # every room: too slow for a help text

    project = options.project()
    catalogue = project.catalogue
    defaults = catalogue.run
    chosen = users or (defaults.quick_users if quick else defaults.users)
    sizes = defaults.sizes_up_to(chosen)
    size = options.compute_of(catalogue, compute)
    plan = pipeline.RunPlan(
        project=project,
        users=chosen,
        sizes=sizes,
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
    folder = pipeline.run(plan)
    print_summary(folder, project)  # as it was read: a run takes minutes, and files are edited
    pipeline.conclude(folder)
