"""Verbs that fill and measure: run, seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import msgspec

from phasegate.cli import fill as seeding
from phasegate.cli import options, pipeline
from phasegate.cli.verbs.answering import print_summary

jobs = click.option(
    "--jobs", type=options.POSITIVE, default=2, show_default=True, help="Seeding processes."
)
fresh = click.option("--fresh", is_flag=True, help="Seed again even if the same data set exists.")


@click.command()
@click.option("--users", type=options.POSITIVE, help="Registered users of the largest data set.")
@options.seed_number
@jobs
@click.option("--quick", is_flag=True, help="A small run: 2,000 users, under 90 s.")
@fresh
@click.option("--budget", type=click.FloatRange(min=1), help="Seconds for all benchmarks.")
@options.compute
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
    results: Path,
) -> None:
    """Seed, load, benchmark and report, on a PostgreSQL of our own."""
    catalogue = options.catalogue()
    defaults = catalogue.run
    chosen = users or (defaults.quick_users if quick else defaults.users)
    sizes = defaults.sizes_up_to(chosen)
    plan = pipeline.Plan(
        users=chosen,
        sizes=sizes,
        seed=defaults.seed if seed is None else seed,
        quick=quick,
        jobs=jobs,
        fresh=fresh,
        results=results.absolute(),
        compute=options.compute_of(catalogue, compute),
        cell_s=defaults.cell_s,
        probe_s=defaults.probe_s,
        probes_max=defaults.probes_max,
        benchmark_budget_s=budget or defaults.benchmark_budget_s * len(sizes) / len(defaults.sizes),
    )
    if quick:
        plan = replace(
            plan,
            cell_s=defaults.quick_cell_s,
            probes_max=defaults.quick_probes_max,
            benchmark_budget_s=budget or defaults.quick_benchmark_budget_s,
        )
    print_summary(pipeline.run(plan, catalogue))


@click.command()
@click.option("--users", type=options.POSITIVE, required=True, help="Registered users.")
@options.database_url
@options.seed_number
@jobs
@click.option(
    "--locale", "locales", multiple=True, help="Faker locale, such as en_US; may be repeated."
)
@click.option(
    "--replace", is_flag=True, help="First drop a different data set that phasegate made."
)
@fresh
@click.option("--describe", is_flag=True, help="Only print how the data are distributed.")
@options.as_json
def seed(
    users: int,
    database_url: str | None,
    seed: int | None,
    jobs: int,
    locales: tuple[str, ...],
    *,
    replace: bool,
    fresh: bool,
    describe: bool,
    as_json: bool,
) -> None:
    """Fill a PostgreSQL with a deterministic population.

    Users, projects, tasks and activity logs, the same bytes for the same seed. The database
    must be empty, or one that phasegate filled; anything else is refused. Row-level security is on
    from the start: on a Supabase project with the policies, elsewhere nobody but the owner sees a
    row until `phasegate sql --level N --apply` gives users theirs. Without a
    database URL, phasegate's own server is filled, and the next run finds the data there.
    """
    catalogue = options.catalogue()
    number = catalogue.run.seed if seed is None else seed
    population = catalogue.population
    if locales:
        population = msgspec.structs.replace(population, locales=locales)
    if describe:
        click.echo(seeding.describe(users, number, population))
        return
    record = seeding.fill(
        database_url,
        users=users,
        number=number,
        jobs=jobs,
        replace=replace,
        fresh=fresh,
        population=population,
    )
    if as_json:
        click.echo(msgspec.json.encode(record))
        return
    for line in seeding.lines(record):
        click.echo(line)
