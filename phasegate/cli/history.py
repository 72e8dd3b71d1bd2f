"""Nights that were kept: `phasegate history` lists and draws them, `digest` tells the newest."""

from __future__ import annotations

from pathlib import Path

import click

from phasegate.cli import options
from phasegate.model.errors import ConfigurationError
from phasegate.records import history as history_room
from phasegate.records.history import History


def _kept(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:
    """The folder that was named, else the project's own `results/history/`."""
    del ctx, param
    return options.project().results / "history" if value is None else value


FOLDER = click.option(
    "--history",
    "folder",
    type=options.FOLDER,
    callback=_kept,
    help="Where the nights are kept [results/history/ of the project].",
)


def nights(folder: Path) -> History:
    """The nights in `folder`.

    Raises:
        ConfigurationError: there is none that can be read.
    """
    found = history_room.read(folder)
    if not found.nights:
        bad = "".join(f"; {each.path.name}: {each.reason}" for each in found.damaged)
        raise ConfigurationError(
            f"There is no night in {options.near(folder)} yet{bad}",
            then="Make one with `phasegate nightly --baseline REF`",
        )
    return found


@click.command()
@click.argument("name", required=False)
@FOLDER
@click.option("--page", is_flag=True, help="Also draw history.html next to that folder.")
@options.as_json
def history(name: str | None, folder: Path, *, page: bool, as_json: bool) -> None:
    """The nights so far: all series, or one of them.

    NAME is a series' id, or a part of it that no other has; all series if left out.
    """
    from phasegate.report import nights as room

    found = nights(folder)
    line = room.find(found, name) if name else None
    if as_json:
        options.print_json(room.as_record(found, line))
    else:
        for text in room.table(found) if line is None else room.chart(found, line):
            click.echo(text)
    if page:
        out = room.build(found, folder.resolve().parent / "history.html")
        click.echo(options.near(out), err=as_json)


@click.command()
@FOLDER
@options.as_json
def digest(folder: Path, *, as_json: bool) -> None:
    """The newest night, for a person or an AI assistant.

    What moved, on what evidence, suspects, what to look at first; no keys, addresses or rows of
    user data.
    """
    from phasegate.report import nights as room

    found = nights(folder)
    record = room.digest(found.nights[-1], found)
    if as_json:
        options.print_json(record)
    else:
        click.echo(room.markdown(record), nl=False)
