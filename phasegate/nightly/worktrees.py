"""The two checkouts that a night compares: the working one and one of the baseline's commit.

Of this repository, engine and project are compared; of anybody else's, the project that lies in it,
with its API, while the installed phasegate measures both sides. Reads git; writes a worktree of the
baseline (removed at the end) and, where its locked packages are others, an environment of its own,
both in the cache folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import find_project, load_project

ROOT = Path(__file__).resolve().parents[2]

HEAD = "HEAD"
BASELINE = "the baseline"

LOCK = "requirements.lock"
PROJECT = "phasegate.toml"
# What a baseline must have to be measured in turns at all.
PROTOCOL_FILE = "phasegate/stack/remote_measure.py"

_API = tuple(f"phasegate/{room}" for room in ("model", "project", "records", "stack", "api"))

# What a figure depends on, by room of series. Whole rooms and not single techniques: arms share
# each other's SQL and the engine's code, and a file too many costs minutes, one too few a finding.
PATHS = {
    "sql": (*_API, "phasegate/stats", "phasegate/compare", "benchmarks", PROJECT, LOCK),
    # A level's migrations, what requests are drawn from, the work of jobs.
    "api": (*_API, ":(glob)benchmarks/**/*.sql", PROJECT, LOCK),
}
# Both sides get a copy of one data set, which HEAD's seeder loads into HEAD's tables.
SEEDED_BY_HEAD = (
    "phasegate/seeding",
    "seed",
)


@dataclass(frozen=True)
class Watched:
    """What figures depend on, as git's paths below a checkout.

    Attributes:
        rooms: by room of series.
        seeded: what makes the data set.
        needed: file that a baseline must have to be measured in turns at all.
    """

    rooms: Mapping[str, tuple[str, ...]]
    seeded: tuple[str, ...]
    needed: str

    @property
    def everything(self) -> tuple[str, ...]:
        """All of them."""
        found = {path for paths in self.rooms.values() for path in paths}
        return tuple(sorted(found | set(self.seeded)))


OURS = Watched(PATHS, SEEDED_BY_HEAD, PROTOCOL_FILE)


def holds_engine(root: Path) -> bool:
    """Whether the checkout is one of phasegate itself."""
    return (root / PROTOCOL_FILE).is_file()


def watched(root: Path) -> Watched:
    """What the figures of a night of the checkout `root` depend on."""
    if holds_engine(root):
        return OURS
    project = load_project()
    place = project.root.resolve().relative_to(root)

    def below(name: str, magic: str = "") -> str:
        return f"{magic}{(place / name).as_posix()}"

    api: tuple[str, ...] = (below("benchmarks/**/*.sql", ":(glob)"), below(PROJECT))
    if project.api.command:
        api = (".",)  # its code may lie anywhere in the repository
    rooms = {"sql": (below("benchmarks"), below(PROJECT)), "api": api}
    return Watched(rooms, (below("seed"),), below(PROJECT))


def repository_of(project: Path) -> Path:
    """The checkout whose commits a night of `project` compares: ours, or the one it lies in.

    Raises:
        ConfigurationError: it lies in none.
    """
    if project.is_relative_to(ROOT) and holds_engine(ROOT) and (ROOT / ".git").exists():
        return ROOT
    found = _git(project, "rev-parse", "--show-toplevel")
    if found.returncode != 0:
        raise _no_checkout(found)
    return Path(found.stdout.strip()).resolve()


# A lock's packages come from a registry, which may be slow; more than this is a hang.
INSTALL_S_MAX = 900.0
LOCK_DIGITS = 12

# Set inside git's hooks, where they would lead every call of ours back to the hook's checkout.
GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


class NoBaseline(CannotMeasure):
    """The baseline cannot be measured; the night has its A/A comparisons all the same."""


@dataclass(frozen=True)
class Tree:
    """A checkout that can measure, and the Python that has its packages."""

    who: str
    root: Path
    python: Path

    @property
    def project(self) -> Path:
        """The project in this checkout: where it lies in the working one, or that one's itself."""
        here = find_project()
        if here.is_relative_to(ROOT):
            return self.root / here.relative_to(ROOT)
        if holds_engine(self.root):
            return here
        return self.root / here.resolve().relative_to(repository_of(here))

    @property
    def code(self) -> Path:
        """The folder that the code which measures is imported from."""
        return self.root if holds_engine(self.root) else ROOT

    @classmethod
    def of(cls, root: Path) -> Tree:
        """The working checkout, with the Python that runs this."""
        return cls(HEAD, root, Path(sys.executable))


