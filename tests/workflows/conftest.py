"""Runs a step of a workflow as a runner would: its own script, by bash, in its environment."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from phasegate.project import SeedFolder
from phasegate.stack.binaries import programs
from phasegate.stack.database import apply_sql
from phasegate.stack.levels import apply_level
from phasegate.stack.partitions import maintain

ROOT = Path(__file__).resolve().parents[2]
PROJECT = SeedFolder(ROOT)
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

# Seconds that a step may take: it should end in two, but a shared machine can be ten times as slow.
TIMEOUT_S = 120


@dataclass
class Ran:
    """What became of a step."""

    code: int
    said: str
    """Standard output and error."""
    summary: str
    outputs: dict[str, str]


@dataclass
class Runner:
    """A checkout, a temporary folder and a PATH of their own: what a step finds on GitHub's runner.

    `${{ … }}` in a step's environment is looked up in `values` by its text; one that is not there
    is a mistake of the test's or of the workflow's, and fails.
    """

    home: Path
    path: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.home / "checkout"

    @property
    def temp(self) -> Path:
        return self.home / "temp"

    def program(self, name: str, script: str) -> None:
        """Put a program of this test's on the PATH, before all others."""
        path = self.home / "bin" / name
        path.write_text(script, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(
        self,
        workflow: str,
        step_name: str,
        *,
        overrides: Mapping[str, str] = MappingProxyType({}),
        **values: str,
    ) -> Ran:
        """Run a step of that name.

        `values` are those of `${{ … }}`, with `__` for a dot; `overrides` replace variables that
        the workflow sets.
        """
        known = self.values | {name.replace("__", "."): value for name, value in values.items()}
        file = self.checkout / ".github" / "workflows" / workflow
        whole: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        (job, step) = next(
            (job, step)
            for job in whole["jobs"].values()
            for step in job["steps"]
            if step.get("name") == step_name
        )
        assert whole["defaults"]["run"]["shell"] == "bash"
        wanted: dict[str, Any] = {
            **whole.get("env", {}),
            **job.get("env", {}),
            **step.get("env", {}),
        }
        given = {
            name: EXPRESSION.sub(lambda found: known[found[1]], str(value))
            for name, value in wanted.items()
        }
        return self._bash(step["run"], {**given, **overrides})

    def _bash(self, script: str, given: Mapping[str, str]) -> Ran:
        summary, outputs = self.home / "summary", self.home / "outputs"
        for file in (summary, outputs):
            file.write_text("")
        environment = {
            "PATH": f"{self.home / 'bin'}:{self.checkout / '.venv/bin'}:{self.path}",
            "HOME": str(self.home),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_PATH": str(self.home / "path"),
            "GITHUB_REPOSITORY": "somebody/phasegate",
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self.checkout),
            "RUNNER_TEMP": str(self.temp),
            **given,
        }
        # As GitHub's runner calls it for `shell: bash`.
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.checkout,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        lines = (line.partition("=") for line in outputs.read_text().splitlines())
        return Ran(
            code=ended.returncode,
            said=ended.stdout,
            summary=summary.read_text(),
            outputs={name: value for name, _, value in lines},
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner with a checkout that has the scripts and this environment, and is no repository."""
    checkout = tmp_path / "checkout"
    for folder in (checkout, tmp_path / "temp", tmp_path / "bin"):
        folder.mkdir()
    for folder in (".github", "phasegate/model"):
        shutil.copytree(ROOT / folder, checkout / folder)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, checkout / name)
    # The environment that runs this test: installing it anew is what its first minutes were for.
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    return Runner(home=tmp_path, path=os.environ["PATH"], values={"github.token": "a-token"})


@pytest.fixture
def git(runner: Runner) -> Callable[..., str]:
    """Git in the runner's checkout, which becomes a repository with one commit and an `origin`."""

    def call(*arguments: str, folder: Path = runner.checkout) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=folder,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout.strip()

    origin = runner.home / "origin.git"
    call("init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    call("init", "--quiet", "--initial-branch=main")
    (runner.checkout / ".gitignore").write_text(".venv\n")
    call("add", ".")
    call("commit", "--quiet", "-m", "First")
    call("remote", "add", "origin", str(origin))
    call("push", "--quiet", "origin", "main")
    return call


@pytest.fixture
def psql(runner: Runner) -> None:
    """The psql of the server that tests run on, so that every machine has one."""
    (runner.home / "bin" / "psql").symlink_to(programs() / "psql")


@pytest.fixture
def level_3(database: str) -> str:
    """DSN of an empty application at level 3, which has the view of user statistics."""
    apply_sql(database, PROJECT.schema, PROJECT.keys)
    for level in (1, 3):
        apply_level(database, level)
    maintain(database)
    return database
