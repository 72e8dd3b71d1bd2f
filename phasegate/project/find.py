"""Where the project is: named by the environment, or the nearest folder upwards that has one."""

from __future__ import annotations

import os
from pathlib import Path

from phasegate.model.errors import ConfigurationError

FILE = "phasegate.toml"
VARIABLE = "PHASEGATE_PROJECT"
"""`--project DIR` sets it, so that every process of a run has the same project."""


def find_project(start: Path | None = None) -> Path:
    """The project's folder, absolute.

    Args:
        start: where to look, and upwards from there; the current folder if None. The environment's
            PHASEGATE_PROJECT comes before both.

    Raises:
        ConfigurationError: there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        folder = Path(named).resolve()
        if not (folder / FILE).is_file():
            raise ConfigurationError(
                f"{named} is not a project: it has no {FILE}",
                untouched="Nothing was started",
                then=f"Name a folder that has one with --project or {VARIABLE}",
            )
        return folder
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / FILE).exists():  # whatever it is: reading it says what is wrong
            return folder
    raise ConfigurationError(
        f"There is no project here: neither this folder nor one above it has a {FILE}",
        untouched="Nothing was started",
        then="Go to your project's folder, name it with --project DIR, or make one: phasegate init",
    )
