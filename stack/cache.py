"""The one folder outside the repository that phasegate writes to, and the lock on it.

`PHASEGATE_CACHE_DIR` names it; otherwise the user's cache folder, or `/var/cache/phasegate` for
root, since PostgreSQL then runs as another user who cannot enter root's home.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from phases.errors import ConfigurationError, Refused

CACHE_VARIABLE = "PHASEGATE_CACHE_DIR"


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


@contextmanager
def locked(folder: Path, purpose: str) -> Iterator[None]:
    """Hold `folder` for this process alone.

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
        handle.truncate(0)
        handle.write(f"`{purpose}` (process {os.getpid()})")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
