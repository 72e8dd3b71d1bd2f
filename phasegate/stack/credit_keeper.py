"""Keeps the balances of a size that bursts: a process of its own beside the control group.

Reads what the group has used, four times a second; writes the group's limits: the maximum while
something is left, the baseline once nothing is. Ends when the group is removed. It outlives a run
that is killed only until its group is cleared away.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from phasegate.model.credits import Budget
from phasegate.stack.control_group_files import Kind, Limits, Place, Used, set_limit, used

INTERVAL_S = 0.25
VARIABLE = "PHASEGATE_CREDITS"


class Folder(msgspec.Struct, frozen=True):
    """A group's folder of one kind."""

    kind: Kind
    version: Literal[1, 2]
    path: str


class Task(msgspec.Struct, frozen=True):
    """What the keeper is asked to do."""

    folders: tuple[Folder, ...]
    device: str | None
    cores: Budget
    operations: Budget
    throughput: Budget
    share_left: float
    """Of each balance, at the beginning; 0..1."""


@dataclass
class Balance:
    """One balance, followed. Below zero it is in debt, until enough was earned."""

    budget: Budget
    left: float
    seen: float | None = None
    """What had been used at the last look."""

    def look(self, total: float | None, passed_s: float) -> float:
        """The limit from now on, `total` having been used by now."""
        if total is not None and self.seen is not None:
            earned = self.budget.baseline_per_s * passed_s
            self.left = min(self.left + earned - (total - self.seen), self.budget.kept)
        self.seen = total
        budget = self.budget
        return budget.max_per_s if budget.bursts and self.left > 0 else budget.baseline_per_s


def start_keeper(task: Task) -> subprocess.Popen[bytes]:
    """The keeper, which ends by itself once the group is gone."""
    return subprocess.Popen(
        [sys.executable, "-m", "phasegate.stack.credit_keeper"],
        env={**os.environ, VARIABLE: msgspec.json.encode(task).decode()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def limits_now(
    found: Used, passed_s: float, balances: tuple[Balance, Balance, Balance], memory: int | None
) -> Limits:
    """What the group may use from now on: cores, operations and bytes by their balances."""
    cores, operations, size = balances
    return Limits(
        cores=cores.look(found.cpu_s, passed_s),
        memory_bytes=memory,
        operations_per_s=operations.look(_sum(found.reads, found.writes), passed_s),
        bytes_per_s=size.look(_sum(found.read_bytes, found.write_bytes), passed_s),
    )


def _sum(one: int | None, other: int | None) -> float | None:
    return None if one is None or other is None else float(one + other)


def main() -> None:
    """Follow the balances until the group is gone."""
    task = msgspec.json.decode(os.environ.pop(VARIABLE).encode(), type=Task)
    nowhere = Path("/")
    folders: dict[Kind, tuple[Place, Path]] = {
        each.kind: (Place(each.version, nowhere, nowhere), Path(each.path)) for each in task.folders
    }
    balances = (
        Balance(task.cores, task.cores.kept * task.share_left),
        Balance(task.operations, task.operations.kept * task.share_left),
        Balance(task.throughput, task.throughput.kept * task.share_left),
    )
    in_force, last_s = None, time.monotonic()
    while all(folder.is_dir() for _, folder in folders.values()):
        now_s = time.monotonic()
        wanted = limits_now(used(folders, task.device), now_s - last_s, balances, None)
        last_s = now_s
        if wanted != in_force:
            try:
                for kind in ("cpu", "io"):
                    if kind in folders:
                        set_limit(kind, *folders[kind], wanted, task.device)
            except OSError:
                return  # the group was removed meanwhile
            in_force = wanted
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main()
