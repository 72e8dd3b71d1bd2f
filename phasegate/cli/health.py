"""`phasegate health`: are an API and its database well? `doctor`: what is on this machine?

`stack.health` asks; here the answers are printed.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from phasegate.cli import options
from phasegate.cli.circumstances import code_version
from phasegate.model.errors import DoesNotHold, UsageError
from phasegate.model.keys import ANON_KEY, read_key

if TYPE_CHECKING:  # brings asyncpg, which the help does without
    from phasegate.stack.health import Check

MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}


@click.command()
@click.argument("url", required=False, envvar="SUPABASE_URL", callback=options.read_api_url)
@click.option(
    "--ready",
    metavar="PATH",
    help="Path of the API that answers below 400 where it is well [[api] ready of the project, "
    "where it has an API of its own; else Supabase's routes].",
)
@options.database_url
@options.as_json
def health(url: str | None, ready: str | None, database_url: str | None, *, as_json: bool) -> None:
    """Check whether an API and its database are well.

    Looks at API, auth, pool, database, replica, statistics view, partitions and queue; exit code 1
    where one is not well. URL is that of your API or Supabase project, or of `phasegate up`; the
    key comes from SUPABASE_ANON_KEY. Without a URL the database alone is looked at.
    """
    if ready is not None and not ready.startswith("/"):
        raise UsageError(
            f"--ready takes a path that begins with /, not '{ready}'",
            untouched="Nothing was asked",
            then="Give one such as /health",
        )
    if ready is None and url is not None and (project := options.project_here()) is not None:
        ready = project.api.ready if project.api.command else None
    from phasegate.stack import health as health_room

    key = read_key(os.environ.get(ANON_KEY, ""), ANON_KEY)
    options.say(key.remarks)
    checks = health_room.check(url, database_url, anon_key=key.value or None, ready=ready)
    if as_json:
        click.echo(msgspec.json.encode(checks))
    else:
        for line in check_lines(checks):
            click.echo(line)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in health_room.github_annotations(checks):
            click.echo(line)
    if not health_room.is_healthy(checks):
        failed = ", ".join(one.name for one in checks if one.outcome == "failed")
        raise DoesNotHold(f"Not healthy: {failed}")


def check_lines(checks: tuple[Check, ...]) -> Iterator[str]:
    """The answers as a table: name, outcome, what was said."""
    width = max(len(one.name) for one in checks) + 2
    for one in checks:
        yield f"{one.name:<{width}}{MARKS[one.outcome]:<9}{one.said}"


@click.command()
def doctor() -> None:
    """What is on this machine, and where things are kept."""
    for line in lines():
        click.echo(line)


def lines() -> Iterator[str]:
    """The findings, one a line, as `name  value`."""
    from phasegate.stack.binaries import BIN_VARIABLE, programs, server_version, service_user
    from phasegate.stack.cache import CACHE_VARIABLE, cache_dir

    user = service_user()
    free = shutil.disk_usage(cache_dir()).free
    for name, value in (
        ("phasegate", code_version()),
        ("Python", platform.python_version()),
        ("PostgreSQL", f"{server_version()[1]} in {programs()} (${BIN_VARIABLE})"),
        ("servers run as", user.name if user else "you"),
        ("cache folder", f"{cache_dir()} (${CACHE_VARIABLE}), {free / 1e9:.1f} GB free"),
        ("cores", str(os.cpu_count())),
    ):
        yield f"{name:<16}{value}"
