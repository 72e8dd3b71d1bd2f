"""Which process a PostgreSQL server of ours is, from the `postmaster.pid` in its data folder.

The one reader of that file. Its first line is the process id; a later one is the data folder's
name, in whatever bytes that has, so the file is read as bytes.
"""

from __future__ import annotations

import os
from pathlib import Path

from phasegate.model.errors import CannotMeasure


def noted_pid(data_dir: Path) -> int | None:
    """The process id in `postmaster.pid`; None where there is no such file, or no number in it."""
    try:
        first = (data_dir / "postmaster.pid").read_bytes().split(b"\n", 1)[0]
        return int(first)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def postmaster_of(data_dir: Path) -> int:
    """Process id of the server that runs on `data_dir`.

    Raises:
        CannotMeasure: none runs there any more.
    """
    pid = noted_pid(data_dir)
    if pid is None:
        raise CannotMeasure(
            f"The server on {data_dir} has ended", then=f"Read {data_dir}.log, which says why"
        )
    return pid


def is_running(data_dir: Path) -> bool:
    """Whether a server runs on `data_dir`: one that crashed leaves its `postmaster.pid` behind."""
    pid = noted_pid(data_dir)
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # The number may have been given to another program since.
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().startswith(b"postgres")
    except OSError:
        return not Path("/proc/self").exists()
