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
from typing import TextIO

import platformdirs
import psutil

from phasegate.model.errors import ConfigurationError, Refused

CACHE_VARIABLE = "PHASEGATE_CACHE_DIR"
OCCUPANT = "occupant.json"

# Within double quotes a shell gives these a meaning.
UNQUOTABLE = frozenset('"$`\\')
# PostgreSQL's MAXPGPATH is 1,024 bytes; the longest name below the cache folder takes about 150.
PATH_BYTES_MAX = 800
SHOWN_MAX = 120


def running_as_root() -> bool:
    """Whether this process may write as anybody, which PostgreSQL refuses to do."""
    return os.geteuid() == 0


def cache_dir() -> Path:
    """The cache folder, created if need be and readable by the user that runs PostgreSQL."""
    named = os.environ.get(CACHE_VARIABLE)
    then = f"Name another one in {CACHE_VARIABLE}"
    try:
        if named:
            path = Path(named).expanduser().resolve()
        elif running_as_root():
            path = Path("/var/cache/phasegate")
        else:
            path = platformdirs.user_cache_path("phasegate")
        require_plain(path, then=then)
        make_open(path)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot create the cache folder {_shown(path)}: {error.strerror}",
            untouched="Nothing was started",
            then=then,
        ) from error
    except (RuntimeError, ValueError) as error:  # a home that nobody has, links in a circle
        raise ConfigurationError(
            f"{CACHE_VARIABLE} names no folder: {error}", untouched="Nothing was started", then=then
        ) from error
    return path


def require_plain(path: Path, *, then: str, bytes_max: int = PATH_BYTES_MAX) -> None:
    """Refuse a name that PostgreSQL's programs cannot pass on to each other.

    pg_ctl and initdb start others by a shell's command line with the name between double quotes
    (`start_postmaster` in pg_ctl.c, `find_other_exec` in exec.c), and settings are text in UTF-8.

    Raises:
        ConfigurationError: such a character, or bytes that are no UTF-8, is in `path`.
    """
    name = str(path)
    wrong = sorted({each for each in name if each in UNQUOTABLE or not each.isprintable()})
    if wrong or len(os.fsencode(name)) > bytes_max:
        why = (
            f"holds {' '.join(map(ascii, wrong))}, which PostgreSQL's programs cannot take"
            if wrong
            else f"is longer than {bytes_max} bytes, and PostgreSQL cuts names off at 1,024"
        )
        raise ConfigurationError(
            f"The name of {_shown(path)} {why}", untouched="Nothing was started", then=then
        )


def _shown(path: Path) -> str:
    """`path` in one short line, whatever is in it."""
    name = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(path))
    return name if len(name) <= SHOWN_MAX else f"{name[:SHOWN_MAX]}…"


def make_open(path: Path) -> None:
    """Create `path` and what it lies in; whatever the umask, other accounts may enter those."""
    if path.is_dir():
        return
    if path.parent != path:
        make_open(path.parent)
    try:
        path.mkdir()
    except FileExistsError:  # another process was first
        if not path.is_dir():
            raise
        return
    path.chmod(0o755)


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


def _lock_file(folder: Path) -> TextIO:
    """The lock, opened, which shows whether the folder may be written to.

    Raises:
        ConfigurationError: it may not.
    """
    try:
        return (folder / "lock").open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write to the cache folder {folder}: {error.strerror}",
            untouched="Nothing was started or changed",
            then=f"Name another one in {CACHE_VARIABLE}",
        ) from error


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
    with _lock_file(folder) as handle:
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
