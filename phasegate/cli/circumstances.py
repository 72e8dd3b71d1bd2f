"""What a run's figures depend on besides machine and server (`stack.machine`): the code.

Reads git; writes nothing. No host name, user name or path is taken down.
"""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _git(*arguments: str) -> str | None:
    """What git says of this checkout; None where there is no checkout, or no git."""
    try:
        done = subprocess.run(
            ["git", "-C", ROOT, *arguments],  # noqa: S607 - the user's own git
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def commit() -> tuple[str | None, bool | None]:
    """The commit of the code and whether the checkout differs from it; None outside a checkout."""
    name = _git("rev-parse", "HEAD")
    if not name:
        return None, None
    return name, bool(_git("status", "--porcelain"))


def code_version() -> str:
    """The installed version of phasegate."""
    return version("phasegate")