def _git(root: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in GIT_VARIABLES}
    try:
        return subprocess.run(
            ["git", "-C", root, *arguments],  # noqa: S607 - the user's own git
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
    except OSError as error:
        raise ConfigurationError(
            f"git cannot be run: {error.strerror}",
            untouched="Nothing was measured",
            then="Install git",
        ) from error


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"status {done.returncode}"


def _no_checkout(asked: subprocess.CompletedProcess[str]) -> ConfigurationError:
    return ConfigurationError(
        f"This is not a git checkout with a commit: {_last_line(asked)}",
        untouched="Nothing was measured",
        then="Clone the repository with git; a nightly compares two of its commits",
    )


def head(root: Path) -> tuple[str, bool]:
    """The commit of the working checkout, and whether its tracked files differ from it.

    Raises:
        ConfigurationError: `root` is no git checkout, or has no commit.
    """
    found = _git(root, "rev-parse", "--verify", "HEAD^{commit}")
    if found.returncode != 0:
        raise _no_checkout(found)
    changed = _git(root, "status", "--porcelain", "--untracked-files=no").stdout
    return found.stdout.strip(), bool(changed.strip())


def commit_of(root: Path, ref: str) -> str:
    """The commit that `ref` names here, or at `origin`.

    Raises:
        NoBaseline: neither knows it, as in a shallow clone; or it is older than the nightly.
    """
    for name in (ref, f"origin/{ref}"):
        found = _git(
            root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        if found.returncode == 0:
            break
    else:
        raise NoBaseline(
            f"There is no commit {ref!r} in this checkout",
            then=f"Fetch it: `git fetch origin {ref}`, or in CI check out with fetch-depth: 0",
        )
    commit = found.stdout.strip()
    needed = watched(root).needed
    if _git(root, "cat-file", "-e", f"{commit}:{needed}").returncode != 0:
        raise NoBaseline(
            f"The baseline {ref!r} has no {needed} yet, and cannot be measured in turns",
            then="Pin a newer commit",
        )
    return commit


def differs(root: Path, commit: str, paths: Sequence[str]) -> bool:
    """Whether the files of the working checkout under `paths` are others than those of `commit`."""
    if _git(root, "diff", "--quiet", commit, "--", *paths).returncode != 0:
        return True
    return bool(_git(root, "ls-files", "--others", "--exclude-standard", "--", *paths).stdout)


@contextmanager
def checked_out(root: Path, commit: str, folder: Path) -> Iterator[Tree]:
    """The baseline's files in a worktree below `folder`, gone at the end.

    Raises:
        NoBaseline: it cannot be checked out, or its packages cannot be installed.
    """
    place = folder / "baseline"
    _remove(root, place)  # left behind by a nightly that was killed
    try:
        made = _git(root, "worktree", "add", "--detach", "--force", place, commit)
        if made.returncode != 0:
            raise NoBaseline(f"The baseline cannot be checked out: {_last_line(made)}")
        yield Tree(BASELINE, place, _python(root, place, folder))
    finally:
        _remove(root, place)


def _remove(root: Path, place: Path) -> None:
    _git(root, "worktree", "remove", "--force", place)
    shutil.rmtree(place, ignore_errors=True)
    _git(root, "worktree", "prune")


def _python(root: Path, place: Path, folder: Path) -> Path:
    """This Python where the locked packages are the same; one with the baseline's own otherwise."""
    if not holds_engine(root):
        return Path(sys.executable)
    try:
        wanted = (place / LOCK).read_bytes()
        if wanted == (root / LOCK).read_bytes():
            return Path(sys.executable)
    except OSError as error:
        raise NoBaseline(f"The baseline has no {LOCK}") from error
    home = folder / f"venv-{hashlib.sha256(wanted).hexdigest()[:LOCK_DIGITS]}"
    python, whole = home / "bin" / "python", home / "complete"
    if not whole.exists():
        shutil.rmtree(home, ignore_errors=True)  # an installation that was interrupted
        _run(sys.executable, "-m", "venv", "--without-pip", home)
        _run(
            *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
            *("--disable-pip-version-check", "--require-hashes", "-r", place / LOCK),
        )
        whole.touch()
    return python


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=INSTALL_S_MAX,
        )
    except subprocess.TimeoutExpired as error:
        raise NoBaseline(
            f"The baseline's packages could not be installed within {INSTALL_S_MAX:.0f} s"
        ) from error
    if done.returncode != 0:
        raise NoBaseline(f"The baseline's packages cannot be installed: {_last_line(done)}")
