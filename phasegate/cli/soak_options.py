"""The option `--soak DURATION` of the verbs that drive one cell; how finely clicks are kept."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import click

from phasegate.load.options import REMOTE_BUDGET
from phasegate.model.address import Address
from phasegate.model.errors import UsageError
from phasegate.project import Project

SOAK_S_MIN = 10.0
"""Below, nothing can come three times and be seen to."""

# As fine as a record of a few MB allows: what comes every second is seen in ten minutes, what comes
# every four seconds in hours.
INTERVALS = 3600
INTERVAL_S_MIN, INTERVAL_S_MAX = 0.1, 1.0

_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m(?:in)?)?(?:(?P<s>\d+(?:\.\d+)?)s?)?"
)


def read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds, from `30m`, `90s`, `1h30m` or `600`.

    Raises:
        UsageError: it is no length of time, or too short for anything to recur.
    """
    del ctx
    if value is None:
        return None
    found = _DURATION.fullmatch(value.strip().lower().replace(" ", ""))
    parts = (float(found[name] or 0) for name in "hms") if found else ()
    seconds = sum(each * unit for each, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds < SOAK_S_MIN:
        raise UsageError(
            f"--{param.name} takes a length of time of at least {SOAK_S_MIN:g} s, not '{value}'",
            untouched="Nothing was started",
            then="Write it as 30m, 90s or 1h30m",
        )
    return seconds


option = click.option(
    "--soak",
    metavar="DURATION",
    callback=read_duration,
    help="Drive one load for so long (90s, 30m, 2h) and say what recurs and what drifts.",
)


def interval_s(duration_s: float) -> float:
    """Of the intervals by which clicks are kept."""
    tenths = math.ceil(duration_s / INTERVALS * 10) / 10
    return min(max(tenths, INTERVAL_S_MIN), INTERVAL_S_MAX)


def budget_of(host: str, asked: int | None, *, soaks: bool) -> int:
    """How many requests may be sent.

    Raises:
        UsageError: a soak of somebody else's target, and nobody said how many it may cost.
    """
    if asked or not soaks:
        return asked or REMOTE_BUDGET
    if Address.of(host).is_loopback:
        return sys.maxsize
    raise UsageError(
        f"A --soak of {Address.of(host).header} sends more than {REMOTE_BUDGET:,} requests",
        untouched="Nothing was sent",
        then="Say how many it may send: --request-budget N",
    )


def tell(folder: Path, here: Project | None, *, as_error: bool = False) -> None:
    """Print what the soak in `folder` says; to standard error where output is JSON."""
    from phasegate import report  # matplotlib takes a second to import

    for line in report.soak_lines(folder, here):
        click.echo(line, err=as_error)
