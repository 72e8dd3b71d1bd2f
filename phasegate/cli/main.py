"""The command line as a whole: its help, its version, its verbs in the order of the flow.

A verb's module is imported when the verb is called: rooms are slow to import, and no verb needs all
of them. A verb's module imports its rooms where it works: its help needs none of them.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import click

VERBS = {
    "init": "init",
    "run": "run",
    "record": "record",
    "seed": "seed",
    "up": "up",
    "down": "up",
    "health": "health",
    "load": "load",
    "report": "report",
    "advise": "advise",
    "gate": "gate",
    "size": "size",
    "serverless": "serverless",
    "cost": "report",
    "prices": "report",
    "compare": "report",
    "sql": "sql",
    "nightly": "nightly",
    "history": "history",
    "digest": "history",
    "doctor": "health",
}
"""Each verb's module, in the order of the flow, as the help lists them."""

SHORT = {
    "init": "Make a project from your database, or from its migrations.",
    "run": "Seed, load, benchmark and report, on a PostgreSQL of our own.",
    "record": "Write sessions from what a browser or proxy recorded: HAR files.",
    "seed": "Fill a PostgreSQL database with the rows of so many users.",
    "up": "Start a local stack that stays up.",
    "down": "Stop the stack that `phasegate up` started.",
    "health": "Check whether an API and its database are well.",
    "load": "Drive an API with a locustfile: PASS, FAIL or INVALID.",
    "report": "Draw a run's charts and page again from its files.",
    "advise": "Measure which indexes, policies and rewrites help, and from how many users on.",
    "gate": "GO, NO-GO or INVALID for entering a phase.",
    "size": "The smallest compute size that holds.",
    "serverless": "From how many users on serverless functions exhaust the connections.",
    "cost": "What a month costs at that many users.",
    "prices": "Where each price and limit was read, and when.",
    "compare": "What moved from one run to another.",
    "sql": "A technique's migration, safe on a live table; or a stack level's SQL.",
    "nightly": "Measure HEAD against a baseline commit, and keep the result: a night.",
    "history": "The nights so far: all series, or one of them.",
    "digest": "The newest night, for a person or an AI assistant.",
    "doctor": "What is on this machine, and where things are kept.",
}
"""What the help says of each verb: the first sentence of the verb's own, without importing it."""


def _choose(ctx: click.Context, param: click.Parameter, folder: Path | None) -> None:
    """By the environment, so that every process of a run has the same project."""
    del ctx, param
    from phasegate.project import VARIABLE

    if folder is not None:
        os.environ[VARIABLE] = str(folder.resolve())


def _say_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    del param
    if asked:
        click.echo(f"phasegate, version {version('phasegate')}")
        ctx.exit()


# Taken before a verb and behind it, as people write it; before the other options, which ask for it.
PROJECT = click.Option(
    ["--project"],
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the project [the current one, or the nearest above it; PHASEGATE_PROJECT].",
    expose_value=False,
    is_eager=True,
    callback=_choose,
)


class _Verbs(click.Group):
    """Finds a verb by importing its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        verb: click.Command = getattr(import_module(f"phasegate.cli.{VERBS[cmd_name]}"), cmd_name)
        if PROJECT not in verb.params and cmd_name != "init":  # which makes one
            verb.params.append(PROJECT)
        return verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs, none of which is imported for it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(SHORT.items()))


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version and exit.",
)
@click.pass_context
def phasegate(ctx: click.Context) -> None:
    """Can this Postgres app go from 1k to 10k to 100k users?

    What breaks first, which fix helps, from how many users on, and what will it cost: answered by
    measuring the project of the current folder.

    Exit codes: 0 holds · 1 does not hold · 2 the call or the configuration is wrong · 3 could not
    be measured fairly · 70 a defect of phasegate itself. What stands in [brackets] is an option's
    default; many come from phasegate.toml.
    """
    if ctx.invoked_subcommand is None:
        from phasegate.project import find_project

        find_project()  # without one there is nothing to list verbs for: its error says what to do
        click.echo(ctx.get_help())


phasegate.params.append(PROJECT)
