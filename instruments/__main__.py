"""`python -m instruments`: phasegate beside peers, limits and its own claims.

Run from a checkout. Exit codes as those of `phasegate`.
"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from instruments import check_benchmarks
from instruments import perf as all_rows
from phasegate.__main__ import run_command
from phasegate.cli import console, options
from phasegate.model.errors import DoesNotHold


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def instruments() -> None:
    """Phasegate beside peers, limits and its own claims."""


@instruments.command()
@click.argument("rooms", nargs=-1, type=click.Choice(sorted(all_rows.ROOMS)))
@click.option("--nightly", is_flag=True, help="Prove the nightly's detectors instead; ~10 min.")
@options.results
def perf(rooms: tuple[str, ...], results: Path, *, nightly: bool) -> None:
    """Compare our figures with peers' and with limits, in one run.

    Prints ratios with their spread. ROOMS selects what is measured (default: all).
    """
    if nightly:
        from instruments import prove_nightly

        prove_nightly.prove(results.resolve(), options.catalogue())
        return
    record = all_rows.measure(rooms or tuple(all_rows.ROOMS), results.resolve())
    click.echo(all_rows.table(record))
    if not all(row.holds for row in record.rows):
        raise DoesNotHold("At least one figure misses its goal")


@instruments.command("self-check")
@click.option(
    "--pairs",
    type=click.IntRange(min=2),
    default=300,
    show_default=True,
    help="Comparisons of a statement with itself.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds for each comparison.",
)
@options.database_url
@click.option("--users", type=options.POSITIVE, help="Of the data set, without a database [2000].")
@options.as_json
def self_check(
    pairs: int, budget: float, database_url: str | None, users: int | None, *, as_json: bool
) -> None:
    """How often the benchmarks raise a false alarm, and how often they miss 5%.

    Measures equal arms again and again, judges the recordings as they are and with a slow-down of
    5% put in, and does the same by two common thresholds. Exit code 1 where there are more than 1%
    false alarms, or fewer than 95% of the slow-downs are found. Without a database URL, on
    phasegate's own server.
    """
    catalogue = options.catalogue()
    rules, table = check_benchmarks.check(
        database_url,
        users=users or catalogue.run.quick_users,
        number=catalogue.run.seed,
        pairs=pairs,
        budget_s=budget,
    )
    click.echo(msgspec.json.encode(rules) if as_json else "\n".join(table))
    if not rules[0].holds:
        raise DoesNotHold(
            "The benchmarks' rule raises too many false alarms or misses too many slow-downs"
        )


@instruments.command()
@click.option(
    "--projects",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="Generated ones, beside the two of this repository.",
)
@click.option("--users", type=options.POSITIVE, default=1000, show_default=True, help="Of each.")
@click.option(
    "--budget",
    type=click.FloatRange(min=1),
    default=20.0,
    show_default=True,
    help="Seconds of measuring for each project.",
)
@click.option("--supabase", metavar="PROGRAM", help="The Supabase CLI, as an oracle.")
@click.option("--only", default="", help="Of the projects, those with this in their name.")
@click.option("--first", type=int, default=0, show_default=True, help="Number of the first one.")
@options.seed_number
def advice(
    projects: int,
    users: int,
    budget: float,
    supabase: str | None,
    only: str,
    first: int,
    seed: int | None,
) -> None:
    """How many planted faults `phasegate advise` finds, and how many of its findings are faults.

    Exit code 1 where less than 95% are found, less than 90% of what is "needed" is one, or the
    Supabase CLI reports something on performance that we do not.
    """
    from instruments import advice_eval

    tally = advice_eval.evaluate(
        projects, users, budget, supabase, click.echo, only, first=first,
        seed=advice_eval.SEED if seed is None else seed,
    )  # fmt: skip
    click.echo(
        f"recall {tally.recall:.1%} ({tally.found} of {tally.planted}), precision of needed "
        f"{tally.precision:.1%} ({tally.right} of {tally.needed}), Supabase's lints answered "
        f"{tally.answered} of {tally.lints}"
    )
    if not tally.holds:
        raise DoesNotHold("The advice misses a goal")


@instruments.command()
@click.option("--users", type=options.POSITIVE, default=10_000, show_default=True)
@click.option(
    "--budget",
    type=click.FloatRange(min=5),
    default=30.0,
    show_default=True,
    help="Seconds for each condition.",
)
@click.option("--other-bin", metavar="FOLDER", help="Programs of another build of PostgreSQL.")
@click.option("--only", default="", help="Of the conditions, those with this in their name.")
def yardstick(users: int, budget: float, other_bin: str | None, only: str) -> None:
    """What the yardstick takes here, and how well it carries times to another machine.

    The first lines are what `[reference.yardstick_ms]` of the catalogue states of its core.
    """
    from instruments import yardstick_carry

    yardstick_carry.evaluate(users, budget, other_bin, only, options.catalogue(), click.echo)


@instruments.command()
@click.option("--users", type=options.POSITIVE, help="Registered ones [of a run].")
@click.option("--seeds", type=click.IntRange(min=2), default=2, show_default=True)
@click.option("--first-seed", type=int, default=2027, show_default=True)
@click.option(
    "--run",
    type=options.FOLDER,
    default=Path("results/published"),
    show_default=True,
    help="Whose benchmarks say which part is tried first.",
)
@options.results
def least(users: int | None, seeds: int, first_seed: int, run: Path, results: Path) -> None:
    """Whether the simplest stack is the same on several seeds, and FAILs without each part.

    The search of `phasegate run` alone, on this folder's project: about a minute and a half a seed
    with 100,000 users. Exit code 1 where the seeds do not agree, or a stack without one of its
    parts was not seen to FAIL.
    """
    from instruments import least_eval

    project = options.project()
    numbers = range(first_seed, first_seed + seeds)
    size = users or project.catalogue.run.users
    found = least_eval.search(project, size, numbers, run, results, click.echo)
    for line in least_eval.told(found):
        click.echo(line)
    if wrong := least_eval.faults(found):
        raise DoesNotHold("; ".join(wrong))
    parts = ", ".join(needed.part for needed in found[first_seed].needed) or "nothing"
    click.echo(f"{size:,} users on {seeds} seeds: {parts}; without any part it FAILs")


@instruments.command()
@click.option("--users", type=options.POSITIVE, help="Registered users of the largest data set.")
@click.option("--sweeps", type=click.IntRange(min=2), default=2, show_default=True)
@click.option("--same-seed", is_flag=True, help="The same data in each sweep.")
@click.option("--budget", type=click.FloatRange(min=1), help="Seconds for each sweep.")
@options.results
def repeat(
    users: int | None, sweeps: int, budget: float | None, results: Path, *, same_seed: bool
) -> None:
    """Whether a sweep of the benchmarks gives the same answers again.

    Measures every technique of the project here at every size, several times, each on data of
    another seed, and prints both N*, whether each lies in the other's interval, and whether the
    advice is the same. Exit code 1 where they agree less than they must.
    """
    from instruments import repeat as repeated

    project = options.project()
    run = project.catalogue.run
    largest = users or run.users
    with console.step("sweeps") as show:
        found = repeated.measure(
            project,
            run.sizes_up_to(largest),
            run.sizes_between(largest),
            sweeps=sweeps,
            same_seed=same_seed,
            budget_s=budget or run.benchmark_budget_s,
            results=results.resolve(),
            on_progress=show,
        )
    click.echo("\n".join(repeated.table(found[0], found[1])))
    shares = repeated.shares(found)
    click.echo("\n".join(map(str, shares)))
    if not all(share.holds for share in shares):
        raise DoesNotHold("The sweeps agree less than they must")


@instruments.command()
@click.option("--level", "levels", type=options.LEVEL, multiple=True, help="Stack level [all].")
@click.option("--users", "counts", type=options.POSITIVE, multiple=True, help="[phases' bounds].")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=9.0,
    show_default=True,
    help="After which no cell is begun; a later call goes on.",
)
@click.option("--out", type=options.FOLDER, help="Of the cells [results/sizes of the project].")
@options.jobs
def sizes(
    levels: tuple[int, ...], counts: tuple[int, ...], minutes: float, out: Path | None, jobs: int
) -> None:
    """The smallest compute size by level and users, cell by cell.

    For a quiet machine. Every cell is driven with its size in force, with a cold and a warm cache;
    what one says of others (more users, a smaller size) is not driven, and marked "inferred".
    """
    from instruments import compute_sizes
    from phasegate.cli.size import possible_sizes

    project = options.project()
    table = compute_sizes.Table(
        levels or tuple(range(1, len(project.levels) + 1)),
        counts or project.catalogue.run.sizes,
        tuple(each.name for each in possible_sizes(project.catalogue)),
    )
    folder = out or project.results / "sizes"
    found = compute_sizes.fill(project, table, folder, minutes * 60, jobs, click.echo)
    for line in compute_sizes.lines(table, found):
        click.echo(line)


@instruments.command()
@click.option("--level", type=options.LEVEL, default=2, show_default=True, help="Stack level.")
@click.option("--users", type=options.POSITIVE, default=100_000, show_default=True)
@click.option(
    "--cores",
    default="0,0.4,0.2,0.1",
    show_default=True,
    help="For PostgreSQL and its pooler, comma-separated; 0: no limit.",
)
@click.option("--rounds", type=options.POSITIVE, default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=25.0, show_default=True)
@click.option("--seed", type=int, help="Of the arrivals [the project's].")
@click.option("--out", type=options.FOLDER, help="Of the stages [results/shares of the project].")
def shares(
    level: int,
    users: int,
    cores: str,
    rounds: int,
    seconds: float,
    seed: int | None,
    out: Path | None,
) -> None:
    """What a share of the processor does to the p95: each in turns, in random order."""
    from instruments import processor_shares

    project = options.project()
    plan = processor_shares.Shares(
        level, users, tuple(float(each) for each in options.names(cores)), rounds, seconds,
        project.catalogue.run.seed if seed is None else seed, out or project.results / "shares",
    )  # fmt: skip
    found = []
    for stage in processor_shares.measure(project, plan):
        click.echo(processor_shares.of_stage(stage))
        found.append(stage)
    for line in processor_shares.lines(found):
        click.echo(line)


if __name__ == "__main__":
    run_command(lambda: instruments, "python -m instruments")
