"""Verbs about a stack that stands: up, down, health, doctor."""

from __future__ import annotations

import os

import click
import msgspec

from phasegate.cli import doctor as doctor_room
from phasegate.cli import options
from phasegate.cli import own_stack as local
from phasegate.levels.up_down import down as stop_level
from phasegate.model.errors import DoesNotHold
from phasegate.model.keys import ANON_KEY, read_key
from phasegate.stack import health as health_room


@click.command()
@click.option("--level", type=options.LEVEL, default=1, show_default=True, help="Stack level.")
@click.option("--users", type=options.POSITIVE, help="Registered users of the data set [2000].")
@options.seed_number
@options.compute
@click.option("--port", type=options.PORT, help="Port of the API [any free one].")
def up(
    level: int, users: int | None, seed: int | None, compute: str | None, port: int | None
) -> None:
    """Start a local stack that stays up.

    Prints how to reach it; `phasegate down` ends it.
    """
    catalogue = options.catalogue()
    size = users or catalogue.run.quick_users
    number = catalogue.run.seed if seed is None else seed
    state = local.up(
        level=level,
        users=size,
        number=number,
        population=catalogue.population,
        compute=options.compute_of(catalogue, compute),
        port=port,
    )
    for line in local.state_lines(state, users=size, seed=number, workload=catalogue.workload):
        click.echo(line)


@click.command()
def down() -> None:
    """Stop the stack that `phasegate up` started."""
    names = ", ".join(process.name for process in stop_level())
    click.echo(f"Stopped: {names}." if names else "Nothing was up.")


@click.command()
@click.argument("url", required=False, envvar="SUPABASE_URL", callback=options.read_api_url)
@options.database_url
@options.as_json
def health(url: str | None, database_url: str | None, *, as_json: bool) -> None:
    """Is it well? Checks an API and its database.

    API, auth, pool, database, replica, statistics view, partitions, queue; exit code 1 where one is
    not well. URL is a Supabase project's, or that of `phasegate up`; the key comes from
    SUPABASE_ANON_KEY.
    """
    key = read_key(os.environ.get(ANON_KEY, ""), ANON_KEY)
    options.say(key.remarks)
    checks = health_room.check(url, database_url, anon_key=key.value or None)
    if as_json:
        click.echo(msgspec.json.encode(checks))
    else:
        for line in local.check_lines(checks):
            click.echo(line)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in health_room.github_annotations(checks):
            click.echo(line)
    if not health_room.is_healthy(checks):
        failed = ", ".join(one.name for one in checks if one.outcome == "failed")
        raise DoesNotHold(f"Not healthy: {failed}")


@click.command()
def doctor() -> None:
    """What is on this machine, and where things are kept."""
    for line in doctor_room.lines():
        click.echo(line)
