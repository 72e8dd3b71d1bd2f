"""The one folder outside the repository that phasegate writes to, the lock on it, its occupant.

`PHASEGATE_CACHE_DIR` names it; otherwise the user's cache folder, or `/var/cache/phasegate` for
root, since PostgreSQL then runs as another user who cannot enter root's home.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
import psutil

from phasegate.model.errors import ConfigurationError, Refused

CACHE_VARIABLE = "PHASEGATE_CACHE_DIR"
OCCUPANT = "occupant.json"


def running_as_root() -> bool:
    """Whether this process may write as anybody, which PostgreSQL refuses to do."""
    return os.geteuid() == 0


def cache_dir() -> Path:
    """The cache folder, created if need be and readable by the user that runs PostgreSQL."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        path = Path(named).expanduser().resolve()
    elif running_as_root():
        path = Path("/var/cache/phasegate")
    else:
        path = platformdirs.user_cache_path("phasegate")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot create the cache folder {path}: {error.strerror}",
            then=f"Name another one in {CACHE_VARIABLE}",
        ) from error
    return path


@dataclass(frozen=True)
class Occupant:
    """A process that uses a folder beyond the command that started it."""

    pid: int
    created: float
    """When that process began, seconds since 1970: its number may be given away again."""
    what: str
    then: str
    """What ends it."""


def occupy(folder: Path, pid: int, *, what: str, then: str) -> None:
    """Note that process `pid` uses `folder` until it ends; `locked` then refuses."""
    occupant = Occupant(pid, psutil.Process(pid).create_time(), what, then)
    (folder / OCCUPANT).write_text(json.dumps(asdict(occupant)), encoding="utf-8")


def vacate(folder: Path) -> None:
    """Take that note away."""
    (folder / OCCUPANT).unlink(missing_ok=True)


def occupant_of(folder: Path) -> Occupant | None:
    """Who uses `folder`, if that process still lives."""
    try:
        raw = json.loads((folder / OCCUPANT).read_text(encoding="utf-8"))
        occupant = Occupant(**raw)
        same = psutil.Process(occupant.pid).create_time() == occupant.created
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return occupant if same else None


@contextmanager
def locked(folder: Path, purpose: str, *, beside_occupant: bool = False) -> Iterator[None]:
    """Hold `folder` for this process alone.

    Args:
        folder: to hold.
        purpose: the command, named to whoever is refused meanwhile.
        beside_occupant: whether an occupant is no obstacle, as to the command that ends it.

    Raises:
        Refused: another process holds it; its process id and purpose are named.
    """
    path = folder / "lock"
    with path.open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise Refused(
                f"{folder} is in use by {holder}",
                untouched="Nothing was started or changed",
                then=f"Wait for it to end, or name another folder in {CACHE_VARIABLE}",
            ) from None
        found = None if beside_occupant else occupant_of(folder)
        if found is not None:
            raise Refused(
                f"{folder} is in use by {found.what} (process {found.pid})",
                untouched="Nothing was started or changed",
                then=found.then,
            )
        handle.truncate(0)
        handle.write(f"`{purpose}` (process {os.getpid()})")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
