"""The command line as a whole: its help, its version, its verbs in the order of the flow.

A verb's module is imported when the verb is called: rooms are slow to import, and no verb needs all
of them.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import click

from phasegate.cli.circumstances import code_version
from phasegate.project import VARIABLE, find_project

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


def _choose(ctx: click.Context, param: click.Parameter, folder: Path | None) -> None:
    """By the environment, so that every process of a run has the same project."""
    del ctx, param
    if folder is not None:
        os.environ[VARIABLE] = str(folder.resolve())


# Taken before a verb and behind it, as people write it; before the other options, which ask for it.
PROJECT = click.Option(
    ["--project"],
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder of the project [the current one, or the nearest above it; {VARIABLE}].",
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


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(code_version(), prog_name="phasegate")
@click.pass_context
def phasegate(ctx: click.Context) -> None:
    """Can this Postgres app go from 1k to 10k to 100k users?

    What breaks first, which fix helps, from how many users on, and what will it cost: answered by
    measuring the project of the current folder.

    Exit codes: 0 holds · 1 does not hold · 2 the call or the configuration is wrong · 3 could not
    be measured fairly · 70 a defect of phasegate itself. Defaults come from the catalogue; the
    project's phasegate.toml overrides it.
    """
    if ctx.invoked_subcommand is None:
        find_project()  # without one there is nothing to list verbs for: its error says what to do
        click.echo(ctx.get_help())


phasegate.params.append(PROJECT)
