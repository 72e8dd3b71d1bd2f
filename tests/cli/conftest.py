"""The command line as a user meets it: a process, its output, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phasegate.project import VARIABLE

ROOT = Path(__file__).parents[2]
CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """A cache folder of the test session's own."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        path = Path(folder)
        path.chmod(0o755)  # as root, the server runs as another user
        yield path


@pytest.fixture(scope="session")
def environment(cache: Path) -> dict[str, str]:
    """A user without settings, whose cache folder is `cache`, and the task app's project."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SUPABASE_")}
    kept.pop("DATABASE_URL", None)
    return {**kept, "PHASEGATE_CACHE_DIR": str(cache), VARIABLE: str(ROOT)}


@pytest.fixture(scope="session")
def phasegate(environment: dict[str, str]) -> CommandLine:
    """Run `phasegate ARGUMENTS…` to its end."""
    return _command_line("phasegate", environment)


@pytest.fixture(scope="session")
def instruments(environment: dict[str, str]) -> CommandLine:
    """Run `python -m instruments ARGUMENTS…` to its end."""
    return _command_line("instruments", environment)


def _command_line(module: str, environment: dict[str, str]) -> CommandLine:
    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
        )

    return call
