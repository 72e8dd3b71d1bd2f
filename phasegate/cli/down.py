"""`phasegate down`: stop what `phasegate up` started."""

from __future__ import annotations

import click

from phasegate.levels.up_down import down as stop_level


@click.command()
def down() -> None:
    """Stop the stack that `phasegate up` started."""
    names = ", ".join(process.name for process in stop_level())
    click.echo(f"Stopped: {names}." if names else "Nothing was up.")
