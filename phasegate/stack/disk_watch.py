"""What the database asked of memory and disk between two looks of the sampler.

Reads the files of the server's control group, where it is in one; writes nothing. Totals of blocks
come from the sampler's own query.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from phasegate.records.sampler import DiskUse
from phasegate.stack.control_group_files import Kind, Place, Used, used
from phasegate.stack.credit_keeper import Folder

N = TypeVar("N", int, float)


class Watched(msgspec.Struct, frozen=True):
    """The control group that a server is in."""

    folders: tuple[Folder, ...]
    device: str | None
    """Major and minor number of its disk."""


class DiskWatch:
    """Keeps the totals of the last look.

    Args:
        watched: the server's control group; None where it is in none of ours.
    """

    def __init__(self, watched: Watched | None) -> None:
        self._watched = watched
        self._blocks: tuple[int, int] | None = None
        self._used = Used()

    def look(self, server: Mapping[str, Any]) -> DiskUse | None:
        """What was asked for since the last look; None at the first, and where nothing is known.

        Args:
            server: a row of `sample_server.sql`; empty where the database did not answer.
        """
        if server.get("blocks_hit") is None:
            return None
        now, before = self._group(), self._used
        self._used = now
        blocks = (int(server["blocks_hit"]), int(server["blocks_read"]))
        last, self._blocks = self._blocks, blocks
        if last is None:
            return None
        return DiskUse(
            blocks_hit=max(blocks[0] - last[0], 0),
            blocks_read=max(blocks[1] - last[1], 0),
            reads=_gained(now.reads, before.reads),
            writes=_gained(now.writes, before.writes),
            read_bytes=_gained(now.read_bytes, before.read_bytes),
            cpu_s=_gained(now.cpu_s, before.cpu_s),
            throttled_s=_gained(now.throttled_s, before.throttled_s),
        )

    def _group(self) -> Used:
        if self._watched is None:
            return Used()
        nowhere = Path("/")
        folders: dict[Kind, tuple[Place, Path]] = {
            each.kind: (Place(each.version, nowhere, nowhere), Path(each.path))
            for each in self._watched.folders
        }
        return used(folders, self._watched.device)


def _gained(now: N | None, before: N | None) -> N | None:
    return None if now is None or before is None else max(now - before, type(now)(0))
