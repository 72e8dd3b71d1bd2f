"""`phasegate doctor`: what is here, what is missing, and where things are kept."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator

import click

from phasegate.cli.circumstances import code_version
from phasegate.stack.binaries import BIN_VARIABLE, programs, server_version, service_user
from phasegate.stack.cache import CACHE_VARIABLE, cache_dir


@click.command()
def doctor() -> None:
    """What is on this machine, and where things are kept."""
    for line in lines():
        click.echo(line)


def lines() -> Iterator[str]:
    """The findings, one a line, as `name  value`."""
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
