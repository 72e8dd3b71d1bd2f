"""What could have moved a night: the commits between baseline and HEAD that touch what is measured.

Reads git; writes nothing. Subjects are kept, authors and messages are not.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from phasegate.model.errors import ConfigurationError
from phasegate.nightly.worktrees import GIT_VARIABLES, OURS

# What any series depends on (`nightly.worktrees`), and the seeder that fills both sides' tables.
UNDER_TEST = OURS.everything

# More than a person looks through; the rest are counted.
COMMITS_MAX = 20
SUBJECT_CHARACTERS_MAX = 100
GIT_S_MAX = 30.0


@dataclass(frozen=True)
class Suspects:
    """For `NightRecord.commits` and `.files_changed`.

    Attributes:
        commits: short hash and subject, newest first; where there are more than `COMMITS_MAX`,
            the last entry says how many.
        files_changed: files that differ, per folder of at most two levels, as `phasegate/stack`.
    """

    commits: tuple[str, ...]
    files_changed: dict[str, int]


def suspects(
    repository: Path, baseline: str, head: str = "HEAD", paths: Sequence[str] = UNDER_TEST
) -> Suspects:
    """Commits and files between two commits of `repository` that touch `paths`.

    Raises:
        ConfigurationError: git cannot tell, as where one of them is no commit.
    """
    where = ("--end-of-options", f"{baseline}..{head}", "--", *paths)
    lines = _git(repository, "log", "--no-merges", "--format=%h %s", *where).splitlines()
    commits = [line[:SUBJECT_CHARACTERS_MAX] for line in lines[:COMMITS_MAX]]
    if len(lines) > COMMITS_MAX:
        commits.append(f"and {len(lines) - COMMITS_MAX} more")
    names = _git(repository, "diff", "--name-only", "-z", *where).split("\0")
    groups = Counter(_group(name) for name in names if name)
    return Suspects(tuple(commits), dict(sorted(groups.items())))


def _group(name: str) -> str:
    folders = PurePosixPath(name).parts[:-1][:2]
    return "/".join(folders) or name


def _git(repository: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in GIT_VARIABLES}
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments],  # noqa: S607 - the user's own git
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_S_MAX,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            "git cannot list the commits between the baseline and HEAD",
            untouched="Nothing was changed",
            then="Fetch the whole history (`git fetch --unshallow --tags`)",
        ) from error
    return done.stdout
