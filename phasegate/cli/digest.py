"""`phasegate digest`: the newest night, to be read or pasted."""

from __future__ import annotations

from pathlib import Path

import click

from phasegate.cli import options
from phasegate.cli.history import FOLDER, nights


@click.command()
@FOLDER
@options.as_json
def digest(folder: Path, *, as_json: bool) -> None:
    """The newest night, to be read or pasted.

    What moved, on what evidence, suspects, what to look at first: for a person or an AI assistant.
    Without keys, addresses or rows of user data.
    """
    from phasegate.report import nights as room

    found = nights(folder)
    record = room.digest(found.nights[-1], found)
    if as_json:
        options.print_json(record)
    else:
        click.echo(room.markdown(record), nl=False)
