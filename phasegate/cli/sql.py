"""`phasegate sql`: print the SQL of a technique or a stack level; run it where asked."""

from __future__ import annotations

import click

from phasegate.cli import options
from phasegate.cli.advise import proposed
from phasegate.model.errors import UsageError
from phasegate.project import Project, read_techniques


@click.command()
@click.argument("technique", required=False)
@click.option("--undo", is_flag=True, help="Print the statements that undo it.")
@click.option("--level", type=options.LEVEL, help="A stack level's SQL instead, all of it.")
@click.option("--apply", is_flag=True, help="Print it, then run it on the database.")
@options.database_url
def sql(
    technique: str | None, level: int | None, database_url: str | None, *, undo: bool, apply: bool
) -> None:
    """A technique's migration, safe on a live table; or a stack level's SQL.

    Ready for supabase/migrations/; TECHNIQUE is the name of its folder in benchmarks/,
    or of a candidate that `phasegate run` or `phasegate advise` found.
    For a change of the client, the query that it should send, as comments.
    --level prints what brings a seeded database to a stack level, from any other;
    nothing is run without --apply, and then only on a data set of phasegate's.
    """
    if (technique is None) == (level is None):
        raise UsageError(
            "Either a technique or a --level is printed",
            untouched="Nothing was printed",
            then="Give one of them: phasegate sql TECHNIQUE, or phasegate sql --level N",
        )
    if technique is not None:
        if apply:
            raise UsageError(
                "--apply goes with --level alone; a technique's migration is printed, never run",
                untouched="Nothing was changed",
                then="Run it as your migrations are run, with psql or the Supabase CLI",
            )
        click.echo(_migration(options.project(), technique, undo=undo), nl=False)
        return
    if undo:
        raise UsageError(
            "--undo takes a technique back; a level is left for another",
            untouched="Nothing was printed",
            then="Give the lower level: phasegate sql --level N",
        )
    from phasegate.stack import level_script
    from phasegate.stack.database import redact

    assert level is not None  # noqa: S101 - one of the two is given; tells the type checker
    project = options.project()
    project.level(level)
    if not apply:
        click.echo(level_script.script(level, project), nl=False)
        return
    if database_url is None:
        raise UsageError(
            "--apply needs a database",
            untouched="Nothing was changed",
            then="Set DATABASE_URL, or give --database-url",
        )
    level_script.apply_script(database_url, level, lambda text: click.echo(text, nl=False))
    click.echo(f"-- Applied to {redact(database_url)}: stack level {level}")


def _migration(project: Project, technique: str, *, undo: bool) -> str:
    """Of a technique of the project, else of the newest candidate of that name."""
    folder = None if technique in project.techniques else proposed(project.results, technique)
    if folder is None:
        return project.migration_of(technique, undo=undo)
    found = read_techniques(folder.parent)[technique]
    return (found.undo if undo else found.migration) or found.client
