"""`phasegate health`: is an API well, and its database? `stack.health` asks, this prints."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
import msgspec

from phasegate.cli import options
from phasegate.model.errors import DoesNotHold
from phasegate.model.keys import ANON_KEY, read_key
from phasegate.stack import health as health_room
from phasegate.stack.health import Check

MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}


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
